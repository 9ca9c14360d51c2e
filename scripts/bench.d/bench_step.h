#pragma once

// The step that the benchmarks in C++ take: of the bench model (bench_model.py), a batch of full rows.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "model/layer_block.h"

namespace aftune::bench {

inline constexpr std::int64_t kHidden = 512, kLayers = 8, kInter = 1376, kHeads = 8, kSeq = 256, kBatch = 8,
                              kTokens = kSeq * kBatch;

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline data::Rows full_rows(std::int64_t vocab) {
  std::vector<std::int32_t> layout;
  for (std::int64_t r = 0; r < kBatch; ++r) layout.insert(layout.end(), {1, kSeq});
  data::Rows rows = data::rows_from_layout(layout, kTokens);
  for (std::int64_t i = 0; i < kTokens; ++i) {
    rows.tokens.push_back(static_cast<std::int32_t>(i * 7919 % vocab));
    rows.labels.push_back(static_cast<std::int32_t>((i + 1) * 7919 % vocab));
  }
  return rows;
}

inline model::EngineOptions bench_options(ThreadPool& pool, std::int64_t vocab,
                                          const kernels::Profile& profile) {
  model::EngineOptions o;
  o.profile = profile;
  o.config.vocab = vocab;
  o.config.hidden = kHidden;
  o.config.intermediate = kInter;
  o.config.layers = kLayers;
  o.config.heads = o.config.kv_heads = kHeads;
  o.config.head_dim = kHidden / kHeads;
  o.config.tied = true;
  o.recipe.steps = 64;
  o.recipe.batch_size = kBatch;
  o.recipe.seq_len = kSeq;
  o.recipe.clip_norm = 1.0;
  o.grid = {.layers = kLayers, .tied = true, .layers_per_block = 2, .steps = 64, .steps_per_block = 8};
  o.pool = &pool;
  return o;
}

}  // namespace aftune::bench
