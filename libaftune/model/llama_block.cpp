#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "model/layer_block.h"
#include "model/llama_head.h"
#include "model/llama_layer.h"
#include "optim/optimizer.h"

namespace aftune::model {
namespace {

/// Saved activations of a stage of layers; with recompute only the stage's input.
class LayersSaved : public Saved {
 public:
  std::vector<LayerActivations> layers;
  Matrix input;
};

/// The head has run its backward pass already: the gradient of its input waits here.
class HeadSaved : public Saved {
 public:
  Matrix d_input;
};

class LlamaBlock : public LayerBlock {
 public:
  LlamaBlock(const EngineOptions& options, int index);

  int index() const override { return index_; }
  std::vector<Parameter>& parameters() override { return parameters_; }
  const std::vector<UnitSpan>& units() const override { return units_; }
  void begin_step(const StepContext& context) override;
  StageOutput forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) override;
  Matrix backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                  const Matrix* grad_out) override;
  std::vector<double> sum_squares() override;
  void update(float clip) override;
  record::BlockState state() const override;

 private:
  bool is_head(int stage) const { return stage == options_.grid.stages() - 1; }
  UnitSpan span_of(int unit) const;
  StageOutput embed(const data::Rows& rows);
  StageOutput run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep);
  StageOutput run_head(const data::Rows& rows, const Matrix& in, bool keep);
  Matrix layers_backward(int stage, const data::Rows& rows, LayersSaved& saved, const Matrix& grad_out);
  Matrix forward_layer(int unit, const data::Rows& rows, Matrix x, LayerActivations& keep);

  EngineOptions options_;
  int index_;
  RopeTable rope_;
  LlamaLayer layer_;
  LlamaHead head_;
  std::vector<Parameter> parameters_;
  std::vector<UnitSpan> units_;
  Buffer head_use_;  ///< tied: gradient of the embedding matrix by its use in the head
  StepContext context_;
};

// Only blocks of layers rotate; positions beyond seq_len never occur.
RopeTable rope_for(const EngineOptions& options, int index) {
  const int stage = options.grid.stages_of_block(index).front();
  const bool layers = stage > 0 && stage < options.grid.stages() - 1;
  return RopeTable::make(options.config, layers ? options.recipe.seq_len : 0);
}

LlamaBlock::LlamaBlock(const EngineOptions& options, int index)
    : options_(options),
      index_(index),
      rope_(rope_for(options, index)),
      layer_(options_.config, rope_, *options_.pool),
      head_(options_.config, *options_.pool) {
  const std::size_t moments = optim::moment_names(options_.recipe).size();
  for (const int unit : options_.grid.units_of_block(index)) {
    const std::size_t first = parameters_.size();
    for (TensorSpec& spec : unit_tensors(options_.config, unit)) {
      const std::int64_t count = element_count(spec.shape);
      Parameter& p = parameters_.emplace_back();
      p.spec = std::move(spec);
      p.value = Buffer(count);
      for (std::size_t m = 0; m < moments; ++m) p.moments.emplace_back(count);
    }
    units_.push_back({unit, first, parameters_.size()});
  }
}

LayerBlock::UnitSpan LlamaBlock::span_of(int unit) const {
  const auto found =
      std::find_if(units_.begin(), units_.end(), [&](const UnitSpan& s) { return s.unit == unit; });
  AFTUNE_CHECK(found != units_.end());
  return *found;
}

void LlamaBlock::begin_step(const StepContext& context) {
  context_ = context;
  const auto zero = [](Buffer& gradient, std::int64_t count) {
    if (gradient.size() != count) gradient = Buffer(count);
    std::memset(gradient.data(), 0, static_cast<std::size_t>(count) * sizeof(float));
  };
  for (Parameter& p : parameters_) zero(p.gradient, p.value.size());
  if (options_.grid.tied && index_ == 0) zero(head_use_, parameters_[0].value.size());
}

StageOutput LlamaBlock::forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) {
  AFTUNE_CHECK(options_.grid.block_of_stage(stage) == index_);
  if (stage == 0) return embed(rows);
  AFTUNE_CHECK(in != nullptr && in->rows == rows.size() && in->cols == options_.config.hidden);
  return is_head(stage) ? run_head(rows, *in, keep) : run_layers(stage, rows, *in, keep);
}

StageOutput LlamaBlock::embed(const data::Rows& rows) {
  StageOutput result;
  result.out = Matrix(rows.size(), options_.config.hidden);
  kernels::embedding(*options_.pool, rows.size(), options_.config.hidden, rows.tokens.data(),
                     parameters_[0].value.data(), result.out.data());
  return result;
}

Matrix LlamaBlock::forward_layer(int unit, const data::Rows& rows, Matrix x, LayerActivations& keep) {
  return layer_.forward(&parameters_[span_of(unit).first], rows, std::move(x), keep);
}

StageOutput LlamaBlock::run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  StageOutput result;
  auto saved = std::make_unique<LayersSaved>();
  Matrix x(in.rows, in.cols);
  std::memcpy(x.data(), in.data(), in.bytes().size());
  if (keep && options_.recompute) {
    saved->input = Matrix(in.rows, in.cols);
    std::memcpy(saved->input.data(), in.data(), in.bytes().size());
  }
  for (int unit = range.first; unit < range.last; ++unit) {
    LayerActivations activations;
    x = forward_layer(unit, rows, std::move(x), activations);
    if (keep && !options_.recompute) saved->layers.push_back(std::move(activations));
  }
  result.out = std::move(x);
  if (keep) result.saved = std::move(saved);
  return result;
}

StageOutput LlamaBlock::run_head(const data::Rows& rows, const Matrix& in, bool keep) {
  const UnitSpan span = span_of(options_.config.layers + 1);
  Parameter& norm = parameters_[span.first];
  const bool tied = options_.grid.tied;
  Parameter& weight = tied ? parameters_[0] : parameters_[span.first + 1];
  Buffer& d_weight = tied ? head_use_ : weight.gradient;
  const auto inv_predicted =
      static_cast<float>(1.0 / static_cast<double>(std::max<std::int64_t>(1, context_.predicted)));
  HeadResult head = head_.run(norm, weight.value, &d_weight, rows, in, inv_predicted, keep);
  StageOutput result;
  result.row_losses = std::move(head.row_losses);
  if (keep) {
    auto saved = std::make_unique<HeadSaved>();
    saved->d_input = std::move(head.d_input);
    result.saved = std::move(saved);
  }
  return result;
}

Matrix LlamaBlock::backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                            const Matrix* grad_out) {
  if (is_head(stage)) return std::move(static_cast<HeadSaved&>(*saved).d_input);
  AFTUNE_CHECK(grad_out != nullptr && grad_out->rows == rows.size());
  if (stage == 0) {
    kernels::embedding_grad(*options_.pool, rows.rows(), rows.row_starts.data(), options_.config.hidden,
                            rows.tokens.data(), grad_out->data(), parameters_[0].gradient.data());
    return {};
  }
  return layers_backward(stage, rows, static_cast<LayersSaved&>(*saved), *grad_out);
}

Matrix LlamaBlock::layers_backward(int stage, const data::Rows& rows, LayersSaved& saved,
                                   const Matrix& grad_out) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  if (options_.recompute) {
    Matrix x = std::move(saved.input);
    for (int unit = range.first; unit < range.last; ++unit) {
      saved.layers.emplace_back();
      x = forward_layer(unit, rows, std::move(x), saved.layers.back());
    }
  }
  Matrix gradient(grad_out.rows, grad_out.cols);
  std::memcpy(gradient.data(), grad_out.data(), grad_out.bytes().size());
  for (int unit = range.last - 1; unit >= range.first; --unit) {
    gradient =
        layer_.backward(&parameters_[span_of(unit).first], rows, saved.layers.back(), std::move(gradient));
    saved.layers.pop_back();
  }
  return gradient;
}

std::vector<double> LlamaBlock::sum_squares() {
  if (!head_use_.empty()) {
    Buffer& gradient = parameters_[0].gradient;
    kernels::add(*options_.pool, gradient.size(), gradient.data(), head_use_.data(), gradient.data());
  }
  std::vector<double> sums;
  for (const UnitSpan& span : units_) {
    double sum = 0.0;
    for (std::size_t i = span.first; i < span.last; ++i)
      sum += kernels::sum_squares(*options_.pool, parameters_[i].gradient.size(),
                                  parameters_[i].gradient.data());
    if (!(sum - sum == 0.0))
      fail(Fault::kUsage, "step ", context_.step, ": non-finite gradient in unit ", span.unit);
    sums.push_back(sum);
  }
  return sums;
}

void LlamaBlock::update(float clip) {
  for (Parameter& p : parameters_) {
    bool nonfinite = false;
    optim::update(options_.recipe, context_.step, context_.lr, clip, p.spec.shape, p.value, p.moments,
                  p.gradient, *options_.pool, &nonfinite);
    if (nonfinite) fail(Fault::kUsage, "step ", context_.step, ": non-finite update of ", p.spec.name);
  }
}

record::BlockState LlamaBlock::state() const {
  record::BlockState state;
  const std::vector<std::string> moments = optim::moment_names(options_.recipe);
  for (const Parameter& p : parameters_) {
    state.parameter_specs.push_back(p.spec);
    state.parameters.push_back(hash::blake3(p.value.bytes(), options_.pool));
    for (std::size_t m = 0; m < moments.size(); ++m) {
      state.moment_specs.push_back({p.spec.name + '.' + moments[m], DType::kF32, p.spec.shape});
      state.moments.push_back(hash::blake3(p.moments[m].bytes(), options_.pool));
    }
  }
  return state;
}

}  // namespace

std::unique_ptr<LayerBlock> make_block(const EngineOptions& options, int index) {
  return std::make_unique<LlamaBlock>(options, index);
}

std::vector<TensorSpec> block_parameter_specs(const Config& config, const record::Grid& grid, int block) {
  std::vector<TensorSpec> specs;
  for (const int unit : grid.units_of_block(block))
    for (TensorSpec& spec : unit_tensors(config, unit)) specs.push_back(std::move(spec));
  return specs;
}

std::vector<TensorSpec> block_moment_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block) {
  std::vector<TensorSpec> specs;
  for (const TensorSpec& p : block_parameter_specs(config, grid, block))
    for (const std::string& moment : optim::moment_names(recipe))
      specs.push_back({p.name + '.' + moment, DType::kF32, p.shape});
  return specs;
}

}  // namespace aftune::model
