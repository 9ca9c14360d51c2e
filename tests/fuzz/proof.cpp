// Proofs of one operation: a whole file; or an entry of an op list, the manifest's leaf, a step's leaf, the
// list of the inputs' datasets, with a NUL after each, and the inputs' data, around which a proof is built
// whose signatures, inclusion proofs and input digests are right, so that the operation is run.
#include "audit/op_proof.h"

#include <algorithm>

#include "base/error.h"
#include "fuzz/json_input.h"
#include "fuzz/parts.h"
#include "fuzz/segment_bytes.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "record/leaves.h"
#include "seal/note.h"

namespace aftune {
namespace {

constexpr const char* kName = "audit.example/acme";
constexpr std::uint64_t kMemory = std::uint64_t{16} << 20;  // of an operation that is run
constexpr std::int64_t kLongestLog = 64;

// The dataset's part of `data`; nothing if there is no such part.
std::string_view part_of(std::string_view data, const Json& dataset) {
  try {
    const auto offset = dataset.at("extents").at(0).at(0).get<std::uint64_t>();
    const auto size = dataset.at("extents").at(0).at(1).get<std::uint64_t>();
    if (offset < trace::kUserBlock || offset - trace::kUserBlock > data.size()) return {};
    return data.substr(offset - trace::kUserBlock, size);
  } catch (const Json::exception&) {
    return {};
  }
}

// The entry, naming as its inputs what the datasets hold.
std::string with_inputs(std::string_view entry, const Json& datasets, std::string_view data) {
  Json json = fuzz::json_of(entry);
  if (!json.is_object() || !json.contains("in") || !json["in"].is_array()) return std::string(entry);
  const std::size_t count = std::min(json["in"].size(), datasets.size());
  for (std::size_t i = 0; i < count; ++i) json["in"][i] = to_hex(hash::blake3(part_of(data, datasets[i])));
  return fuzz::canonical_or_same(json_text(json));
}

struct Claimed {
  std::string run = "00";
  std::int64_t log_size = 4;
  std::int64_t step_leaf = 2;
  audit::Cell cell;
};

Claimed claimed(const std::string& manifest, const std::string& entry) {
  Claimed c;
  fuzz::takes([&] {
    const record::Manifest m = record::parse_manifest(manifest);
    const record::Grid& grid = m.grid;
    if (grid.log_size() > kLongestLog) return;
    c.run = m.run;
    c.log_size = grid.log_size();
    const std::int64_t step = audit::parse_op_entry(entry).step;
    if (step >= grid.steps) return;
    c.step_leaf = grid.step_leaf(step);
    c.cell.step_block = step / grid.steps_per_block;
  });
  return c;
}

audit::OpProof proof_of(const std::string& entry, const std::string& manifest, const std::string& step) {
  const Claimed c = claimed(manifest, entry);
  std::vector<std::string> lines(static_cast<std::size_t>(c.log_size));
  lines.at(static_cast<std::size_t>(c.step_leaf)) = step;
  lines.front() = manifest;
  hash::MerkleTree log, ops;
  for (const std::string& line : lines) log.append(hash::leaf_hash(line));
  ops.append(hash::leaf_hash(entry));
  const auto size = static_cast<std::uint64_t>(c.log_size);
  const seal::Checkpoint checkpoint{cat(kName, '/', c.run), size, log.root()};
  audit::OpProof proof;
  proof.note = seal::sign_checkpoint(checkpoint, provider_key()).to_text();
  proof.head = {c.cell, 1, ops.root()};
  proof.signature = audit::sign_ops(proof.head, checkpoint, provider_key());
  proof.entry = entry;
  for (const std::int64_t leaf : {std::int64_t{0}, c.step_leaf}) {
    const auto i = static_cast<std::uint64_t>(leaf);
    proof.leaves.push_back({leaf, lines[i], log.inclusion(i, size)});
  }
  return proof;
}

std::string file_of(std::string_view input) {
  if (input.starts_with(trace::kSegmentMagic)) return fuzz::with_right_digest(std::string(input));
  const std::string_view entry = next_part(input);
  const std::string manifest = fuzz::canonical_or_same(next_part(input));
  const std::string step = fuzz::canonical_or_same(next_part(input));
  Json datasets = fuzz::json_of(next_part(input));
  if (!datasets.is_array()) datasets = Json::array();
  std::string data(input);
  const audit::OpProof proof = proof_of(with_inputs(entry, datasets, data), manifest, step);
  const std::string index = audit::to_text(proof);
  // "/proof/index" sorts before "/proof/inputs/".
  const Json own = {{"chunk", Json::array()},
                    {"dtype", "U8"},
                    {"extents", {{trace::kUserBlock + data.size(), index.size()}}},
                    {"path", audit::kProofIndex},
                    {"shape", {index.size()}}};
  datasets.insert(datasets.begin(), own);
  return fuzz::segment_around(data + index, fuzz::canonical_or_same(json_text(datasets)));
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  std::string_view input = fuzz::text_of(data, size);
  fuzz::takes([&] {
    const fs::path path = fuzz::file_with(file_of(input));
    const audit::Verdict verdict = audit::check_op_proof({.proof = path,
                                                          .key = provider_key().public_key(),
                                                          .threads = 1,
                                                          .max_memory = kMemory,
                                                          .origin = trace::Origin::kOwn});
    AFTUNE_CHECK(verdict.outcome != audit::Outcome::kAccept);
  });
  const std::string text = fuzz::canonical_or_same(next_part(input));
  fuzz::takes([&] { AFTUNE_CHECK(audit::to_text(audit::parse_op_proof(text)) == text); });
  return 0;
}
