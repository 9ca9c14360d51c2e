#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "kernels/profile.h"
#include "model/config.h"
#include "record/grid.h"
#include "record/recipe.h"

namespace aftune::audit {

struct Job {
  std::string config_text;  ///< config.json
  model::Config config;
  record::Recipe recipe;  ///< its steps at least 1
  record::Grid grid;
  kernels::Profile profile;
  DType base_dtype = DType::kF32;  ///< of the model's tensors on disk
  std::int64_t micro_batch = 0;    ///< rows; 0: as the trainer chooses
  bool recompute = false;
  bool records = true;
  bool store_boundaries = false;
};

/// What a job will take, from its config and recipe alone, as if every row filled seq_len (docs/models.md,
/// "Before anything runs"). In bytes unless said otherwise; reals, so that no claimed size overflows.
struct Forecast {
  double parameters = 0, trained = 0;  ///< how many
  // Memory of training, and its parts.
  double weights = 0, optimizer = 0, gradients = 0, quantised = 0, activations = 0, head = 0, record = 0;
  double memory() const { return weights + optimizer + gradients + quantised + activations + head + record; }
  double step_flop = 0;        ///< floating-point operations of a step
  double attention_flop = 0;   ///< of these, attention's
  double step_boundaries = 0;  ///< activations and gradients of all boundaries of a step
  double step_log = 0;         ///< line of the log
  double snapshot = 0;
  // Of the cell that takes the most of each.
  double cell_evidence = 0, verifier_memory = 0, cell_flop = 0;
};

Forecast forecast(const Job& job);
Json to_json(const Forecast& forecast);
std::string describe(const Forecast& forecast);  ///< for people, some lines

}  // namespace aftune::audit
