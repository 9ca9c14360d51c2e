#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "model/config.h"
#include "record/serving.h"

namespace aftune::audit {

/// The leaves of a serving period that are at hand, by what they are. Answer r, from 0, has leaf r + 1. Its
/// cells are those of a grid whose steps are the answers: layer block x answer. Leaves are provider bytes:
/// every method may throw Error{kEvidence} until check_structure() has gone over the log.
class ServingLog {
 public:
  /// Leaves that were proved at their index in a log of `size`; leaf 0 is among them.
  ServingLog(std::map<std::int64_t, std::string> leaves, std::int64_t size);

  bool whole() const { return std::ssize(leaves_) == size_; }
  std::int64_t size() const { return size_; }
  std::int64_t leaves_at_hand() const { return std::ssize(leaves_); }
  bool has(std::int64_t leaf) const { return leaves_.count(leaf) != 0; }
  /// Those of answers, ascending.
  std::vector<std::int64_t> answers_at_hand() const;
  /// Whether the last leaf says that the period has ended. Requires that it is at hand.
  bool ended() const { return ended_; }

  void parse_manifest();
  void parse_config();

  const record::ServingManifest& manifest() const { return manifest_; }
  const Digest& manifest_hash() const { return manifest_hash_; }
  const record::Grid& grid() const { return grid_; }
  const model::Config& config() const { return config_; }
  /// All tensors of the model, in unit order, with the type that they are served from.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  /// What the manifest says of one of them.
  const Digest& tensor_digest(const std::string& name) const;

  static std::int64_t leaf_of(std::int64_t answer) { return answer + 1; }
  record::RequestLeaf answer(std::int64_t leaf) const;
  const std::string& leaf(std::int64_t index) const { return leaves_.at(index); }

 private:
  std::map<std::int64_t, std::string> leaves_;
  std::int64_t size_;
  bool ended_ = false;
  record::ServingManifest manifest_;
  Digest manifest_hash_;
  record::Grid grid_;
  model::Config config_;
  std::vector<TensorSpec> tensors_;
  std::map<std::string, std::size_t> places_;
};

/// `closing`: every leaf at hand is the canonical form of the kind that belongs at its index, config, grid
/// and lists agree, and the totals of an ended period are the sums over its answers. False if nothing else
/// may be asked of the log.
[[nodiscard]] bool check_structure(ServingLog& log, Findings& findings);

}  // namespace aftune::audit
