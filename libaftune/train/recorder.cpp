#include "train/recorder.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "trace/hiding_key.h"
#include "train/background.h"
#include "train/recorded_log.h"
#include "train/segment_job.h"
#include "train/step_digests.h"

namespace aftune::train {
namespace {

std::int64_t steps_done(const record::Grid& grid, std::int64_t state) {
  return state == 0 ? 0 : grid.step_end(state - 1);
}

// Refuses at the start what would fail when hours are spent: the longest leaf of each kind.
void check_leaf_sizes(const record::Manifest& m) {
  const auto digests = [](int n) { return std::vector<Digest>(static_cast<std::size_t>(n)); };
  record::to_leaf(m);
  record::Step step;
  step.step = step.epoch = step.from = step.to = step.tokens = step.predicted = kMaxJsonInteger;
  step.activations = step.gradients = digests(m.grid.boundaries());
  step.sums.resize(static_cast<std::size_t>(m.grid.units()));
  step.eval_loss = 0.0f;
  record::to_leaf(step);
  record::to_leaf(record::State{kMaxJsonInteger, kMaxJsonInteger, digests(m.grid.blocks())});
}

fs::path made(const fs::path& trace) {
  std::error_code error;
  fs::create_directories(trace, error);
  if (error) fail(Fault::kSystem, trace.native(), ": create: ", error.message());
  return trace;
}

}  // namespace

// A trace may be started where there is nothing, or what a start that failed at once left behind.
void check_trace(const RecordOptions& options) {
  if (!fs::exists(options.trace)) return;
  if (!fs::is_directory(options.trace)) fail(Fault::kUsage, options.trace.native(), ": is not a folder");
  if (options.resume) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(options.trace))
    if (entry.path().filename() != "lock" &&
        !(options.hiding && entry.path() == trace::Layout{options.trace}.hiding_key()))
      fail(Fault::kUsage, options.trace.native(), ": exists and is not empty; use --resume to go on with it");
}

std::optional<record::RunSecret> run_secret(const RecordOptions& options) {
  if (!options.hiding) return std::nullopt;
  const trace::Layout layout{options.trace};
  std::optional<record::RunSecret> given, kept;
  if (options.hiding_secret) given = trace::read_hiding_key(*options.hiding_secret, Links::kFollow);
  if (fs::exists(layout.hiding_key())) kept = trace::read_hiding_key(layout.hiding_key());
  if (given && kept && *given != *kept)
    fail(Fault::kUsage, layout.hiding_key().native(), ": is not the secret that is given");
  if (kept) return kept;
  if (const auto recorded = recorded_manifest(options.trace); recorded && recorded->hiding() && !given)
    fail(Fault::kUsage, layout.hiding_key().native(), ": is not there, and the run has begun with one");
  return given ? *given : trace::new_hiding_key();
}

struct Recorder::State : StepObserver {
  ThreadPool& pool;
  RecordOptions options;
  record::Manifest manifest;
  const record::Grid& grid = manifest.grid;
  trace::Layout layout;
  FileLock lock;
  RecordedLog recorded;
  StepDigests digests;
  std::optional<record::SecretSalts> secret_salts;
  const record::Salts* salts = nullptr;  // null without hiding

  std::optional<std::optional<std::int64_t>> snapshot;  // the state to resume from, once looked for
  std::int64_t state = 0;                               // the last one known
  std::int64_t position = 0;                            // in the endless order, after the last step
  record::Final totals;                                 // of the steps done
  std::vector<record::BlockState> blocks;               // of that state, parameters as they are published
  std::vector<Digest> moments;      // of that state, a block's list each, as they are published
  std::vector<std::string> leaves;  // made since the last segment and not in the log yet
  std::unique_ptr<SegmentJob> job;  // of the step block that runs; null if its segment is there already
  bool job_known = false;
  std::shared_ptr<Snapshot> lent;  // the blocks must not change before it is kept

  SegmentFiles files;     // used by the background thread only, once that has begun
  Background background;  // last: its thread must stop before the rest goes

  State(const RecordOptions& o, const record::Manifest& m, ThreadPool& p)
      : pool(p),
        options(o),
        manifest(m),
        layout{made(o.trace)},
        lock(layout.lock()),
        recorded(layout),
        digests(m.grid.boundaries(), o.store_boundaries, p),
        files(layout) {}

  void activation(int boundary, const Matrix& rows) override { digests.activation(boundary, rows); }
  void gradient(int boundary, const Matrix& rows) override { digests.gradient(boundary, rows); }
  void before_update() override {
    if (lent) lent->keep(pool);
    lent.reset();
  }

  void keep_secret(const record::RunSecret& secret);
  Digest published(std::int64_t leaf, record::Role role, const Digest& digest) const {
    return record::published(salts, {leaf, role}, digest);
  }
  std::vector<Digest> published(std::int64_t leaf, record::Role role, std::vector<Digest> list) const;

  bool snapshot_due(std::int64_t s) const {
    return s == 0 || s == grid.step_blocks() ||
           (options.snapshot_interval > 0 && s % options.snapshot_interval == 0);
  }
  void put(std::int64_t index, std::string leaf) {
    if (!recorded.confirms(index, leaf)) leaves.push_back(std::move(leaf));
  }
  std::optional<trace::SegmentReader> existing(std::int64_t segment) const;
  std::optional<std::int64_t> find_snapshot(const Blocks& model) const;
  bool is_whole(std::int64_t segment, const Blocks& model) const;
  void open_job(std::int64_t segment, const Blocks& model);
  void lend_snapshot(const Blocks& model);
  void close_job(const Blocks& model);
  std::string digest_state(const Blocks& model);  // the leaf of the current state; keeps the digests
  void count(const record::Step& step);
};

// A segment that an interrupted run left, if it is there and undamaged.
std::optional<trace::SegmentReader> Recorder::State::existing(std::int64_t segment) const {
  if (!fs::exists(layout.segment(segment))) return std::nullopt;
  try {
    return trace::SegmentReader(layout.segment(segment));
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    return std::nullopt;
  }
}

// Whichever interval wrote it, a snapshot is one to resume from.
std::optional<std::int64_t> Recorder::State::find_snapshot(const Blocks& model) const {
  for (std::int64_t s = grid.step_blocks(); s >= 0; --s) {
    if (!recorded.has(grid.state_leaf(s))) continue;
    const auto segment = existing(s);
    if (segment && holds_state(*segment, model, manifest.recipe)) return s;
  }
  return std::nullopt;
}

// Whether a segment needs no writing again: it has its state, if one is due, and its steps.
bool Recorder::State::is_whole(std::int64_t segment, const Blocks& model) const {
  const auto reader = existing(segment);
  if (!reader || (snapshot_due(segment) && !holds_state(*reader, model, manifest.recipe))) return false;
  if (segment == 0) return true;
  const int last = grid.boundaries() - 1;
  for (std::int64_t t = grid.step_begin(segment - 1); t < grid.step_end(segment - 1); ++t) {
    for (const char* what : {"layout", manifest.images ? "pixels" : "tokens", "labels"})
      if (!reader->has(trace::step_dataset(t, what))) return false;
    if (options.store_boundaries && !reader->has(trace::gradient_dataset(t, last))) return false;
  }
  return true;
}

void Recorder::State::open_job(std::int64_t segment, const Blocks& model) {
  if (job_known) return;
  job_known = true;
  job.reset();
  if (recorded.has(grid.state_leaf(segment)) && is_whole(segment, model)) return;
  job = std::make_unique<SegmentJob>(segment, options.compress);
}

void Recorder::State::lend_snapshot(const Blocks& model) {
  job->snapshot = lent = std::make_shared<Snapshot>(model, manifest.recipe);
  // A tensor that is being compressed is in use for long.
  if (options.compress) before_update();
}

void Recorder::State::close_job(const Blocks& model) {
  if (job) {
    if (snapshot_due(state)) lend_snapshot(model);
    job->last = true;
  }
  if (job || !leaves.empty())
    background.post([this, part = std::shared_ptr<SegmentJob>(std::move(job)),
                     lines = std::exchange(leaves, {})] { files.write(part.get(), lines); });
  job_known = false;
}

std::string Recorder::State::digest_state(const Blocks& model) {
  blocks.clear();
  moments.clear();
  record::State leaf{state, steps_done(grid, state), {}};
  for (const auto& block : model) {
    blocks.push_back(block->state());
    record::PublishedBlock published =
        record::publish_block(blocks.back(), salts, grid.state_leaf(state), block->index());
    blocks.back().parameters = std::move(published.parameters);
    moments.push_back(published.moments);
    leaf.blocks.push_back(published.digest);
  }
  return record::to_leaf(leaf);
}

void Recorder::State::count(const record::Step& step) {
  totals.steps = step.step + 1;
  totals.positions = position = step.to;
  totals.tokens += step.tokens;
  totals.predicted += step.predicted;
}

// Durable before any leaf is: without it nothing of the run could ever be opened.
void Recorder::State::keep_secret(const record::RunSecret& secret) {
  AFTUNE_CHECK(manifest.hiding_key == record::secret_check(secret));
  if (!fs::exists(layout.hiding_key()))
    trace::write_hiding_key(layout.hiding_key(), secret);
  else if (trace::read_hiding_key(layout.hiding_key()) != secret)
    fail(Fault::kUsage, layout.hiding_key().native(), ": is not the secret of this run");
  secret_salts.emplace(secret);
  salts = &*secret_salts;
}

// One a boundary.
std::vector<Digest> Recorder::State::published(std::int64_t leaf, record::Role role,
                                               std::vector<Digest> list) const {
  for (std::size_t b = 0; b < list.size(); ++b)
    list[b] = record::published(salts, {leaf, role, static_cast<std::int64_t>(b)}, list[b]);
  return list;
}

Recorder::Recorder(const RecordOptions& options, const record::Manifest& manifest, ThreadPool& pool,
                   const std::optional<record::RunSecret>& secret) {
  check_leaf_sizes(manifest);
  AFTUNE_CHECK(manifest.hiding() == secret.has_value());
  state_ = std::make_unique<State>(options, manifest, pool);
  check_trace(options);
  state_->recorded.confirms(0, record::to_leaf(manifest));
  if (state_->recorded.size() > manifest.grid.log_size())
    fail(Fault::kUsage, state_->layout.log().native(), ": has more leaves than this run");
  if (secret) state_->keep_secret(*secret);
}

Recorder::~Recorder() = default;

std::optional<std::int64_t> Recorder::resume_state(const Blocks& blocks) {
  State& st = *state_;
  if (!st.snapshot) st.snapshot = st.find_snapshot(blocks);
  return *st.snapshot;
}

void Recorder::restore(Blocks& blocks) {
  State& st = *state_;
  const std::optional<std::int64_t> s = resume_state(blocks);
  AFTUNE_CHECK(s.has_value());
  read_state(trace::SegmentReader(st.layout.segment(*s)), blocks, st.manifest.recipe);
  st.state = *s;
  if (st.digest_state(blocks) != st.recorded.leaf(st.grid.state_leaf(*s)))
    fail(Fault::kEvidence, st.layout.segment(*s).native(), ": its state is not the one in the log");
  for (std::int64_t t = 0; t < steps_done(st.grid, *s); ++t)
    st.count(within(cat(st.layout.log().native(), ": line ", st.grid.step_leaf(t) + 1),
                    [&] { return record::parse_step(st.recorded.leaf(st.grid.step_leaf(t)), st.grid); }));
}

std::int64_t Recorder::resume_step() const {
  return steps_done(state_->grid, state_->state);
}

std::int64_t Recorder::resume_position() const {
  return state_->position;
}

void Recorder::begin(const Blocks& blocks) {
  State& st = *state_;
  st.state = 0;
  st.put(0, record::to_leaf(st.manifest));
  st.put(st.grid.state_leaf(0), st.digest_state(blocks));
  st.open_job(0, blocks);
  st.close_job(blocks);
}

StepObserver& Recorder::observer(std::int64_t step) {
  AFTUNE_CHECK(step == state_->totals.steps);
  state_->digests.reset();
  return *state_;
}

void Recorder::end_step(std::int64_t step, const data::Batch& batch, const StepResult& result, double lr,
                        std::optional<float> eval_loss, const Blocks& blocks) {
  State& st = *state_;
  const std::vector<std::int32_t> layout = data::layout_of(batch.rows);
  record::Step leaf;
  leaf.step = step;
  leaf.epoch = batch.from / st.manifest.data_rows;
  leaf.from = batch.from;
  leaf.to = batch.to;
  leaf.tokens = batch.rows.size();
  leaf.predicted = batch.predicted;
  const std::int64_t at = st.grid.step_leaf(step);
  leaf.layout = st.published(at, record::Role::kLayout, data::ints_digest(layout));
  leaf.token_ids = st.published(at, record::Role::kTokens, data::input_digest(batch.rows));
  leaf.labels = st.published(at, record::Role::kLabels, data::ints_digest(batch.rows.labels));
  leaf.activations =
      st.published(at, record::Role::kActivation, train::finish(st.digests.activations(), leaf.tokens));
  leaf.gradients =
      st.published(at, record::Role::kGradient, train::finish(st.digests.gradients(), leaf.tokens));
  leaf.loss = result.loss;
  leaf.lr = lr;
  leaf.sums = result.unit_sums;
  leaf.norm = result.norm;
  leaf.clip = result.clip;
  leaf.eval_loss = eval_loss;
  st.put(at, record::to_leaf(leaf));
  st.count(leaf);

  const std::int64_t segment = trace::Layout::segment_of_step(st.grid, step);
  st.open_job(segment, blocks);
  if (st.job) st.job->add_step(step, layout, batch.rows, st.digests);
  if (step + 1 == st.grid.step_end(segment - 1)) {
    st.state = segment;
    st.put(st.grid.state_leaf(st.state), st.digest_state(blocks));
    st.close_job(blocks);
  } else if (st.job && st.options.store_boundaries) {
    st.background.post(
        [&st, part = std::make_shared<SegmentJob>(st.job->take())] { st.files.write(part.get(), {}); });
  }
}

void Recorder::finish(const record::TensorList& exported, const std::map<std::string, Digest>& files) {
  State& st = *state_;
  AFTUNE_CHECK(st.totals.steps == st.grid.steps);
  record::Final leaf = st.totals;
  leaf.exported = exported;
  const std::int64_t at = st.grid.final_leaf();
  for (const auto& [name, digest] : files)
    leaf.files[name] = record::holds_weights(name)
                           ? record::published(st.salts, {at, record::Role::kFile, 0, name}, digest)
                           : digest;
  leaf.moments = st.moments;
  st.put(at, record::to_leaf(leaf));
  st.background.post([&st, lines = std::exchange(st.leaves, {})] { st.files.write(nullptr, lines); });
  st.background.wait();
}

double Recorder::waited() const {
  return state_->background.waited();
}

const std::vector<record::BlockState>& Recorder::last_state() const {
  return state_->blocks;
}

}  // namespace aftune::train
