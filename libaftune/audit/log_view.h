#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "record/leaves.h"

namespace aftune::audit {

/// The leaves of a training run, by what they are. Steps and states are parsed each time they are asked for:
/// a long run's log does not fit a small auditor twice. Leaves are provider bytes: every method may throw
/// Error{kEvidence} until check_structure() has gone over the log.
class LogView {
 public:
  explicit LogView(std::vector<std::string> leaves) : leaves_(std::move(leaves)) {}

  const std::vector<std::string>& leaves() const { return leaves_; }

  /// Parse leaf 0 and, later, the config text in it. To be called before what follows.
  void parse_manifest();
  void parse_config();

  const record::Manifest& manifest() const { return manifest_; }
  const record::Grid& grid() const { return manifest_.grid; }
  const model::Config& config() const { return config_; }
  /// All tensors of the model, in unit order: what base and exported lists speak of.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }

  record::Step step(std::int64_t t) const;
  record::State state(std::int64_t s) const;
  record::Final final() const;

  /// "log line 12": leaves count from 0, lines from 1.
  static std::string line(std::int64_t leaf);
  std::string step_line(std::int64_t t) const { return line(grid().step_leaf(t)); }
  std::string state_line(std::int64_t s) const { return line(grid().state_leaf(s)); }

 private:
  const std::string& leaf(std::int64_t index) const;

  std::vector<std::string> leaves_;
  record::Manifest manifest_;
  model::Config config_;
  std::vector<TensorSpec> tensors_;
};

}  // namespace aftune::audit
