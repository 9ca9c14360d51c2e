#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/accelerator.h"
#include "base/files.h"
#include "kernels/i14.h"
#include "kernels/profile.h"
#include "record/recipe.h"
#include "train/recorder.h"

namespace aftune::train {

struct TrainOptions {
  fs::path model;  ///< folder: config.json, weights unless recipe.init, tokenizer.json
  fs::path data;   ///< JSONL
  fs::path out;    ///< folder to write; must not exist, or be empty, or be this run's own (resume)
  std::optional<fs::path> adapter;  ///< folder of adapters to go on from; rank, alpha and targets are theirs
  std::optional<fs::path> eval_data;
  std::int64_t eval_every = 0;  ///< 0: after the last step only
  record::Recipe recipe;        ///< steps resolved (from --epochs too)
  double epochs = 0;  ///< used when recipe.steps is 0: as many steps as cover epochs * rows positions
  int layers_per_block = 1;
  std::int64_t steps_per_block = 8;
  kernels::Profile profile{kernels::kDefaultI14Group};
  std::optional<RecordOptions> record;  ///< nullopt: --no-record
  std::string run_id;                   ///< 32 hex digits, or empty: random
  std::int64_t created = 0;             ///< unix seconds
  std::string nonce;                    ///< hex, or empty
  std::int64_t micro_batch = 0;         ///< 0: default_micro_batch
  bool recompute = false;
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  bool quiet = false;
};

/// What is reported after each step.
struct StepReport {
  std::int64_t step;
  float loss;
  double lr;
  double grad_norm;
  std::int64_t tokens;
  double seconds;
  std::optional<float> eval_loss;
};

struct TrainSummary {
  std::int64_t steps = 0;
  double waited = 0;         ///< seconds that training stood still for the disk
  bool interrupted = false;  ///< SIGINT or SIGTERM: nothing was exported; the trace can be resumed
};

/// Runs a fine-tuning job from flags to export. Throws Error as the parts do; nothing half-written has a
/// final name.
TrainSummary train(const TrainOptions& options, const std::function<void(const StepReport&)>& on_step);

/// The manifest of such a job, and what had to be read for it.
record::Manifest make_manifest(const TrainOptions& options);

}  // namespace aftune::train
