#pragma once

// A run small enough to enumerate: blocks whose arithmetic is a few multiplications, recorded by the real
// recorder. What is tested is what is written when, not the arithmetic.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hash/blake3.h"
#include "train/recorder.h"

namespace aftune::train::toy {

/// One parameter a unit, changed by each step as a function of the step and of itself.
class ToyBlock : public model::LayerBlock {
 public:
  ToyBlock(const record::Grid& grid, int index) : index_(index) {
    for (const int unit : grid.units_of_block(index)) {
      model::Parameter p;
      p.spec = {cat("unit.", unit), DType::kF32, {2, 3}};
      p.value = Buffer::zeros(6);
      for (int i = 0; i < 6; ++i) p.value[i] = static_cast<float>(unit + i);
      p.moments.push_back(Buffer::zeros(6));
      p.moments.push_back(Buffer::zeros(6));
      spans_.push_back({unit, parameters_.size(), parameters_.size() + 1});
      parameters_.push_back(std::move(p));
    }
  }
  int index() const override { return index_; }
  std::vector<model::Parameter>& parameters() override { return parameters_; }
  const std::vector<UnitSpan>& units() const override { return spans_; }
  void begin_step(const model::StepContext& context) override { step_ = context.step; }
  model::StageOutput forward(int, const data::Rows&, const Matrix*, bool) override { return {}; }
  Matrix infer(int, const data::Rows&, const Matrix*, std::span<model::KvCache* const>) override {
    return {};
  }
  Matrix logits(const Matrix&) override { return {}; }
  Matrix backward(int, const data::Rows&, std::unique_ptr<model::Saved>, const Matrix*) override {
    return {};
  }
  std::vector<double> sum_squares() override { return std::vector<double>(spans_.size(), 1.0); }
  void update(float) override {
    for (model::Parameter& p : parameters_)
      for (int i = 0; i < 6; ++i) {
        p.moments[0][i] = p.moments[0][i] * 0.5f + p.value[i];
        p.moments[1][i] = static_cast<float>(step_);
        p.value[i] = p.value[i] * 0.75f - static_cast<float>(step_ + i);
      }
  }
  record::BlockState state() const override {
    record::BlockState s;
    for (const model::Parameter& p : parameters_) {
      s.parameter_specs.push_back(p.spec);
      s.parameters.push_back(hash::blake3(p.value.bytes()));
      for (std::size_t i = 0; i < 2; ++i) {
        s.moment_specs.push_back(
            {p.spec.name + (i == 0 ? ".exp_avg" : ".exp_avg_sq"), DType::kF32, p.spec.shape});
        s.moments.push_back(hash::blake3(p.moments[i].bytes()));
      }
    }
    return s;
  }

 private:
  int index_;
  std::int64_t step_ = 0;
  std::vector<model::Parameter> parameters_;
  std::vector<UnitSpan> spans_;
};

inline record::Manifest manifest(std::int64_t steps = 7, std::int64_t steps_per_block = 2) {
  record::Manifest m;
  m.run = std::string(32, '0');
  m.created = 1;
  m.software = "aftune 0.1.0";
  m.config = "{}";
  m.data_rows = 5;
  m.recipe.steps = steps;
  m.recipe.seq_len = 8;
  m.recipe.batch_size = 2;
  m.grid = {
      .layers = 3, .tied = true, .layers_per_block = 2, .steps = steps, .steps_per_block = steps_per_block};
  return m;
}

inline Blocks blocks(const record::Manifest& m) {
  Blocks list;
  for (int b = 0; b < m.grid.blocks(); ++b) list.push_back(std::make_unique<ToyBlock>(m.grid, b));
  return list;
}

/// The toy's blocks with more in each tensor, and several pieces in those of the first unit, so that writing
/// them takes a while.
inline Blocks large_blocks(const record::Manifest& m) {
  Blocks list = blocks(m);
  std::int64_t count = (std::int64_t{5} << 18) + 3;
  float next = 1;
  for (const auto& block : list)
    for (model::Parameter& p : block->parameters()) {
      p.spec.shape = {count};
      for (Buffer* b : {&p.value, p.moments.data(), p.moments.data() + 1}) {
        *b = Buffer(count);
        for (std::int64_t i = 0; i < count; ++i) (*b)[i] = next + static_cast<float>(i % 4096);
        next += 1;
      }
      count = (std::int64_t{1} << 17) + 1;
    }
  return list;
}

inline data::Batch batch(std::int64_t step) {
  data::Batch b;
  b.from = 2 * step;
  b.to = b.from + 2;
  b.predicted = 3;
  b.rows = data::rows_from_layout({1, 2, 1, 3}, 100);
  b.rows.tokens = {1, 2, 3, static_cast<std::int32_t>(step), 5};
  b.rows.labels = {2, -1, 4, 5, -1};
  return b;
}

inline Matrix boundary(std::int64_t step, int index, std::int64_t first, std::int64_t rows, float salt) {
  Matrix m(rows, 4);
  for (std::int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < 4; ++c)
      m.row(r)[c] = static_cast<float>((first + r) * 100 + step * 10 + index + c) + salt;
  return m;
}

/// Steps from where the recorder says, until `stop`; finishes if that is the end. Returns the blocks.
struct Run {
  RecordOptions options;
  record::Manifest manifest;
  /// Called before each step; may throw.
  std::function<void(std::int64_t)> before_step;
  float salt = 0;                                          ///< another salt, another run
  std::optional<record::RunSecret> secret = std::nullopt;  ///< a run with hiding

  Blocks go(std::int64_t stop) const {
    ThreadPool pool(2);
    record::Manifest stated = manifest;
    if (secret) stated.hiding_key = record::secret_check(*secret);
    Blocks model = blocks(manifest);
    Recorder recorder(options, stated, pool, secret);
    if (recorder.resume_state(model))
      recorder.restore(model);
    else
      recorder.begin(model);
    const record::Grid& grid = manifest.grid;
    for (std::int64_t t = recorder.resume_step(); t < std::min(stop, grid.steps); ++t) {
      if (before_step) before_step(t);
      StepObserver& observer = recorder.observer(t);
      for (const auto& b : model) b->begin_step({.step = t, .lr = 0, .predicted = 3});
      for (const auto& [first, rows] : {std::pair<int, int>{0, 2}, std::pair<int, int>{2, 3}})
        for (int b = 0; b < grid.boundaries(); ++b) {
          observer.activation(b, boundary(t, b, first, rows, salt));
          observer.gradient(b, boundary(t, b, first, rows, salt + 0.5f));
        }
      observer.before_update();
      for (const auto& b : model) b->update(1);
      const StepResult result{.loss = static_cast<float>(t),
                              .unit_sums = std::vector<double>(static_cast<std::size_t>(grid.units()), 1.0),
                              .norm = 2,
                              .clip = 1};
      recorder.end_step(t, batch(t), result, 0.5, std::nullopt, model);
    }
    if (stop >= grid.steps)
      recorder.finish({DType::kF32, {Digest{}}, Digest{}}, {{"model.safetensors", Digest{}}});
    return model;
  }
};

}  // namespace aftune::train::toy
