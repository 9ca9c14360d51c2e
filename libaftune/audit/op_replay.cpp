#include "audit/op_replay.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/opened_salts.h"
#include "audit/rejection.h"
#include "audit/step_rows.h"
#include "base/error.h"
#include "base/progress.h"
#include "hash/blake3.h"
#include "optim/optimizer.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

using model::Op;
using model::OpKind;
using Boundary = std::pair<Side, int>;

std::string boundary_name(const Boundary& which) {
  return cat(which.first == Side::kActivation ? "activation " : "gradient ", which.second);
}

const Digest& committed(const record::Step& step, const Boundary& which) {
  return (which.first == Side::kActivation ? step.activations
                                           : step.gradients)[static_cast<std::size_t>(which.second)];
}

template <class T>
ByteView bytes_of(const std::vector<T>& list) {
  return std::as_bytes(std::span(list));
}

Matrix rows_of(const Matrix& whole, std::int64_t first, std::int64_t count) {
  Matrix part(count, whole.cols);
  std::memcpy(part.data(), whole.row(first), part.bytes().size());
  return part;
}

// Makes entries of what a block reports.
class Watch : public model::OpObserver {
 public:
  Watch(ThreadPool& pool, Inputs inputs, const OpSink& sink) : pool_(pool), inputs_(inputs), sink_(sink) {}

  void stand_at(std::int64_t step, std::int64_t row) {
    entry_.step = step;
    entry_.row = row;
  }
  void before(const Op& op, std::span<const ByteView> inputs) override {
    entry_.kind = op.kind;
    entry_.at = op.at;
    entry_.tokens = op.tokens;
    entry_.in = digests(inputs);
    kept_.clear();
    if (inputs_ == Inputs::kKeep)
      for (const ByteView input : inputs) kept_.emplace_back(input.begin(), input.end());
  }
  void after(std::span<const ByteView> outputs) override {
    entry_.out = digests(outputs);
    sink_(entry_, kept_);
  }
  void record(const Op& op, const std::vector<ByteView>& inputs, const std::vector<ByteView>& outputs) {
    before(op, inputs);
    after(outputs);
  }

 private:
  std::vector<Digest> digests(std::span<const ByteView> views) const {
    std::vector<Digest> out;
    for (const ByteView view : views) out.push_back(hash::blake3(view, &pool_));
    return out;
  }

  ThreadPool& pool_;
  const Inputs inputs_;
  const OpSink& sink_;
  OpEntry entry_;
  std::vector<Bytes> kept_;
};

class OpReplay {
 public:
  OpReplay(const LogView& log, TensorSource& source, const model::EngineOptions& engine, const Cell& cell,
           Inputs inputs, const OpSink& sink)
      : log_(log), source_(source), cell_(cell), pool_(*engine.pool), watch_(pool_, inputs, sink) {
    model::EngineOptions observed = engine;
    observed.recompute = false;
    observed.ops = &watch_;
    block_ = model::make_block(observed, cell.block);
    stages_ = log.grid().stages_of_block(cell.block);
  }

  void run() {
    load_state(log_, source_, *block_, cell_.step_block, pool_);
    const record::Grid& grid = log_.grid();
    for (std::int64_t t = grid.step_begin(cell_.step_block); t < grid.step_end(cell_.step_block); ++t)
      run_step(log_.step(t));
  }

 private:
  int last_stage() const { return log_.grid().stages() - 1; }
  bool has_head() const { return stages_.back() == last_stage(); }

  void run_step(const record::Step& step) {
    const data::Rows rows =
        load_rows(log_, source_, step, {.tokens = stages_.front() == 0, .labels = has_head()});
    watch_.stand_at(step.step, -1);
    cut_rows(step, rows);
    read_given(step, rows);
    computed_.clear();
    row_losses_.clear();
    block_->begin_step({step.step, step.lr, step.predicted});
    for (std::int64_t r = 0; r < rows.rows(); ++r) {
      if (interrupted()) fail(Fault::kSystem, "interrupted");
      watch_.stand_at(step.step, r);
      run_row(step, rows.slice(r, r + 1), rows.row_starts[static_cast<std::size_t>(r)]);
    }
    watch_.stand_at(step.step, -1);
    join_computed(step, rows);
    if (has_head()) mean_loss(step);
    finite_or_reject(cat("cell ", cell_.block, ",", cell_.step_block, " step ", step.step), [&] {
      block_->sum_squares();
      block_->update(step.clip);
    });
  }

  // Pieces of a list or tensor of the whole batch, as views of `whole`; one item of it takes `width` bytes.
  static std::vector<ByteView> pieces(const data::Rows& rows, ByteView whole, std::int64_t width) {
    std::vector<ByteView> out;
    for (std::size_t r = 0; r + 1 < rows.row_starts.size(); ++r)
      out.push_back(
          whole.subspan(static_cast<std::size_t>(rows.row_starts[r] * width),
                        static_cast<std::size_t>((rows.row_starts[r + 1] - rows.row_starts[r]) * width)));
    return out;
  }

  void cut_rows(const record::Step& step, const data::Rows& rows) {
    layout_ = data::layout_of(rows);
    const auto cut = [&](const char* what, const std::vector<std::int32_t>& list) {
      watch_.record({OpKind::kCut, what, step.tokens}, {bytes_of(layout_), bytes_of(list)},
                    pieces(rows, bytes_of(list), sizeof(std::int32_t)));
    };
    watch_.record({OpKind::kCut, "layout", step.tokens}, {bytes_of(layout_)},
                  pieces(rows, bytes_of(rows.positions), sizeof(std::int32_t)));
    if (stages_.front() == 0 && log_.config().images) cut_pixels(step, rows);
    if (stages_.front() == 0 && !log_.config().images) cut("tokens", rows.tokens);
    if (has_head()) cut("labels", rows.labels);
  }

  // A row is one image.
  void cut_pixels(const record::Step& step, const data::Rows& rows) {
    const ByteView whole = std::as_bytes(std::span(rows.pixels));
    const std::size_t size = whole.size() / static_cast<std::size_t>(rows.rows());
    std::vector<ByteView> images;
    for (std::size_t at = 0; at < whole.size(); at += size) images.push_back(whole.subspan(at, size));
    watch_.record({OpKind::kCut, "pixels", step.tokens}, {bytes_of(layout_), whole}, images);
  }

  void read_given(const record::Step& step, const data::Rows& rows) {
    given_.clear();
    for (const int stage : stages_) {
      if (stage > 0) read_boundary(step, rows, {Side::kActivation, stage - 1});
      if (stage < last_stage()) read_boundary(step, rows, {Side::kGradient, stage});
    }
  }

  void read_boundary(const record::Step& step, const data::Rows& rows, const Boundary& which) {
    Matrix& whole = given_[which] = Matrix(step.tokens, log_.config().hidden);
    source_.read_boundary(which.first, step.step, which.second, step.tokens, 0, whole);
    const Digest found = hash::blake3(whole.bytes());
    if (found != committed(step, which))
      throw Rejection(Code::kEvidence, source_.boundary_name(which.first, step.step, which.second),
                      expected_found(committed(step, which), found));
    watch_.record({OpKind::kCut, boundary_name(which), step.tokens}, {bytes_of(layout_), whole.bytes()},
                  pieces(rows, whole.bytes(), whole.cols * std::int64_t{sizeof(float)}));
  }

  void run_row(const record::Step& step, const data::Rows& row, std::int64_t first) {
    std::vector<std::unique_ptr<model::Saved>> saved;
    for (const int stage : stages_) {
      Matrix in;
      if (stage > 0) in = rows_of(given_.at({Side::kActivation, stage - 1}), first, row.size());
      auto out = block_->forward(stage, row, stage > 0 ? &in : nullptr, true);
      if (stage < last_stage()) put(step, {Side::kActivation, stage}, first, out.out);
      row_losses_.insert(row_losses_.end(), out.row_losses.begin(), out.row_losses.end());
      saved.push_back(std::move(out.saved));
    }
    for (std::size_t i = stages_.size(); i-- > 0;) {
      const int stage = stages_[i];
      Matrix grad_out;
      if (stage < last_stage()) grad_out = rows_of(given_.at({Side::kGradient, stage}), first, row.size());
      const Matrix grad_in =
          block_->backward(stage, row, std::move(saved[i]), stage < last_stage() ? &grad_out : nullptr);
      if (stage > 0) put(step, {Side::kGradient, stage - 1}, first, grad_in);
    }
  }

  void put(const record::Step& step, const Boundary& which, std::int64_t first, const Matrix& row) {
    auto [at, is_new] = computed_.try_emplace(which);
    if (is_new) at->second = Matrix(step.tokens, row.cols);
    std::memcpy(at->second.row(first), row.data(), row.bytes().size());
  }

  void join_computed(const record::Step& step, const data::Rows& rows) {
    for (const auto& [which, whole] : computed_) {
      std::vector<ByteView> in = pieces(rows, whole.bytes(), whole.cols * std::int64_t{sizeof(float)});
      in.insert(in.begin(), bytes_of(layout_));
      watch_.record({OpKind::kJoin, boundary_name(which), step.tokens}, in, {whole.bytes()});
    }
  }

  void mean_loss(const record::Step& step) {
    std::vector<ByteView> in;
    for (const double& loss : row_losses_) in.push_back(std::as_bytes(std::span(&loss, 1)));
    const float mean = train::mean_loss(row_losses_, step.predicted);
    watch_.record({OpKind::kMeanLoss, "loss"}, in, {std::as_bytes(std::span(&mean, 1))});
  }

  const LogView& log_;
  TensorSource& source_;
  const Cell cell_;
  ThreadPool& pool_;
  Watch watch_;
  std::unique_ptr<model::LayerBlock> block_;
  std::vector<int> stages_;
  std::vector<std::int32_t> layout_;
  std::map<Boundary, Matrix> given_, computed_;  // of the step, whole
  std::vector<double> row_losses_;
};

// Compares the ends of a list, entry by entry, with the leaves of its cell.
class Ends {
 public:
  Ends(const Cell& cell, const LogView& log)
      : log_(log),
        boundaries_(boundaries_of_block(log.grid(), cell.block)),
        has_first_(cell.block == 0),
        has_last_(cell.block == log.grid().block_of_stage(log.grid().stages() - 1)),
        first_(log.grid().step_begin(cell.step_block)),
        last_(log.grid().step_end(cell.step_block) - 1) {
    for (const int unit : log.grid().units_of_block(cell.block)) {
      const auto tensors = model::trained_tensors(log.config(), log.manifest().recipe, unit);
      if (!tensors.empty()) unit_ends_[tensors.back().name] = unit;
    }
  }

  std::optional<WrongEnd> problem(const OpEntry& entry) {
    if (entry.step < first_ || entry.step > last_) return no_list("is of a step of another cell");
    if (!step_ || step_->step != entry.step) step_ = log_.step(entry.step);
    const bool of_step = entry.row == -1;  // as every end is
    switch (entry.kind) {
      case OpKind::kCut:
        return of_step ? cut(entry) : no_list("is of one row");
      case OpKind::kJoin:
        return of_step ? join(entry) : no_list("is of one row");
      case OpKind::kMeanLoss:
        if (!of_step || !has_last_ || entry.at != "loss") return no_list("is of nothing that the log names");
        return equal(entry.out, {of_number(step_->loss)});
      case OpKind::kSumSquares: {
        const auto unit = unit_ends_.find(entry.at);
        if (!of_step || unit == unit_ends_.end()) return std::nullopt;
        return equal(entry.out, {of_number(step_->sums[static_cast<std::size_t>(unit->second)])});
      }
      case OpKind::kUpdate:
        if (entry.step == first_) before_[entry.at] = entry.in;
        if (entry.step == last_) after_[entry.at] = entry.out;
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  std::optional<WrongEnd> problem_of_states(const Cell& cell) const {
    const auto b = static_cast<std::size_t>(cell.block);
    for (const auto& [digests, s] : {std::pair(&before_, cell.step_block), {&after_, cell.step_block + 1}}) {
      const auto found = block_digest(cell, *digests);
      if (!found) return no_list(cat("state ", s, ": not all parameters and moments are updated"));
      if (*found != log_.state(s).blocks[b])
        return WrongEnd{
            cat("state ", s, ": not the parameters and moments that the log commits to"), true, {}};
    }
    return std::nullopt;
  }

 private:
  static WrongEnd no_list(std::string why) { return {std::move(why), false, {}}; }
  template <class T>
  static Digest of_number(T value) {
    return hash::blake3(std::as_bytes(std::span(&value, 1)));
  }
  static std::optional<WrongEnd> equal(const std::vector<Digest>& found,
                                       const std::vector<Digest>& expected) {
    if (found == expected) return std::nullopt;
    if (found.size() != expected.size()) return no_list(cat("names ", found.size(), " tensors"));
    const auto at = std::mismatch(found.begin(), found.end(), expected.begin());
    return WrongEnd{
        cat("is not what the log commits to: expected ", to_hex(*at.second), ", found ", to_hex(*at.first)),
        true,
        {}};
  }

  std::optional<Digest> of_boundary(const std::string& at) const {
    for (const int b : boundaries_)
      for (const Side side : {Side::kActivation, Side::kGradient})
        if (at == boundary_name({side, b})) return committed(*step_, {side, b});
    return std::nullopt;
  }

  std::optional<WrongEnd> cut(const OpEntry& entry) const {
    if (entry.at == "layout") return equal(entry.in, {step_->layout});
    if (entry.at == (log_.config().images ? "pixels" : "tokens") && has_first_)
      return equal(entry.in, {step_->layout, step_->token_ids});
    if (entry.at == "labels" && has_last_) return equal(entry.in, {step_->layout, step_->labels});
    const auto boundary = of_boundary(entry.at);
    if (!boundary) return no_list("is of nothing that the log names");
    return equal(entry.in, {step_->layout, *boundary});
  }

  std::optional<WrongEnd> join(const OpEntry& entry) const {
    const auto boundary = of_boundary(entry.at);
    if (!boundary) return no_list("is of nothing that the log names");
    return equal(entry.out, {*boundary});
  }

  // `digests`: by parameter, its own and its moments' first.
  std::optional<Digest> block_digest(const Cell& cell,
                                     const std::map<std::string, std::vector<Digest>>& digests) const {
    const auto& recipe = log_.manifest().recipe;
    const std::size_t moments = optim::moment_names(recipe).size();
    record::BlockState state{model::block_parameter_specs(log_.config(), log_.grid(), recipe, cell.block),
                             {},
                             model::block_moment_specs(log_.config(), log_.grid(), recipe, cell.block),
                             {}};
    for (const TensorSpec& spec : state.parameter_specs) {
      const auto at = digests.find(spec.name);
      if (at == digests.end() || at->second.size() < 1 + moments) return std::nullopt;
      state.parameters.push_back(at->second[0]);
      for (std::size_t m = 0; m < moments; ++m) state.moments.push_back(at->second[1 + m]);
    }
    return record::block_digest(state);
  }

  const LogView& log_;
  const std::set<int> boundaries_;  // of the cell's block
  const bool has_first_, has_last_;
  const std::int64_t first_, last_;
  std::map<std::string, int> unit_ends_;  // the unit whose sum is complete with this parameter
  std::optional<record::Step> step_;
  std::map<std::string, std::vector<Digest>> before_, after_;
};

}  // namespace

void replay_ops(const LogView& log, TensorSource& source, const model::EngineOptions& engine,
                const Cell& cell, Inputs inputs, const OpSink& sink) {
  OpReplay(log, source, engine, cell, inputs, sink).run();
}

std::optional<WrongEnd> wrong_end(const OpList& list, const LogView& log) {
  Ends ends(list.cell, log);
  std::int64_t i = 0;
  for (const OpEntry& entry : list.entries) {
    if (auto problem = ends.problem(entry)) {
      problem->what = cat(where(list.cell, entry), " ", problem->what);
      problem->entry = i;
      return problem;
    }
    ++i;
  }
  return ends.problem_of_states(list.cell);
}

std::string contradicted_end(const Cell& cell, const OpEntry& entry, const LogView& log) {
  const auto problem = Ends(cell, log).problem(entry);
  return problem && problem->contradicts ? problem->what : "";
}

}  // namespace aftune::audit
