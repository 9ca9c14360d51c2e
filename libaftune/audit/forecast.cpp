#include "audit/forecast.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "audit/cost.h"
#include "audit/replay.h"
#include "base/error.h"
#include "model/architecture.h"
#include "model/layer_block.h"
#include "model/lm_head.h"
#include "optim/optimizer.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

constexpr double kFloat = sizeof(float);

// Of the matrices that are multiplied by, each by rows for the forward pass and by columns for the backward
// one. The embedding is one of them as a head only; of images neither end is.
double factor_elements(const model::Config& c) {
  double elements = c.images ? 0 : static_cast<double>(c.vocab) * static_cast<double>(c.hidden);
  for (int unit = 1; unit <= c.layers; ++unit) elements += matrix_elements(model::unit_tensors(c, unit));
  return elements;
}

// A step's tokens, and those that are computed at a time.
struct Tokens {
  explicit Tokens(const Job& job) {
    const auto length = static_cast<double>(job.recipe.seq_len);
    step = static_cast<double>(job.recipe.batch_size) * length;
    const std::int64_t rows = job.micro_batch > 0
                                  ? job.micro_batch
                                  : std::max<std::int64_t>(1, train::kMicroBatchTokens / job.recipe.seq_len);
    at_once = std::min(step, static_cast<double>(rows) * length);
  }
  double step, at_once;
};

// A token's queries, and its keys or values.
double queries(const model::Config& c) {
  return static_cast<double>(c.heads) * c.head_dim;
}
double keys(const model::Config& c) {
  return static_cast<double>(c.kv_heads) * c.head_dim;
}

// Of a token, while a layer's gradients are made: of its result, of q, k, v, also side by side where one
// product makes them, and of the attention.
double transient(const model::Config& c) {
  const bool fused = !c.architecture->projections[model::place(model::Projection::kQkv)].empty();
  return 2.0 * static_cast<double>(c.hidden) + (fused ? 3 : 2) * queries(c) + (fused ? 4 : 2) * keys(c);
}

// What every layer block keeps for products with activations: an input and a gradient, by rows and by
// columns, in 16 bits.
double quantised_activations(const Job& job, const Tokens& tokens) {
  const double widest = widest_product(job.config);
  return 4 * kFloat / 2 * tokens.at_once * widest * job.grid.layer_blocks();
}

// The step's images, and those of a micro-batch again, as they are and as patches.
double pixels(const Job& job, const Tokens& tokens) {
  if (!job.config.images) return 0;
  const auto of_position =
      static_cast<double>(job.config.images->shape.pixels()) / static_cast<double>(job.recipe.seq_len);
  return of_position * (tokens.step + 2 * tokens.at_once);
}

double activations(const Job& job, const Tokens& tokens) {
  const double layer = job.config.architecture->kept_of_token(job.config);
  const double layers =
      job.recompute ? std::min(job.grid.layers_per_block, job.config.layers) : job.config.layers;
  const double inputs = job.recompute ? job.grid.layer_blocks() * static_cast<double>(job.config.hidden) : 0;
  return kFloat * (tokens.at_once * (layers * layer + inputs + transient(job.config)) + pixels(job, tokens));
}

// The head takes its logits by chunks, forward and backward in one pass; those of images are few.
double head(const Job& job, const Tokens& tokens) {
  const auto vocab = static_cast<double>(job.config.vocab), hidden = static_cast<double>(job.config.hidden);
  if (job.config.images)
    return kFloat *
           (tokens.at_once / static_cast<double>(job.recipe.seq_len) * vocab + 2 * tokens.at_once * hidden);
  const double rows = std::max(static_cast<double>(job.recipe.seq_len),
                               static_cast<double>(model::LmHead::kMaxLogits) / vocab);
  const double logits = std::min(tokens.at_once, rows) * (vocab + hidden);
  const double factors = job.profile.is_i14() ? 1.0 : 0.0;  // by rows and by columns, half a float each
  return kFloat * (logits * (1 + factors) + 2 * tokens.at_once * hidden);
}

double step_log(const Job& job) {
  record::Step step;
  step.activations = step.gradients =
      std::vector<Digest>(static_cast<std::size_t>(job.grid.boundaries()), Digest{});
  step.sums = std::vector<double>(static_cast<std::size_t>(job.grid.units()), 1.0);
  step.tokens = step.predicted = job.recipe.batch_size * job.recipe.seq_len;
  return static_cast<double>(record::to_leaf(step).size() + 1);
}

void add_cells(const Job& job, const record::Manifest& manifest, Forecast& f) {
  const CostModel costs(manifest);
  for (int block = 0; block < job.grid.blocks(); ++block) {
    const Cost cost = costs.of({block, 0});
    f.cell_evidence = std::max(f.cell_evidence, cost.bytes);
    f.cell_flop = std::max(f.cell_flop, cost.flop);
    f.verifier_memory =
        std::max(f.verifier_memory, static_cast<double>(replay_bytes(manifest, job.config, block)));
  }
}

std::string amount(double value, const char* unit) {
  constexpr std::array kPrefixes = {"", "K", "M", "G", "T", "P", "E"};
  std::size_t at = 0;
  for (; value >= 1000 && at + 1 < kPrefixes.size(); ++at) value /= 1000;
  std::array<char, 48> text{};
  const char* const gap = at == 0 && *unit == '\0' ? "" : " ";
  std::snprintf(text.data(), text.size(), "%.3g%s%s%s", value, gap, kPrefixes[at], unit);
  return text.data();
}

}  // namespace

Forecast forecast(const Job& job) {
  const Tokens tokens(job);
  const std::vector<TensorSpec> model = model::all_tensors(job.config);
  const std::vector<TensorSpec> trained = model::all_trained_tensors(job.config, job.recipe);
  const auto moments = static_cast<double>(optim::moment_names(job.recipe).size());
  Forecast f;
  f.trained = total_elements(trained);
  f.parameters = total_elements(model) + (job.recipe.is_lora() ? f.trained : 0);
  f.weights = kFloat * f.trained;
  if (job.recipe.is_lora())
    for (const TensorSpec& spec : model)
      f.weights += static_cast<double>(model::frozen_bytes(job.config, spec, job.base_dtype));
  f.optimizer = kFloat * moments * f.trained;
  const double shared = job.grid.tied && !job.recipe.is_lora()
                            ? static_cast<double>(job.config.vocab) * static_cast<double>(job.config.hidden)
                            : 0;
  f.gradients = kFloat * (f.trained + shared);
  if (job.profile.is_i14())
    f.quantised = kFloat * factor_elements(job.config) + quantised_activations(job, tokens);
  f.activations = activations(job, tokens);
  f.head = head(job, tokens);
  f.step_boundaries =
      2 * kFloat * tokens.step * static_cast<double>(job.config.hidden) * job.grid.boundaries();
  f.step_log = step_log(job);
  f.snapshot = kFloat * f.trained * (1 + moments);
  if (job.records && job.store_boundaries)
    f.record = f.step_boundaries * static_cast<double>(std::min(job.grid.steps_per_block, job.grid.steps));
  record::Manifest manifest{};
  manifest.config = job.config_text;
  manifest.recipe = job.recipe;
  manifest.grid = job.grid;
  manifest.profile = name(job.profile);
  manifest.base.dtype = job.base_dtype;
  add_cells(job, manifest, f);
  const CostModel costs(manifest);
  f.step_flop = costs.step_flop();
  f.attention_flop = costs.step_attention_flop();
  return f;
}

Json to_json(const Forecast& f) {
  return {{"parameters", f.parameters},
          {"trained", f.trained},
          {"memory",
           {{"total", f.memory()},
            {"weights", f.weights},
            {"optimizer", f.optimizer},
            {"gradients", f.gradients},
            {"quantised", f.quantised},
            {"activations", f.activations},
            {"head", f.head},
            {"record", f.record}}},
          {"step",
           {{"flop", f.step_flop},
            {"attention_flop", f.attention_flop},
            {"boundaries", f.step_boundaries},
            {"log", f.step_log}}},
          {"snapshot", f.snapshot},
          {"cell",
           {{"evidence", f.cell_evidence}, {"verifier_memory", f.verifier_memory}, {"flop", f.cell_flop}}}};
}

std::string describe(const Forecast& f) {
  const auto line = [](const char* what, const std::string& value) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%-18s %s\n", what, value.c_str());
    return std::string(text.data());
  };
  std::string text = line("parameters", cat(amount(f.parameters, ""), ", trained ", amount(f.trained, "")));
  text += line("memory", amount(f.memory(), "B"));
  for (const auto& [what, value] : {std::pair{"  weights", f.weights},
                                    {"  optimizer", f.optimizer},
                                    {"  gradients", f.gradients},
                                    {"  quantised", f.quantised},
                                    {"  activations", f.activations},
                                    {"  head", f.head},
                                    {"  record", f.record}})
    if (value > 0) text += line(what, amount(value, "B"));
  text +=
      line("step", cat(amount(f.step_flop, "FLOP"), ", attention ",
                       static_cast<int>(100 * f.attention_flop / f.step_flop + 0.5), " % of it; boundaries ",
                       amount(f.step_boundaries, "B"), ", log ", amount(f.step_log, "B")));
  text += line("snapshot", amount(f.snapshot, "B"));
  text += line("largest cell", cat("evidence ", amount(f.cell_evidence, "B"), ", verifier memory ",
                                   amount(f.verifier_memory, "B"), ", ", amount(f.cell_flop, "FLOP")));
  return text;
}

}  // namespace aftune::audit
