#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/config.h"
#include "record/leaves.h"
#include "record/salts.h"

namespace aftune::audit {

/// The leaves of a training run that are at hand, by what they are: the whole log, or those that were opened.
/// Steps and states are parsed each time they are asked for: a long run's log does not fit a small auditor
/// twice. Leaves are provider bytes: every method may throw Error{kEvidence} until check_structure() has gone
/// over the log.
class LogView {
 public:
  explicit LogView(std::vector<std::string> leaves);
  /// Leaves that were proved at their index in a log of `size`. The manifest is among them.
  LogView(std::map<std::int64_t, std::string> opened, std::int64_t size);

  bool whole() const { return std::ssize(leaves_) == size_; }
  /// Of the log, whether or not its leaves are at hand.
  std::int64_t size() const { return size_; }
  std::int64_t leaves_at_hand() const { return std::ssize(leaves_); }
  bool has(std::int64_t leaf) const { return leaves_.count(leaf) != 0; }
  bool has_step(std::int64_t t) const { return has(grid().step_leaf(t)); }
  bool has_state(std::int64_t s) const { return has(grid().state_leaf(s)); }
  /// Those at hand, ascending. As many as there are leaves, whatever the manifest claims.
  std::vector<std::int64_t> steps() const;
  std::vector<std::int64_t> states() const;

  /// Parse leaf 0 and, later, the config text in it. To be called before what follows.
  void parse_manifest();
  void parse_config();

  const record::Manifest& manifest() const { return manifest_; }
  const record::Grid& grid() const { return manifest_.grid; }
  const model::Config& config() const { return config_; }
  /// All that is trained, in unit order: what states and the exported list speak of. Those of the model, or
  /// of its adapters.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  /// All tensors of the model, in unit order: what the base list speaks of.
  const std::vector<TensorSpec>& base_tensors() const { return base_tensors_; }

  /// In a run with hiding: the salts by which digests are compared. Kept by reference; may throw Rejection
  /// `absent` for one that is not at hand, as published() does without any.
  void use_salts(const record::Salts& salts) { salts_ = &salts; }
  /// What a leaf must say of a digest: the digest itself, unless the run is one with hiding.
  Digest published(const record::SaltName& name, const Digest& digest) const;
  /// Whether published() can be asked.
  bool is_open(const record::SaltName& name) const;
  /// What state s must say of a block.
  Digest published_block(std::int64_t s, int block, const record::BlockState& state) const;
  /// The salt of an exported tensor of a block: that of the last state, whose digests an f32 export repeats.
  record::SaltName exported_salt(const record::Final& final, int block, const std::string& tensor) const;

  record::Step step(std::int64_t t) const;
  record::State state(std::int64_t s) const;
  record::Final final() const;

  /// "log line 12": leaves count from 0, lines from 1.
  static std::string line(std::int64_t leaf);
  std::string step_line(std::int64_t t) const { return line(grid().step_leaf(t)); }
  std::string state_line(std::int64_t s) const { return line(grid().state_leaf(s)); }

 private:
  const std::string& leaf(std::int64_t index) const;
  const record::Salts* salts() const;  // null without hiding

  std::map<std::int64_t, std::string> leaves_;
  std::int64_t size_ = 0;
  record::Manifest manifest_;
  model::Config config_;
  std::vector<TensorSpec> tensors_, base_tensors_;
  const record::Salts* salts_ = nullptr;
};

}  // namespace aftune::audit
