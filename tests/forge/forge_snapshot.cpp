// What a lying provider does before it is challenged: alters one weight in a stored state of a finished run,
// makes every digest above it true again, and signs the new log.

#include "base/error.h"
#include "cli/cli.h"
#include "hash/blake3.h"
#include "model/layer_block.h"
#include "record/leaves.h"
#include "seal/keys.h"
#include "trace/commit.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"

namespace aftune {
namespace {

struct Args {
  fs::path trace, key;
  std::int64_t state = -1;
  int block = 1;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace)->required();
  cli::key(app, args.key)->required();
  cli::integer(app, "--state", args.state, "state to alter; the middle snapshot if not given", 1, 1 << 30);
  cli::integer(app, "--block", args.block, "layer block to alter", 0, 1 << 16);
}

bool has_snapshot(const trace::Layout& layout, std::int64_t state) {
  const auto entries = trace::SegmentReader(layout.segment(trace::Layout::segment_of_state(state))).entries();
  for (const auto& entry : entries)
    if (entry.path.starts_with("/state/")) return true;
  return false;
}

/// Neither the first state, which the base model fixes, nor the last, which the export does.
std::int64_t middle_snapshot(const trace::Layout& layout, const record::Grid& grid) {
  std::vector<std::int64_t> states;
  for (std::int64_t s = 1; s < grid.step_blocks(); ++s)
    if (has_snapshot(layout, s)) states.push_back(s);
  if (states.empty()) fail(Fault::kUsage, "the trace has no snapshot between the first and the last state");
  return states[states.size() / 2];
}

void flip_lowest_bit(Bytes& tensor, std::size_t element) {
  tensor.at(element * sizeof(float)) ^= std::byte{1};
}

/// The segment with `changed` in place of its dataset of that name.
void rewrite_segment(const fs::path& path, const std::string& dataset, const Bytes& changed) {
  const trace::SegmentReader old(path);
  trace::SegmentWriter writer(path);
  for (const auto& entry : old.entries())
    writer.add(entry.path, entry.dtype, entry.shape,
               entry.path == dataset ? changed : old.read(entry.path, entry.dtype, entry.shape),
               trace::Packing::kRaw);
  writer.commit();
}

std::vector<Digest> digests(const trace::SegmentReader& segment, const std::vector<TensorSpec>& specs) {
  std::vector<Digest> out;
  for (const TensorSpec& spec : specs)
    out.push_back(hash::blake3(segment.read(trace::state_dataset(spec.name), spec.dtype, spec.shape)));
  return out;
}

void rewrite_log(const fs::path& path, const std::vector<std::string>& leaves) {
  std::string text;
  for (const std::string& leaf : leaves) text += leaf + '\n';
  write_file(path, text);
}

cli::Exit forge(const Args& args) {
  const trace::Layout layout{args.trace};
  std::vector<std::string> leaves = trace::Log::read(layout.log()).leaves;
  const record::Manifest manifest = record::parse_manifest(leaves.at(0));
  const model::Config config = model::Config::parse(manifest.config);
  const record::Grid& grid = manifest.grid;
  const std::int64_t s = args.state >= 0 ? args.state : middle_snapshot(layout, grid);
  if (args.block >= grid.blocks() || s >= grid.step_blocks())
    fail(Fault::kUsage, "the run has no such block or state");

  const fs::path path = layout.segment(trace::Layout::segment_of_state(s));
  record::BlockState block;
  block.parameter_specs = model::block_parameter_specs(config, grid, args.block);
  block.moment_specs = model::block_moment_specs(config, grid, manifest.recipe, args.block);
  const TensorSpec& target = block.parameter_specs.at(0);
  Bytes tensor =
      trace::SegmentReader(path).read(trace::state_dataset(target.name), target.dtype, target.shape);
  flip_lowest_bit(tensor, 0);
  rewrite_segment(path, trace::state_dataset(target.name), tensor);

  const trace::SegmentReader forged(path);
  block.parameters = digests(forged, block.parameter_specs);
  block.moments = digests(forged, block.moment_specs);
  std::string& leaf = leaves.at(static_cast<std::size_t>(grid.state_leaf(s)));
  record::State state = record::parse_state(leaf, grid);
  state.blocks.at(static_cast<std::size_t>(args.block)) = record::block_digest(block);
  leaf = record::to_leaf(state);
  rewrite_log(layout.log(), leaves);

  fs::remove(layout.checkpoint());
  fs::remove(layout.manifest_proof());
  const auto made = trace::commit(layout, seal::SecretKey::read(args.key, [] { return std::string(); }));
  cli::print(cat("altered the last bit of ", target.name, "[0] in state ", s, "\nroot ",
                 to_hex(made.checkpoint.root), '\n'));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("forge-snapshot", "Alters one stored weight and seals the run anew.",
                                        aftune::flags, aftune::forge, argc, argv);
}
