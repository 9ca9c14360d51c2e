#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/folder.h"
#include "model/layer_block.h"
#include "model/llama_head.h"
#include "model/llama_layer.h"
#include "model/rope_table.h"
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

std::string unit_name(const Config& config, int unit) {
  if (unit == 0) return "the embedding";
  return unit == config.layers + 1 ? "the head" : cat("layer ", unit - 1);
}

class LlamaBlock : public LayerBlock {
 public:
  LlamaBlock(const EngineOptions& options, int index);

  int index() const override { return index_; }
  // Handed out to be changed. Adapters are in no product that keeps anything of its factors.
  std::vector<Parameter>& parameters() override {
    if (!frozen()) products_.weights_changed();
    return parameters_;
  }
  const std::vector<UnitSpan>& units() const override { return units_; }
  void begin_step(const StepContext& context) override;
  StageOutput forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) override;
  Matrix infer(int stage, const data::Rows& rows, const Matrix* in,
               std::span<KvCache* const> caches) override;
  Matrix logits(const Matrix& in) override;
  Matrix backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                  const Matrix* grad_out) override;
  std::vector<double> sum_squares() override;
  void update(float clip) override;
  record::BlockState state() const override;

 private:
  bool is_head(int stage) const { return stage == options_.grid.stages() - 1; }
  bool frozen() const { return options_.recipe.is_lora(); }
  void read_base(const Checkpoint& base);
  // The tensors of the model, by unit: what is trained, or what is frozen.
  Parameter* base_of(int unit);
  LayerTensors layer_tensors(int unit);
  Parameter& head_norm() { return *base_of(options_.config.layers + 1); }
  Parameter& head_weight() {
    return options_.grid.tied ? *base_of(0) : base_of(options_.config.layers + 1)[1];
  }
  void check(int stage, const data::Rows& rows, const Matrix* in);
  void check_rows(int stage, const data::Rows& rows) const;
  StageOutput embed(const data::Rows& rows);
  StageOutput run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep);
  StageOutput run_head(const data::Rows& rows, const Matrix& in, bool keep);
  Matrix layers_backward(int stage, const data::Rows& rows, LayersSaved& saved, const Matrix& grad_out);
  void join_uses();

  EngineOptions options_;
  int index_;
  RopeTable rope_;
  Products products_;
  Adapters adapters_;
  LlamaLayer layer_;
  LlamaHead head_;
  std::vector<Parameter> parameters_;
  std::vector<UnitSpan> units_;
  std::vector<Parameter> base_;       ///< with adapters: the model's own tensors, without gradients
  std::vector<UnitSpan> base_units_;  ///< as units_, of these
  Buffer head_use_;                   ///< tied: gradient of the embedding matrix by its use in the head
  bool joined_ = false;
  bool finite_ = true;  ///< losses, and gradients that no parameter's is made of
  StepContext context_;
};

ByteView bytes_of(const std::vector<std::int32_t>& list) {
  return std::as_bytes(std::span(list));
}

Matrix copy(ThreadPool& pool, const Matrix& from) {
  Matrix to;
  to.rows = from.rows;
  to.cols = from.cols;
  to.values = from.values.clone(pool);
  return to;
}

LlamaBlock::LlamaBlock(const EngineOptions& options, int index)
    : options_(options),
      index_(index),
      rope_(options_.config),
      products_(*options_.pool, options_.profile, options_.ops),
      adapters_(options_.config, options_.recipe, *options_.pool, options_.ops),
      layer_(options_.config, rope_, products_, adapters_, *options_.pool, options_.ops),
      head_(options_.config, products_, *options_.pool, LlamaHead::kMaxLogits, options_.ops) {
  const std::size_t moments = optim::moment_names(options_.recipe).size();
  for (const int unit : options_.grid.units_of_block(index)) {
    const std::size_t first = parameters_.size();
    for (TensorSpec& spec : trained_tensors(options_.config, options_.recipe, unit)) {
      const std::int64_t count = element_count(spec.shape);
      Parameter& p = parameters_.emplace_back();
      p.spec = std::move(spec);
      p.value = Buffer(count);
      for (std::size_t m = 0; m < moments; ++m) p.moments.emplace_back(count);
    }
    units_.push_back({unit, first, parameters_.size()});
  }
  if (!frozen()) return;
  AFTUNE_CHECK(options_.base != nullptr);
  read_base(*options_.base);
}

void LlamaBlock::read_base(const Checkpoint& base) {
  for (const UnitSpan& own : units_) {
    const std::size_t first = base_.size();
    for (TensorSpec& spec : unit_tensors(options_.config, own.unit)) {
      Parameter& p = base_.emplace_back();
      p.spec = std::move(spec);
      p.value = read_parameter(base, p.spec);
    }
    base_units_.push_back({own.unit, first, base_.size()});
  }
}

std::size_t first_of(const std::vector<LayerBlock::UnitSpan>& spans, int unit) {
  const auto found =
      std::find_if(spans.begin(), spans.end(), [&](const auto& span) { return span.unit == unit; });
  AFTUNE_CHECK(found != spans.end());
  return found->first;
}

Parameter* LlamaBlock::base_of(int unit) {
  return frozen() ? &base_[first_of(base_units_, unit)] : &parameters_[first_of(units_, unit)];
}

LayerTensors LlamaBlock::layer_tensors(int unit) {
  return {base_of(unit), frozen() ? &parameters_[first_of(units_, unit)] : nullptr, unit - 1};
}

// Whoever made the rows has checked them; an index beyond a table must not get as far as the kernels.
void LlamaBlock::check_rows(int stage, const data::Rows& rows) const {
  const auto within = [vocab = options_.config.vocab](std::int32_t least) {
    return [=](std::int32_t id) { return id >= least && id < vocab; };
  };
  const auto n = static_cast<std::size_t>(rows.size());
  AFTUNE_CHECK(rows.positions.size() == n);
  if (stage == 0) {
    AFTUNE_CHECK(rows.tokens.size() == n);
    AFTUNE_CHECK(std::all_of(rows.tokens.begin(), rows.tokens.end(), within(0)));
  } else if (is_head(stage)) {
    AFTUNE_CHECK(rows.labels.size() == n);
    AFTUNE_CHECK(std::all_of(rows.labels.begin(), rows.labels.end(), within(data::kNoLabel)));
  } else {
    const auto inside = [&](std::int32_t position) { return position >= 0 && position < rope_.positions(); };
    AFTUNE_CHECK(std::all_of(rows.positions.begin(), rows.positions.end(), inside));
  }
}

void LlamaBlock::begin_step(const StepContext& context) {
  context_ = context;
  joined_ = false;
  finite_ = true;
  adapters_.begin_step(context.step);
  const auto zero = [this](Buffer& gradient, std::int64_t count) {
    if (gradient.size() != count) gradient = Buffer(count);
    gradient.clear(*options_.pool);
  };
  for (Parameter& p : parameters_) zero(p.gradient, p.value.size());
  if (options_.grid.tied && index_ == 0 && !frozen()) zero(head_use_, parameters_[0].value.size());
}

void LlamaBlock::check(int stage, const data::Rows& rows, const Matrix* in) {
  AFTUNE_CHECK(options_.grid.block_of_stage(stage) == index_);
  AFTUNE_CHECK(stage == 0 ||
               (in != nullptr && in->rows == rows.size() && in->cols == options_.config.hidden));
  if (stage > 0 && !is_head(stage) && !rows.positions.empty())
    rope_.cover(1 + *std::max_element(rows.positions.begin(), rows.positions.end()));
  check_rows(stage, rows);
}

StageOutput LlamaBlock::forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) {
  check(stage, rows, in);
  AFTUNE_CHECK(options_.ops == nullptr || (keep && rows.rows() == 1 && !options_.recompute));
  if (stage == 0) return embed(rows);
  return is_head(stage) ? run_head(rows, *in, keep) : run_layers(stage, rows, *in, keep);
}

StageOutput LlamaBlock::embed(const data::Rows& rows) {
  StageOutput result;
  result.out = Matrix(rows.size(), options_.config.hidden);
  const Parameter& table = *base_of(0);
  observed(options_.ops, {OpKind::kEmbedding, table.spec.name, rows.size()},
           {bytes_of(rows.tokens), table.value.bytes()}, {result.out.bytes()}, [&] {
             kernels::embedding(*options_.pool, rows.size(), options_.config.hidden, rows.tokens.data(),
                                table.value.data(), result.out.data());
           });
  return result;
}

StageOutput LlamaBlock::run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  StageOutput result;
  auto saved = std::make_unique<LayersSaved>();
  if (keep && options_.recompute) saved->input = copy(*options_.pool, in);
  result.out = copy(*options_.pool, in);
  for (int unit = range.first; unit < range.last; ++unit) {
    LayerActivations activations;
    activations.training = keep;
    result.out = layer_.forward(layer_tensors(unit), rows, std::move(result.out), activations);
    if (keep && !options_.recompute) saved->layers.push_back(std::move(activations));
  }
  if (keep) result.saved = std::move(saved);
  return result;
}

StageOutput LlamaBlock::run_head(const data::Rows& rows, const Matrix& in, bool keep) {
  Parameter& weight = head_weight();
  Buffer& d_weight = options_.grid.tied ? head_use_ : weight.gradient;
  const HeadWeights weights{head_norm(), weight.value, keep && !frozen() ? &d_weight : nullptr,
                            weight.spec.name, keep && frozen()};
  float inv_predicted = 0.0f;
  if (keep) {
    AFTUNE_CHECK(context_.predicted > 0);
    inv_predicted = static_cast<float>(1.0 / static_cast<double>(context_.predicted));
  }
  HeadResult head = head_.run(weights, rows, in, inv_predicted);
  StageOutput result;
  result.row_losses = std::move(head.row_losses);
  if (!keep) return result;
  for (const double loss : result.row_losses) finite_ = finite_ && std::isfinite(loss);
  auto saved = std::make_unique<HeadSaved>();
  saved->d_input = std::move(head.d_input);
  result.saved = std::move(saved);
  return result;
}

Matrix LlamaBlock::infer(int stage, const data::Rows& rows, const Matrix* in,
                         std::span<KvCache* const> caches) {
  AFTUNE_CHECK(!is_head(stage));
  check(stage, rows, in);
  if (stage == 0) return std::move(embed(rows).out);
  AFTUNE_CHECK(std::ssize(caches) + 1 == std::ssize(rows.doc_starts));
  for (std::size_t i = 0; i < caches.size(); ++i)
    for (std::int64_t t = rows.doc_starts[i]; t < rows.doc_starts[i + 1]; ++t)
      AFTUNE_CHECK(rows.positions[static_cast<std::size_t>(t)] ==
                   caches[i]->length() + t - rows.doc_starts[i]);
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  Matrix x = copy(*options_.pool, *in);
  for (int unit = range.first; unit < range.last; ++unit)
    x = layer_.infer(layer_tensors(unit), rows, std::move(x), caches, unit - range.first);
  for (std::size_t i = 0; i < caches.size(); ++i)
    caches[i]->advance(rows.doc_starts[i + 1] - rows.doc_starts[i]);
  return x;
}

Matrix LlamaBlock::logits(const Matrix& in) {
  AFTUNE_CHECK(options_.grid.block_of_stage(options_.grid.stages() - 1) == index_);
  AFTUNE_CHECK(in.cols == options_.config.hidden);
  const Parameter& weight = head_weight();
  return head_.logits(head_norm(),
                      {weight.spec.name, weight.value, weight.spec.shape[0], weight.spec.shape[1]}, in);
}

Matrix LlamaBlock::backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                            const Matrix* grad_out) {
  if (is_head(stage)) return std::move(static_cast<HeadSaved&>(*saved).d_input);
  AFTUNE_CHECK(grad_out != nullptr && grad_out->rows == rows.size());
  if (stage == 0 && frozen()) {
    finite_ = finite_ && !kernels::any_nonfinite(*options_.pool, grad_out->values.size(), grad_out->data());
    return {};
  }
  if (stage == 0) {
    Parameter& table = parameters_[0];
    observed(
        options_.ops, {OpKind::kEmbeddingGrad, table.spec.name, rows.size()},
        {bytes_of(rows.tokens), grad_out->bytes(), table.gradient.bytes()}, {table.gradient.bytes()}, [&] {
          kernels::embedding_grad(*options_.pool, rows.rows(), rows.row_starts.data(), options_.config.hidden,
                                  rows.tokens.data(), grad_out->data(), table.gradient.data());
        });
    return {};
  }
  return layers_backward(stage, rows, static_cast<LayersSaved&>(*saved), *grad_out);
}

Matrix LlamaBlock::layers_backward(int stage, const data::Rows& rows, LayersSaved& saved,
                                   const Matrix& grad_out) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  if (options_.recompute) {
    Matrix x = std::move(saved.input);
    for (int unit = range.first; unit < range.last; ++unit)
      x = layer_.forward(layer_tensors(unit), rows, std::move(x), saved.layers.emplace_back());
  }
  Matrix gradient = copy(*options_.pool, grad_out);
  for (int unit = range.last - 1; unit >= range.first; --unit) {
    gradient =
        layer_.backward(layer_tensors(unit), rows, std::move(saved.layers.back()), std::move(gradient));
    saved.layers.pop_back();
  }
  return gradient;
}

// Uses of one matrix are added in stage order, once, when each is complete.
void LlamaBlock::join_uses() {
  if (joined_ || head_use_.empty()) return;
  Buffer& embedding_use = parameters_[0].gradient;
  observed(options_.ops, {OpKind::kAddUses, parameters_[0].spec.name},
           {embedding_use.bytes(), head_use_.bytes()}, {embedding_use.bytes()}, [&] {
             kernels::add(*options_.pool, embedding_use.size(), embedding_use.data(), head_use_.data(),
                          embedding_use.data());
           });
  joined_ = true;
}

// A NaN or infinity anywhere in the step reaches a loss or a parameter's gradient: every product over a row
// takes all its tokens, and the operations that compare turn it into NaN (docs/numerics.md). So it is looked
// for here only.
std::vector<double> LlamaBlock::sum_squares() {
  join_uses();
  if (!finite_)
    fail(Fault::kUsage, "step ", context_.step, ": non-finite loss", frozen() ? " or gradient" : "");
  std::vector<double> sums;
  for (const UnitSpan& span : units_) {
    double sum = 0.0;
    for (std::size_t i = span.first; i < span.last; ++i) {
      const Parameter& p = parameters_[i];
      const ByteView so_far = std::as_bytes(std::span(&sum, 1));
      observed(options_.ops, {OpKind::kSumSquares, p.spec.name}, {p.gradient.bytes(), so_far}, {so_far},
               [&] { sum += kernels::sum_squares(*options_.pool, p.gradient.size(), p.gradient.data()); });
    }
    if (!std::isfinite(sum))
      fail(Fault::kUsage, "step ", context_.step, ", block ", index_, ": non-finite gradient of ",
           unit_name(options_.config, span.unit));
    sums.push_back(sum);
  }
  return sums;
}

void LlamaBlock::update(float clip) {
  if (!frozen()) products_.weights_changed();
  for (Parameter& p : parameters_) {
    bool nonfinite = false;
    std::vector<ByteView> views{p.value.bytes()};
    for (const Buffer& moment : p.moments) views.push_back(moment.bytes());
    views.push_back(p.gradient.bytes());
    if (options_.ops != nullptr) options_.ops->before({OpKind::kUpdate, p.spec.name}, views);
    optim::update(options_.recipe, context_.step, context_.lr, clip, p.spec.shape, p.value, p.moments,
                  p.gradient, *options_.pool, &nonfinite);
    views.pop_back();
    if (options_.ops != nullptr) options_.ops->after(views);
    if (nonfinite)
      fail(Fault::kUsage, "step ", context_.step, ", block ", index_, ": non-finite update of ", p.spec.name);
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

std::vector<TensorSpec> trained_tensors(const Config& config, const record::Recipe& recipe, int unit) {
  return recipe.is_lora() ? adapter_tensors(config, recipe, unit) : unit_tensors(config, unit);
}

std::vector<TensorSpec> all_trained_tensors(const Config& config, const record::Recipe& recipe) {
  std::vector<TensorSpec> all;
  for (int unit = 0; unit <= config.layers + 1; ++unit)
    for (TensorSpec& spec : trained_tensors(config, recipe, unit)) all.push_back(std::move(spec));
  return all;
}

std::vector<TensorSpec> block_parameter_specs(const Config& config, const record::Grid& grid,
                                              const record::Recipe& recipe, int block) {
  std::vector<TensorSpec> specs;
  for (const int unit : grid.units_of_block(block))
    for (TensorSpec& spec : trained_tensors(config, recipe, unit)) specs.push_back(std::move(spec));
  return specs;
}

std::vector<TensorSpec> block_frozen_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block) {
  return recipe.is_lora() ? block_parameter_specs(config, grid, record::Recipe{}, block)
                          : std::vector<TensorSpec>{};
}

std::vector<TensorSpec> block_moment_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block) {
  std::vector<TensorSpec> specs;
  for (const TensorSpec& p : block_parameter_specs(config, grid, recipe, block))
    for (const std::string& moment : optim::moment_names(recipe))
      specs.push_back({p.name + '.' + moment, DType::kF32, p.shape});
  return specs;
}

}  // namespace aftune::model
