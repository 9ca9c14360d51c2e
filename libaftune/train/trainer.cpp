#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/progress.h"
#include "kernels/ops.h"
#include "optim/optimizer.h"
#include "train/adapter_folder.h"
#include "train/export.h"
#include "train/inputs.h"
#include "train/manifest.h"

namespace aftune::train {
namespace {

Engine make_engine(const TrainOptions& options, const Inputs& inputs, ThreadPool& pool) {
  return Engine({.config = inputs.config,
                 .grid = inputs.grid,
                 .recipe = inputs.recipe,
                 .profile = options.profile,
                 .recompute = options.recompute,
                 .base = inputs.base ? &*inputs.base : nullptr,
                 .pool = &pool});
}

void load_initial(Engine& engine, const Inputs& inputs) {
  const auto& from = inputs.recipe.is_lora() ? inputs.adapters : inputs.base;
  for (const auto& block : engine.blocks())
    if (from)
      model::load_base(*block, *from);
    else
      model::init_parameters(*block, engine.options());
}

// One job, from state 0 or a snapshot to the export.
class Job {
 public:
  Job(const TrainOptions& options, const std::function<void(const StepReport&)>& on_step)
      : options_(options),
        on_step_(on_step),
        pool_(options.threads, options.accelerator),
        inputs_(Inputs::read(options, pool_)),
        encoder_(inputs_.encoder()),
        order_(inputs_.recipe.seed, inputs_.dataset.rows()),
        engine_(make_engine(options, inputs_, pool_)) {
    if (options_.record) secret_ = run_secret(*options_.record);
    if (inputs_.eval) evaluation_ = evaluation_rows(*inputs_.eval, encoder_);
  }

  record::Manifest manifest() {
    load_initial(engine_, inputs_);
    record::Manifest m = manifest_of(options_, inputs_, engine_.blocks(), pool_, secret_);
    settle_free_fields(m, options_);
    return m;
  }

  TrainSummary run() {
    start();
    TrainSummary summary;
    Progress progress("step", inputs_.recipe.steps, options_.quiet);
    for (; step_ < inputs_.recipe.steps && !summary.interrupted; ++step_) {
      const StepReport report = one_step();
      progress.update(step_ + 1, cat("loss ", report.loss));
      if (on_step_) on_step_(report);
      summary.interrupted = interrupted() && step_ + 1 < inputs_.recipe.steps;
    }
    summary.steps = step_;
    if (recorder_) summary.waited = recorder_->waited();
    if (!summary.interrupted) finish();
    return summary;
  }

 private:
  void start();
  StepReport one_step();
  std::optional<float> evaluate();
  void finish();

  const TrainOptions& options_;
  const std::function<void(const StepReport&)>& on_step_;
  ThreadPool pool_;
  Inputs inputs_;
  data::Encoder encoder_;
  data::Order order_;
  Engine engine_;
  std::optional<data::Rows> evaluation_;
  std::optional<record::RunSecret> secret_;
  std::unique_ptr<Recorder> recorder_;
  std::int64_t step_ = 0;
  std::int64_t position_ = 0;
};

void Job::start() {
  if (!options_.record) return load_initial(engine_, inputs_);
  recorder_ = std::make_unique<Recorder>(*options_.record, manifest(), pool_, secret_);
  if (!recorder_->resume_state(engine_.blocks())) return recorder_->begin(engine_.blocks());
  recorder_->restore(engine_.blocks());
  step_ = recorder_->resume_step();
  position_ = recorder_->resume_position();
}

StepReport Job::one_step() {
  const auto begin = std::chrono::steady_clock::now();
  const data::Batch batch = data::make_batch(inputs_.dataset, encoder_, order_, inputs_.recipe, position_);
  const double lr = optim::learning_rate(inputs_.recipe, step_);
  const std::int64_t rows = options_.micro_batch > 0 ? options_.micro_batch : default_micro_batch(batch.rows);
  const StepResult result = within(cat("step ", step_), [&] {
    StepObserver* observer = recorder_ ? &recorder_->observer(step_) : nullptr;
    return engine_.step(step_, lr, batch.predicted, batch.rows, rows, observer);
  });
  const std::optional<float> eval_loss = evaluate();
  if (recorder_) recorder_->end_step(step_, batch, result, lr, eval_loss, engine_.blocks());
  position_ = batch.to;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  return {.step = step_,
          .loss = result.loss,
          .lr = lr,
          .grad_norm = result.norm,
          .tokens = batch.rows.size(),
          .seconds = spent.count(),
          .eval_loss = eval_loss};
}

std::optional<float> Job::evaluate() {
  const bool due =
      (step_ + 1) % std::max<std::int64_t>(1, inputs_.eval_every) == 0 || step_ + 1 == inputs_.recipe.steps;
  if (!evaluation_ || !due) return std::nullopt;
  return engine_.evaluate(*evaluation_, default_micro_batch(*evaluation_));
}

void Job::finish() {
  const auto files = inputs_.recipe.is_lora()
                         ? export_adapters(options_.out, inputs_.config, inputs_.recipe, engine_.blocks())
                         : export_model(options_.out, options_.model, inputs_, engine_.blocks());
  if (!recorder_) return;
  const auto specs = model::all_trained_tensors(inputs_.config, inputs_.recipe);
  recorder_->finish(parameter_list(specs, recorder_->last_state()), files);
}

}  // namespace

TrainSummary train(const TrainOptions& options, const std::function<void(const StepReport&)>& on_step) {
  check_output(options);
  if (options.record) check_trace(*options.record);
  kernels::require_self_test(options.accelerator);
  return Job(options, on_step).run();
}

record::Manifest make_manifest(const TrainOptions& options) {
  static const std::function<void(const StepReport&)> nobody;
  return Job(options, nobody).manifest();
}

}  // namespace aftune::train
