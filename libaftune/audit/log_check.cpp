#include "audit/log_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <span>

#include "audit/block_lists.h"
#include "audit/readable.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "model/adapter.h"
#include "model/image_processor.h"
#include "optim/optimizer.h"
#include "train/adapter_folder.h"
#include "train/export.h"

namespace aftune::audit {
namespace {

using record::Manifest;

template <class T>
void require_equal(std::string_view what, const T& expected, const T& found) {
  if (!(expected == found)) fail(Fault::kEvidence, what, ": expected ", expected, ", found ", found);
}

bool check_size(const LogView& log, Findings& findings) {
  const std::int64_t lines = log.size();
  return findings.expect(lines == log.grid().log_size(), Check::kClosing, Code::kClosing, "log.jsonl",
                         cat("the manifest's ", log.grid().steps, " steps make ", log.grid().log_size(),
                             " lines, found ", lines));
}

// Of a log that was opened in part, these are always asked for: base, export and every list's length hang on
// them.
bool has_both_ends(const LogView& log, Findings& findings) {
  const record::Grid& grid = log.grid();
  bool all = true;
  for (const std::int64_t leaf : {grid.state_leaf(0), grid.state_leaf(grid.step_blocks()), grid.final_leaf()})
    if (!log.has(leaf)) {
      findings.add(Code::kAbsent, LogView::line(leaf), "is not among the leaves that were opened");
      all = false;
    }
  return all;
}

// After every eval_every-th step and after the last.
bool evaluation_due(const Manifest& m, std::int64_t t) {
  return m.eval_root && ((t + 1) % m.eval_every == 0 || t + 1 == m.grid.steps);
}

// Sums of the steps that `final` must repeat.
struct Totals {
  std::int64_t positions = 0, tokens = 0, predicted = 0;
};

bool check_step_leaves(const LogView& log, Findings& findings, Totals& totals) {
  bool all = true;
  for (const std::int64_t t : log.steps()) {
    all &= readable(findings, log.grid().step_leaf(t), [&] {
      const record::Step step = log.step(t);
      require_equal("step", t, step.step);
      require_equal("an evaluation loss is there", evaluation_due(log.manifest(), t),
                    step.eval_loss.has_value());
      const record::Recipe& recipe = log.manifest().recipe;
      if (step.tokens > recipe.batch_size * recipe.seq_len)
        fail(Fault::kEvidence, step.tokens, " tokens do not fit ", recipe.batch_size, " rows of ",
             recipe.seq_len);
      totals.positions = step.to;
      totals.tokens += step.tokens;
      totals.predicted += step.predicted;
    });
  }
  return all;
}

bool check_state_leaves(const LogView& log, Findings& findings) {
  bool all = true;
  for (const std::int64_t s : log.states())
    all &=
        readable(findings, log.grid().state_leaf(s), [&] { require_equal("state", s, log.state(s).state); });
  return all;
}

void check_list(std::vector<TensorSpec> specs, const record::TensorList& list, std::string_view what) {
  require_equal(cat("number of ", what, " tensors"), specs.size(), list.digests.size());
  for (TensorSpec& spec : specs) spec.dtype = list.dtype;
  require_equal(cat(what, " root"), to_hex(record::tensor_root(specs, list.digests)), to_hex(list.root));
}

// What no run can have; a part that does nothing is no wrong number of anything.
void check_adapters(const Manifest& m, const model::Config& config) {
  if (!model::can_drop(config, m.recipe))
    fail(Fault::kEvidence, "dropout of adapters in ", config.layers, " layers");
  if (const std::string_view target = model::missing_target(config, m.recipe); !target.empty())
    fail(Fault::kEvidence, "adapters of \"", target, "\", which the model's layers do not have");
}

// What holds of every run on images, and of no other.
void check_images(const Manifest& m, const model::Config& config) {
  require_equal("images", config.images.has_value(), m.images.has_value());
  if (!config.images) return;
  const std::size_t channels = m.images->mean.size();
  require_equal("channels of images", config.images->shape.channels, static_cast<std::int64_t>(channels));
  require_equal("seq_len", config.max_position, m.recipe.seq_len);
  require_equal("packing", false, m.recipe.packing);
  require_equal("eos of the recipe", false, m.recipe.eos);
  require_equal("template", std::string(), m.template_);
}

bool check_config(LogView& log, Findings& findings) {
  return readable(findings, 0, [&] {
    log.parse_config();
    const Manifest& m = log.manifest();
    require_equal("layers", log.config().layers, m.grid.layers);
    require_equal("tied", log.config().tied, m.grid.tied);
    check_images(m, log.config());
    const std::int64_t eos = m.recipe.eos && !log.config().eos.empty() ? log.config().eos.front() : -1;
    require_equal("eos", eos, m.eos);
    require_equal("bos", std::int64_t{log.config().bos}, m.bos);
    if (m.recipe.seq_len > log.config().max_position)
      fail(Fault::kEvidence, "rows of ", m.recipe.seq_len, " tokens for a model of ",
           log.config().max_position, " positions");
    for (const auto* specs : {&log.base_tensors(), &log.tensors()})
      for (const TensorSpec& spec : *specs) element_count(spec.shape);  // throws on overflow
    check_list(log.base_tensors(), m.base, "base");
    if (m.adapter) check_list(log.tensors(), *m.adapter, "adapter");
    if (m.recipe.is_lora()) check_adapters(m, log.config());
  });
}

bool check_final(const LogView& log, Findings& findings, const Totals& totals) {
  return readable(findings, log.grid().final_leaf(), [&] {
    const record::Final final = log.final();
    if (log.whole()) {
      require_equal("positions", totals.positions, final.positions);
      require_equal("tokens", totals.tokens, final.tokens);
      require_equal("predicted", totals.predicted, final.predicted);
    }
    check_list(log.tensors(), final.exported, "exported");
  });
}

void check_order(const LogView& log, Findings& findings, const record::Step& step, std::int64_t from) {
  const record::Recipe& recipe = log.manifest().recipe;
  const std::string where = log.step_line(step.step);
  const auto expect = [&](bool holds, const std::string& detail) {
    return findings.expect(holds, Check::kOrder, Code::kOrder, where, detail);
  };
  if (!expect(step.from == from, cat("from: expected ", from, ", found ", step.from))) return;
  const std::int64_t epoch = from / log.manifest().data_rows;
  if (!expect(step.epoch == epoch, cat("epoch: expected ", epoch, ", found ", step.epoch))) return;
  const std::int64_t rows = step.to - step.from;
  if (!recipe.packing)
    expect(rows == recipe.batch_size, cat("rows: expected ", recipe.batch_size, ", found ", rows));
}

bool finite(const record::Step& step) {
  bool all = std::isfinite(step.loss) && std::isfinite(step.lr) && std::isfinite(step.norm) &&
             std::isfinite(step.clip) && (!step.eval_loss || std::isfinite(*step.eval_loss));
  for (const double sum : step.sums) all &= std::isfinite(sum);
  return all;
}

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}
bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

void check_numbers(const LogView& log, Findings& findings, const record::Step& step) {
  const record::Recipe& recipe = log.manifest().recipe;
  const std::string where = log.step_line(step.step);
  if (!finite(step)) {
    findings.add(Code::kNonFinite, where, "a NaN or an infinity is recorded");
    return;
  }
  const double lr = optim::learning_rate(recipe, step.step);
  findings.expect(same_bits(lr, step.lr), Check::kSchedule, Code::kSchedule, where,
                  cat("lr: expected ", double_hex(lr), ", found ", double_hex(step.lr)));
  for (const double sum : step.sums)
    if (std::signbit(sum)) {
      findings.failed(Check::kNorm, Code::kNorm, where, "a sum of squares is negative");
      return;
    }
  const double norm = optim::global_norm(step.sums);
  const float clip = optim::clip_scale(recipe, norm);
  findings.expect(same_bits(norm, step.norm) && same_bits(clip, step.clip), Check::kNorm, Code::kNorm, where,
                  cat("norm and clip of the recorded sums: expected ", double_hex(norm), " and ",
                      float_hex(clip), ", found ", double_hex(step.norm), " and ", float_hex(step.clip)));
}

// Files of an export of adapters: both follow from the record.
constexpr std::string_view kAdapterFiles[] = {train::kAdapterWeights, train::kAdapterConfig};
// Of a model: beside its weights those that the manifest decides, or that the client can compare with its
// own.
constexpr std::string_view kModelFiles[] = {"model.safetensors",      "config.json",
                                            "tokenizer.json",         "tokenizer_config.json",
                                            "generation_config.json", "special_tokens_map.json",
                                            "chat_template.jinja",    model::kImageProcessor};

// A loader decides by names what it loads: a file of another name could replace what was checked.
void check_exported_files(const LogView& log, const record::Final& final, Findings& findings) {
  const std::string line = LogView::line(log.grid().final_leaf());
  const record::Recipe& recipe = log.manifest().recipe;
  const std::span<const std::string_view> known =
      recipe.is_lora() ? std::span<const std::string_view>(kAdapterFiles) : kModelFiles;
  for (const auto& [name, digest] : final.files)
    if (std::find(known.begin(), known.end(), name) == known.end())
      findings.failed(Check::kExport, Code::kExport, cat(line, " ", name), "no file that an export has");
  const auto require = [&](const std::string& name, const std::optional<Digest>& expected) {
    const auto found = final.files.find(name);
    const std::string where = cat(line, " ", name);
    if (!findings.expect(found != final.files.end(), Check::kExport, Code::kExport, where, "not in the list"))
      return;
    if (expected)
      findings.expect(found->second == *expected, Check::kExport, Code::kExport, where,
                      cat("expected ", to_hex(*expected), ", found ", to_hex(found->second)));
  };
  if (recipe.is_lora()) {
    require(std::string(train::kAdapterWeights), std::nullopt);
    return require(std::string(train::kAdapterConfig),
                   hash::blake3(train::adapter_config(log.config(), recipe)));
  }
  require("model.safetensors", std::nullopt);
  if (!log.manifest().images) require("tokenizer.json", log.manifest().tokenizer);
  require("config.json", hash::blake3(train::exported_config(log.manifest().config)));
}

}  // namespace

bool check_structure(LogView& log, Findings& findings) {
  if (!readable(findings, 0, [&] { log.parse_manifest(); })) return false;
  if (!check_size(log, findings) || !has_both_ends(log, findings)) return false;
  Totals totals;
  // Leaves first: they are shorter than 64 KiB, which bounds the layers that the config may then claim.
  const bool steps = check_step_leaves(log, findings, totals);
  const bool states = check_state_leaves(log, findings);
  if (!steps || !states) return false;
  return check_config(log, findings) && check_final(log, findings, totals);
}

bool is_plausible_size(const LogView& log, const fs::path& trace) {
  // State 0 is stored; compressed, trained weights are at least three quarters of their size, and fresh
  // moments, being zero, nothing.
  constexpr double kMostCompression = 64;
  double stored = 1 << 20;
  for (const auto& entry : fs::directory_iterator(trace)) {
    std::error_code code;
    const auto size = entry.is_regular_file(code) ? entry.file_size(code) : 0;
    if (!code) stored += static_cast<double>(size);
  }
  double claimed = 0;
  for (const TensorSpec& spec : log.tensors()) claimed += static_cast<double>(byte_size(spec));
  return claimed <= kMostCompression * stored;
}

void check_steps(const LogView& log, Findings& findings) {
  record::Step before;  // of the first one, `to` is 0
  before.step = -1;
  for (const std::int64_t t : log.steps()) {
    record::Step step = log.step(t);
    if (before.step == t - 1) check_order(log, findings, step, before.to);
    check_numbers(log, findings, step);
    before = std::move(step);
  }
}

void check_base_digests(const LogView& log, Findings& findings) {
  const record::TensorList* const initial = log.manifest().initial();
  if (initial == nullptr || initial->dtype != DType::kF32 || !log.has_state(0)) return;
  const record::State state = log.state(0);
  ZeroDigests zeros;
  for (int block = 0; block < log.grid().blocks(); ++block) {
    const BlockLists lists(log, block);
    const Digest expected = record::block_digest(lists.parameters(initial->digests), lists.moments(zeros));
    const Digest& found = state.blocks[static_cast<std::size_t>(block)];
    findings.expect(expected == found, Check::kStateBefore, Code::kStateBefore,
                    cat(log.state_line(0), " block ", block),
                    cat("the tensors of the manifest with zero moments give ", to_hex(expected),
                        ", state 0 is ", to_hex(found)));
  }
}

void check_export_digests(const LogView& log, Findings& findings) {
  const record::Final final = log.final();
  check_exported_files(log, final, findings);
  if (final.exported.dtype != DType::kF32 || !log.has_state(log.grid().step_blocks())) return;
  const record::State state = log.state(log.grid().step_blocks());
  for (int block = 0; block < log.grid().blocks(); ++block) {
    const auto b = static_cast<std::size_t>(block);
    const BlockLists lists(log, block);
    const Digest expected = record::block_digest(lists.parameters(final.exported.digests), final.moments[b]);
    findings.expect(
        expected == state.blocks[b], Check::kExport, Code::kExport,
        cat(LogView::line(log.grid().final_leaf()), " block ", block),
        cat("the exported tensors give ", to_hex(expected), ", the last state is ", to_hex(state.blocks[b])));
  }
}

}  // namespace aftune::audit
