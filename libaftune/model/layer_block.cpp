#include "model/layer_block.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "model/folder.h"
#include "optim/optimizer.h"

namespace aftune::model {
namespace {

/// Saved activations of a stage of layers; with recompute only the stage's input.
class LayersSaved : public Saved {
 public:
  std::vector<std::unique_ptr<LayerActivations>> layers;
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

/// The block of every architecture: state and what is done with it are the same, stages do the rest.
class Block : public LayerBlock {
 public:
  Block(const EngineOptions& options, int index);

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
  HeadTensors head_tensors();
  void check(int stage, const data::Rows& rows, const Matrix* in);
  StageOutput embed(const data::Rows& rows);
  StageOutput run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep);
  StageOutput run_head(const data::Rows& rows, const Matrix& in, bool keep);
  Matrix layers_backward(int stage, const data::Rows& rows, LayersSaved& saved, const Matrix& grad_out);
  void join_uses();

  EngineOptions options_;
  int index_;
  Products products_;
  Adapters adapters_;
  Stages stages_;
  std::vector<Parameter> parameters_;
  std::vector<UnitSpan> units_;
  std::vector<Parameter> base_;       ///< with adapters: the model's own tensors, without gradients
  std::vector<UnitSpan> base_units_;  ///< as units_, of these
  Buffer head_use_;                   ///< tied: gradient of the embedding matrix by its use in the head
  bool joined_ = false;
  bool finite_ = true;  ///< losses, and gradients that no parameter's is made of
  StepContext context_;
};

Matrix copy(ThreadPool& pool, const Matrix& from) {
  Matrix to;
  to.rows = from.rows;
  to.cols = from.cols;
  to.values = from.values.clone(pool);
  return to;
}

Block::Block(const EngineOptions& options, int index)
    : options_(options),
      index_(index),
      products_(*options_.pool, options_.profile, options_.ops, options_.perturbation),
      adapters_(options_.config, options_.recipe, *options_.pool, options_.ops),
      stages_(options_.config.architecture->make_stages(
          {options_.config, products_, adapters_, *options_.pool, options_.ops})) {
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

void Block::read_base(const Checkpoint& base) {
  for (const UnitSpan& own : units_) {
    const std::size_t first = base_.size();
    for (TensorSpec& spec : unit_tensors(options_.config, own.unit)) {
      Parameter& p = base_.emplace_back();
      p.spec = std::move(spec);
      // Who observes ops sees every tensor as it is computed with.
      if (options_.ops == nullptr && stays_narrow(options_.config, p.spec))
        p.narrow = read_narrow(base, p.spec);
      if (p.narrow.empty()) p.value = read_parameter(base, p.spec);
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

Parameter* Block::base_of(int unit) {
  return frozen() ? &base_[first_of(base_units_, unit)] : &parameters_[first_of(units_, unit)];
}

LayerTensors Block::layer_tensors(int unit) {
  return {base_of(unit), frozen() ? &parameters_[first_of(units_, unit)] : nullptr, unit - 1};
}

HeadTensors Block::head_tensors() {
  HeadTensors p{.own = base_of(options_.config.layers + 1), .frozen = frozen()};
  if (options_.grid.tied) {
    p.tied = base_of(0);
    p.tied_gradient = &head_use_;
  }
  return p;
}

void Block::begin_step(const StepContext& context) {
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

void Block::check(int stage, const data::Rows& rows, const Matrix* in) {
  AFTUNE_CHECK(options_.grid.block_of_stage(stage) == index_);
  AFTUNE_CHECK(stage == 0 ||
               (in != nullptr && in->rows == rows.size() && in->cols == options_.config.hidden));
  // Whoever made the rows has checked them; what a stage looks up it checks again.
  AFTUNE_CHECK(std::ssize(rows.positions) == rows.size());
  AFTUNE_CHECK(std::all_of(rows.positions.begin(), rows.positions.end(), [](auto at) { return at >= 0; }));
}

StageOutput Block::forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) {
  check(stage, rows, in);
  AFTUNE_CHECK(options_.ops == nullptr || (keep && rows.rows() == 1 && !options_.recompute));
  if (stage == 0) return embed(rows);
  return is_head(stage) ? run_head(rows, *in, keep) : run_layers(stage, rows, *in, keep);
}

StageOutput Block::embed(const data::Rows& rows) {
  StageOutput result;
  result.out = stages_.embedding->forward(base_of(0), rows);
  return result;
}

StageOutput Block::run_layers(int stage, const data::Rows& rows, const Matrix& in, bool keep) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  StageOutput result;
  auto saved = std::make_unique<LayersSaved>();
  if (keep && options_.recompute) saved->input = copy(*options_.pool, in);
  result.out = copy(*options_.pool, in);
  for (int unit = range.first; unit < range.last; ++unit) {
    Layer::Result layer = stages_.layer->forward(layer_tensors(unit), rows, std::move(result.out), keep);
    result.out = std::move(layer.out);
    if (keep && !options_.recompute) saved->layers.push_back(std::move(layer.kept));
  }
  if (keep) result.saved = std::move(saved);
  return result;
}

StageOutput Block::run_head(const data::Rows& rows, const Matrix& in, bool keep) {
  float inv_predicted = 0.0f;
  if (keep) {
    AFTUNE_CHECK(context_.predicted > 0);
    inv_predicted = static_cast<float>(1.0 / static_cast<double>(context_.predicted));
  }
  HeadResult head = stages_.head->run(head_tensors(), rows, in, inv_predicted, keep);
  StageOutput result;
  result.row_losses = std::move(head.row_losses);
  if (!keep) return result;
  for (const double loss : result.row_losses) finite_ = finite_ && std::isfinite(loss);
  auto saved = std::make_unique<HeadSaved>();
  saved->d_input = std::move(head.d_input);
  result.saved = std::move(saved);
  return result;
}

Matrix Block::infer(int stage, const data::Rows& rows, const Matrix* in, std::span<KvCache* const> caches) {
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
    x = stages_.layer->infer(layer_tensors(unit), rows, std::move(x), caches, unit - range.first);
  for (std::size_t i = 0; i < caches.size(); ++i)
    caches[i]->advance(rows.doc_starts[i + 1] - rows.doc_starts[i]);
  return x;
}

Matrix Block::logits(const Matrix& in) {
  AFTUNE_CHECK(options_.grid.block_of_stage(options_.grid.stages() - 1) == index_);
  AFTUNE_CHECK(in.cols == options_.config.hidden);
  return stages_.head->logits(head_tensors(), in);
}

Matrix Block::backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                       const Matrix* grad_out) {
  if (is_head(stage)) return std::move(static_cast<HeadSaved&>(*saved).d_input);
  AFTUNE_CHECK(grad_out != nullptr && grad_out->rows == rows.size());
  if (stage == 0 && frozen()) {
    finite_ = finite_ && !kernels::any_nonfinite(*options_.pool, grad_out->values.size(), grad_out->data());
    return {};
  }
  if (stage == 0) {
    stages_.embedding->backward(base_of(0), rows, *grad_out);
    return {};
  }
  return layers_backward(stage, rows, static_cast<LayersSaved&>(*saved), *grad_out);
}

Matrix Block::layers_backward(int stage, const data::Rows& rows, LayersSaved& saved, const Matrix& grad_out) {
  const record::UnitRange range = options_.grid.units_of_stage(stage);
  if (options_.recompute) {
    Matrix x = std::move(saved.input);
    for (int unit = range.first; unit < range.last; ++unit) {
      Layer::Result layer = stages_.layer->forward(layer_tensors(unit), rows, std::move(x), true);
      x = std::move(layer.out);
      saved.layers.push_back(std::move(layer.kept));
    }
  }
  Matrix gradient = copy(*options_.pool, grad_out);
  for (int unit = range.last - 1; unit >= range.first; --unit) {
    gradient = stages_.layer->backward(layer_tensors(unit), rows, std::move(saved.layers.back()),
                                       std::move(gradient));
    saved.layers.pop_back();
  }
  return gradient;
}

// Uses of one matrix are added in stage order, once, when each is complete.
void Block::join_uses() {
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
std::vector<double> Block::sum_squares() {
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

void Block::update(float clip) {
  if (!frozen()) products_.weights_changed();
  for (Parameter& p : parameters_) {
    bool nonfinite = false;
    std::vector<ByteView> views{p.value.bytes()};
    for (const Buffer& moment : p.moments) views.push_back(moment.bytes());
    views.push_back(p.gradient.bytes());
    if (options_.ops != nullptr) options_.ops->before({OpKind::kUpdate, p.spec.name}, views);
    optim::update(options_.recipe, context_.step, context_.lr, clip, p.spec, p.value, p.moments, p.gradient,
                  *options_.pool, &nonfinite);
    views.pop_back();
    if (options_.ops != nullptr) options_.ops->after(views);
    if (nonfinite)
      fail(Fault::kUsage, "step ", context_.step, ", block ", index_, ": non-finite update of ", p.spec.name);
  }
}

record::BlockState Block::state() const {
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
  return std::make_unique<Block>(options, index);
}

}  // namespace aftune::model
