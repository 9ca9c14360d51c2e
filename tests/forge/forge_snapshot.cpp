// What a lying provider does before anyone asks: alters one weight of one snapshot, writes the state leaf
// that matches, rebuilds the log and signs it again with its own key. The demo and the tests show that it is
// caught.
//
// usage: forge-snapshot TRACE KEY STATE TENSOR ELEMENT

#include <charconv>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "hash/blake3.h"
#include "model/config.h"
#include "model/layer_block.h"
#include "seal/keys.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"

namespace {

using namespace aftune;

std::int64_t number(const char* text) {
  std::int64_t value = 0;
  const char* end = text + std::string_view(text).size();
  if (std::from_chars(text, end, value).ptr != end || value < 0) fail(Fault::kUsage, text, ": not a number");
  return value;
}

/// Writes the segment again with one element of one tensor moved by a quarter of itself, at least 0.01.
void alter_weight(const fs::path& segment, const std::string& dataset, std::int64_t element) {
  const trace::SegmentReader reader(segment);
  trace::SegmentWriter writer(segment);
  bool found = false;
  for (const auto& entry : reader.entries()) {
    Bytes bytes = reader.read(entry.path, entry.dtype, entry.shape);
    if (entry.path == dataset) {
      if (element >= element_count(entry.shape)) fail(Fault::kUsage, dataset, ": no element ", element);
      float value = load_le<float>(bytes.data() + element * 4);
      value = value * 1.25f + 0.01f;
      std::memcpy(bytes.data() + element * 4, &value, sizeof value);
      found = true;
    }
    writer.add(entry.path, entry.dtype, entry.shape, bytes, trace::Packing::kRaw);
  }
  if (!found) fail(Fault::kUsage, segment.native(), ": no dataset ", dataset);
  writer.commit();
}

Digest digest_of(const trace::SegmentReader& reader, const TensorSpec& spec) {
  return hash::blake3(reader.read(trace::state_dataset(spec.name), spec.dtype, spec.shape));
}

/// The digest of the block's state as the segment now has it.
Digest state_of_block(const fs::path& segment, const record::Manifest& manifest, int block) {
  const model::Config config = model::Config::parse(manifest.config);
  const trace::SegmentReader reader(segment);
  record::BlockState state;
  state.parameter_specs = model::block_parameter_specs(config, manifest.grid, manifest.recipe, block);
  state.moment_specs = model::block_moment_specs(config, manifest.grid, manifest.recipe, block);
  for (const TensorSpec& spec : state.parameter_specs) state.parameters.push_back(digest_of(reader, spec));
  for (const TensorSpec& spec : state.moment_specs) state.moments.push_back(digest_of(reader, spec));
  return record::block_digest(state);
}

int block_of_tensor(const record::Manifest& manifest, const std::string& tensor) {
  const model::Config config = model::Config::parse(manifest.config);
  for (int block = 0; block < manifest.grid.blocks(); ++block)
    for (const TensorSpec& spec : model::block_parameter_specs(config, manifest.grid, manifest.recipe, block))
      if (spec.name == tensor) return block;
  fail(Fault::kUsage, tensor, ": no parameter of this model");
}

void reseal(const trace::Layout& layout, const std::vector<std::string>& leaves, const fs::path& key) {
  std::string text;
  trace::Log log{leaves};
  for (const std::string& leaf : leaves) text += leaf + '\n';
  write_file(layout.log(), text);
  const seal::Note old = seal::Note::parse(read_file(layout.checkpoint(), 1 << 16));
  const seal::SecretKey secret = seal::SecretKey::read(key, [] { return std::string(); });
  const seal::Checkpoint signed_as = {seal::Checkpoint::parse(old.text).origin, leaves.size(),
                                      log.tree().root()};
  write_file(layout.checkpoint(), seal::sign_checkpoint(signed_as, secret).to_text());
  // The manifest's proof leads to the old root; a liar would not leave it lying about.
  fs::remove(layout.manifest_proof());
}

void forge(const fs::path& trace, const fs::path& key, std::int64_t s, const std::string& tensor,
           std::int64_t element) {
  const trace::Layout layout{trace};
  std::vector<std::string> leaves = trace::Log::read(layout.log()).leaves;
  const record::Manifest manifest = record::parse_manifest(leaves.at(0));
  if (s > manifest.grid.step_blocks()) fail(Fault::kUsage, "state ", s, ": the run has no such state");
  const fs::path segment = layout.segment(trace::Layout::segment_of_state(s));
  alter_weight(segment, trace::state_dataset(tensor), element);
  std::string& leaf = leaves.at(static_cast<std::size_t>(manifest.grid.state_leaf(s)));
  record::State state = record::parse_state(leaf, manifest.grid);
  const int block = block_of_tensor(manifest, tensor);
  state.blocks.at(static_cast<std::size_t>(block)) = state_of_block(segment, manifest, block);
  leaf = record::to_leaf(state);
  reseal(layout, leaves, key);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: forge-snapshot TRACE KEY STATE TENSOR ELEMENT\n", stderr);
    return 2;
  }
  try {
    forge(argv[1], argv[2], number(argv[3]), argv[4], number(argv[5]));
  } catch (const Error& e) {
    std::fprintf(stderr, "forge-snapshot: error: %s\n", e.what());
    return 2;
  }
  return 0;
}
