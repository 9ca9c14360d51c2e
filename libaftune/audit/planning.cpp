#include "audit/planning.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "hash/merkle.h"
#include "record/leaves.h"

namespace aftune::audit {
namespace {

std::int64_t bad_cells(double tampered, std::int64_t total) {
  const auto bad = static_cast<std::int64_t>(std::ceil(tampered * static_cast<double>(total)));
  return std::clamp<std::int64_t>(bad, 1, total);
}

}  // namespace

std::int64_t cells_for(double confidence, double tampered, std::optional<std::int64_t> total) {
  if (total) return sample_size(*total, bad_cells(tampered, *total), confidence);
  if (tampered <= 0)
    fail(Fault::kUsage, "how many cells find one bad cell depends on how many there are: give the manifest");
  if (tampered >= 1 || confidence <= 0) return 1;
  // Smallest n with (1 - tampered)^n <= 1 - confidence.
  return static_cast<std::int64_t>(std::ceil(std::log1p(-confidence) / std::log1p(-tampered)));
}

Odds odds_of(const Plan& plan, const record::Grid& grid, double tampered) {
  Odds odds;
  odds.total = grid.cells();
  odds.bad = bad_cells(tampered, odds.total);
  odds.uniform = plan.all ? odds.total : std::min(plan.uniform, odds.total);
  odds.detection = detection_probability(odds.total, odds.bad, odds.uniform);
  odds.one_cell = detection_probability(odds.total, 1, odds.uniform);
  odds.one_column = detection_probability(odds.total, grid.step_blocks(), odds.uniform);
  return odds;
}

record::Grid proved_grid(std::string_view note, std::string_view manifest_leaf, std::string_view proof) {
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(note).text);
  const seal::LeafProof leaf = seal::LeafProof::parse(proof);
  const bool first = leaf.index == 0 && hash::verify_inclusion(hash::leaf_hash(manifest_leaf), 0,
                                                               checkpoint.size, leaf.proof, checkpoint.root);
  if (!first) fail(Fault::kEvidence, "the proof does not show that this is the first leaf of the sealed log");
  return record::parse_manifest(manifest_leaf).grid;
}

record::Grid sealed_grid(std::string_view note, const trace::Log& log) {
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(note).text);
  if (checkpoint.size > log.leaves.size() || log.leaves.empty() ||
      log.tree().root(checkpoint.size) != checkpoint.root)
    fail(Fault::kEvidence, "not the log that the checkpoint seals");
  return record::parse_manifest(log.leaves.front()).grid;
}

}  // namespace aftune::audit
