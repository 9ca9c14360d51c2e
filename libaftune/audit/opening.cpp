#include "audit/opening.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "audit/batch_check.h"
#include "audit/block_lists.h"
#include "audit/client_check.h"
#include "audit/evidence_writer.h"
#include "audit/final_params.h"
#include "audit/limits.h"
#include "audit/log_check.h"
#include "audit/log_view.h"
#include "audit/native_cells.h"
#include "audit/opened_salts.h"
#include "audit/rejection.h"
#include "audit/replay.h"
#include "audit/run_replay.h"
#include "audit/sealed_log.h"
#include "audit/serving_open.h"
#include "audit/shown_rows.h"
#include "audit/trace_source.h"
#include "base/error.h"
#include "base/progress.h"
#include "data/dataset.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "kernels/ops.h"
#include "model/image_processor.h"
#include "record/serving.h"
#include "seal/note.h"
#include "tokenizer/folder.h"
#include "trace/hiding_key.h"
#include "trace/log.h"
#include "trace/segment.h"
#include "train/inputs.h"

namespace aftune::audit {
namespace {

std::string boundary_path(Side side, std::int64_t t, int boundary) {
  return side == Side::kActivation ? trace::activation_dataset(t, boundary)
                                   : trace::gradient_dataset(t, boundary);
}

class Opener {
 public:
  Opener(const OpenOptions& options, const LogView& log, TraceSource& source, ThreadPool& pool,
         EvidenceWriter& evidence, Progress& progress)
      : options_(options),
        log_(log),
        source_(source),
        engine_(engine_of(log, pool, nullptr)),
        evidence_(evidence),
        progress_(progress),
        findings_(verdict_) {}

  void open(const std::vector<Cell>& cells) {
    std::map<std::int64_t, std::set<int>> rows;
    for (const Cell& cell : cells) rows[cell.step_block].insert(cell.block);
    std::int64_t done = 0;
    for (const auto& [s, blocks] : rows) {
      open_row(s, blocks);
      done += std::ssize(blocks);
      progress_.update(done);
    }
  }

  // Every parameter of the last state, which is always stored; one at a time.
  void open_final() {
    Verdict verdict;
    Findings findings(verdict);
    const std::int64_t last = log_.grid().step_blocks();
    check_final_params(
        log_,
        [&](const TensorSpec& spec, std::span<std::byte> out) {
          source_.read_state(last, spec, 0, out);
          evidence_.index.cost.stored_bytes += out.size();
          evidence_.add(evidence_final_dataset(spec.name), spec.dtype, spec.shape, out, trace::Packing::kRaw);
        },
        source_.state_name(last, ""), findings);
    if (!verdict.reasons.empty()) {
      const Reason& reason = verdict.reasons.front();
      throw Rejection(reason.code, reason.where, reason.detail);
    }
  }

 private:
  void open_row(std::int64_t s, const std::set<int>& blocks) {
    Again again;
    for (const std::int64_t q : opened_states(log_, s)) {
      if (!source_.has_state(q))
        again.states.insert(q);
      else
        for (const int block : blocks) copy_state(q, block);
    }
    for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t) copy_ints(t, blocks);
    const auto wanted = opened_boundaries(log_, blocks);
    if (source_.has_boundaries(s)) {
      for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t)
        for (const auto& [side, boundary] : wanted) copy_boundary(side, t, boundary);
    } else {
      again.boundaries = wanted;
    }
    if (again.any()) recreate(s, blocks, again);
  }

  bool is_native() const { return log_.manifest().native.has_value(); }

  // What of a step block has to be made again.
  struct Again {
    std::set<std::int64_t> states;
    std::set<std::pair<Side, int>> boundaries;
    bool any() const { return !states.empty() || !boundaries.empty(); }
  };

  // Puts the engine at state s, from where it is or from the nearest snapshot, whichever is later.
  void go_to(std::int64_t s) {
    std::int64_t q = s;
    while (q > 0 && !source_.has_state(q)) --q;
    if (!run_) {
      require_own_device();
      require_memory();
      read_base();
      run_.emplace(log_, source_, engine_, findings_);
    }
    if (at_ < q || at_ > s) {
      run_->load(q);
      at_ = q;
    }
    run_->keep([](Side, std::int64_t, int) { return false; }, {});
    for (; at_ < s; ++at_) step_through(at_);
  }

  void step_through(std::int64_t s) {
    run_->run(s, {});
    for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t) {
      ++evidence_.index.cost.replayed_steps;
      evidence_.index.cost.replayed_tokens += log_.step(t).tokens;
    }
  }

  void recreate(std::int64_t s, const std::set<int>& blocks, const Again& again) {
    const auto write_states = [&] {
      if (again.states.count(at_) != 0)
        for (const int block : blocks) write_state(at_, run_->block(block));
    };
    go_to(s);
    write_states();
    if (again.boundaries.empty() && again.states.count(s + 1) == 0) return;
    run_->keep(
        [&](Side side, std::int64_t, int boundary) {
          return again.boundaries.count({side, boundary}) != 0;
        },
        [this](Side side, std::int64_t t, int boundary, const Shape& shape, const Bytes& bytes) {
          evidence_.index.cost.recreated_bytes += bytes.size();
          evidence_.add(boundary_path(side, t, boundary), DType::kF32, shape, bytes, trace::Packing::kRaw);
        });
    step_through(s);
    at_ = s + 1;
    write_states();
  }

  // run() and load() have compared the block with the leaf of this state.
  void write_state(std::int64_t s, model::LayerBlock& block) {
    if (!states_.emplace(s, block.index()).second) return;
    const std::vector<TensorSpec> moments =
        model::block_moment_specs(log_.config(), log_.grid(), log_.manifest().recipe, block.index());
    std::size_t next = 0;
    for (const model::Parameter& p : block.parameters()) {
      add_state(s, p.spec, p.value.bytes());
      for (const Buffer& moment : p.moments) add_state(s, moments[next++], moment.bytes());
    }
  }
  void add_state(std::int64_t s, const TensorSpec& spec, ByteView bytes) {
    evidence_.index.cost.recreated_bytes += bytes.size();
    evidence_.add(evidence_state_dataset(s, spec.name), spec.dtype, spec.shape, bytes, trace::Packing::kRaw);
  }

  void copy_state(std::int64_t s, int block) {
    if (!states_.emplace(s, block).second) return;
    const BlockLists lists(log_, block);
    const auto copy = [&](const std::vector<TensorSpec>& specs) {
      std::vector<Digest> digests;
      for (const TensorSpec& spec : specs) {
        Buffer buffer(element_count(spec.shape));
        source_.read_state(s, spec, 0, buffer.mutable_bytes());
        const std::string path = evidence_state_dataset(s, spec.name);
        evidence_.index.cost.stored_bytes += buffer.bytes().size();
        evidence_.add(path, spec.dtype, spec.shape, buffer.bytes(), trace::Packing::kRaw);
        digests.push_back(evidence_.index.datasets[path]);
      }
      return digests;
    };
    record::BlockState state{lists.parameter_specs(), {}, lists.moment_specs(), {}};
    state.parameters = copy(state.parameter_specs);
    state.moments = copy(state.moment_specs);
    const Digest committed = log_.state(s).blocks[static_cast<std::size_t>(block)];
    require(log_.published_block(s, block, state) == committed, source_.state_name(s, ""));
  }

  void copy_ints(std::int64_t t, const std::set<int>& blocks) {
    const record::Step step = log_.step(t);
    const int head = log_.grid().block_of_stage(log_.grid().stages() - 1);
    const auto copy = [&](record::Role role, const Digest& committed) {
      const std::string what(record::name(role));
      const std::vector<std::int32_t> ints = source_.read_ints(t, what, 4 * step.tokens + 4);
      const ByteView bytes = std::as_bytes(std::span(ints));
      require(log_.published({log_.grid().step_leaf(t), role}, hash::blake3(bytes)) == committed,
              source_.ints_name(t, what));
      evidence_.index.cost.stored_bytes += bytes.size();
      evidence_.add(trace::step_dataset(t, what), DType::kI32, {std::ssize(ints)}, bytes,
                    trace::Packing::kZstd);
    };
    copy(record::Role::kLayout, step.layout);
    if (blocks.count(0) != 0 && log_.config().images) copy_pixels(step);
    if (blocks.count(0) != 0 && !log_.config().images) copy(record::Role::kTokens, step.token_ids);
    if (blocks.count(head) != 0) copy(record::Role::kLabels, step.labels);
  }

  void copy_pixels(const record::Step& step) {
    Matrix pixels(log_.manifest().recipe.batch_size, log_.config().images->shape.pixels());
    source_.read_pixels(step.step, pixels);
    require(log_.published({log_.grid().step_leaf(step.step), record::Role::kTokens},
                           hash::blake3(pixels.bytes(), engine_.pool)) == step.token_ids,
            source_.ints_name(step.step, "pixels"));
    evidence_.index.cost.stored_bytes += pixels.bytes().size();
    evidence_.add(trace::step_dataset(step.step, "pixels"), DType::kF32, {pixels.rows, pixels.cols},
                  pixels.bytes(), trace::Packing::kZstd);
  }

  void copy_boundary(Side side, std::int64_t t, int boundary) {
    const record::Step step = log_.step(t);
    Matrix tensor(step.tokens, log_.config().hidden);
    source_.read_boundary(side, t, boundary, step.tokens, 0, tensor);
    const auto& committed = side == Side::kActivation ? step.activations : step.gradients;
    const Digest found = log_.published({log_.grid().step_leaf(t), role_of(side), boundary},
                                        hash::blake3(tensor.bytes(), engine_.pool));
    require(found == committed[static_cast<std::size_t>(boundary)], source_.boundary_name(side, t, boundary));
    evidence_.index.cost.stored_bytes += tensor.bytes().size();
    evidence_.add(boundary_path(side, t, boundary), DType::kF32, {tensor.rows, tensor.cols}, tensor.bytes(),
                  trace::Packing::kRaw);
  }

  static void require(bool committed, const std::string& what) {
    if (!committed) throw Rejection(Code::kEvidence, what, "not the tensor that the log speaks of");
  }

  // What adapters stand beside is not in the trace.
  void read_base() {
    if (!log_.manifest().recipe.is_lora()) return;
    if (!options_.model)
      fail(Fault::kUsage, "what is not stored is made again beside the base model: give --model");
    base_ = check_base_weights(log_, *options_.model, findings_);
    if (!base_) fail(Fault::kUsage, options_.model->native(), ": not the base model of the run");
    engine_.base = &*base_;
  }

  void require_own_device() const {
    if (is_native() && !is_machine_of(*engine_.pool, *log_.manifest().native))
      fail(Fault::kUsage, "what is not stored of a native run is made again on its own device only");
  }

  void require_memory() const {
    if (options_.max_memory == 0) return;
    std::uint64_t bytes = 0;
    for (int block = 0; block < log_.grid().blocks(); ++block) bytes += replay_bytes(log_, block);
    if (bytes > options_.max_memory)
      fail(Fault::kUsage, "making again what is not stored takes ", bytes, " bytes, more than ",
           options_.max_memory);
  }

  const OpenOptions& options_;
  const LogView& log_;
  TraceSource& source_;
  model::EngineOptions engine_;
  std::optional<model::Checkpoint> base_;
  EvidenceWriter& evidence_;
  Progress& progress_;
  Verdict verdict_;  // what a replay counts; nobody asks for it
  Findings findings_;
  std::set<std::pair<std::int64_t, int>> states_;  // that are in the evidence: step block, block
  std::optional<RunReplay> run_;
  std::int64_t at_ = -1;
};

// A contradiction in the own record, in one line.
[[noreturn]] void refuse(const Reason& reason) {
  fail(Fault::kEvidence, reason.where, ": ", reason.detail);
}

LogView checked_view(const std::vector<std::string>& leaves) {
  LogView view(leaves);
  Verdict verdict;
  Findings findings(verdict);
  if (!check_structure(view, findings)) refuse(verdict.reasons.front());
  return view;
}

// The salts of a run with hiding, all of which its provider has.
std::optional<record::SecretSalts> own_salts(const trace::Layout& layout, const LogView& view) {
  if (!view.manifest().hiding()) return std::nullopt;
  const record::RunSecret secret = trace::read_hiding_key(layout.hiding_key());
  if (record::secret_check(secret) != *view.manifest().hiding_key)
    fail(Fault::kEvidence, layout.hiding_key().native(), ": is not the secret of this run");
  return record::SecretSalts(secret);
}

fs::path count_file(const OpenOptions& options) {
  return options.disclosed.value_or(trace::Layout{options.trace}.disclosed());
}

void open_salts(const record::Salts& salts, const std::vector<record::SaltName>& names,
                std::map<std::string, Digest>& opened) {
  for (const record::SaltName& name : names) opened[to_text(name)] = salts.salt(name);
}

// The provider's copy of the client's data, which must be what the manifest commits to.
class OwnRows {
 public:
  OwnRows(const OpenOptions& options, const LogView& log)
      : log_(log),
        dataset_(train::read_dataset(*options.data, log.config(), log.manifest().images)),
        order_(log.manifest().recipe.seed, dataset_.rows()) {
    if (log.config().images)
      check_normalisation(*options.model);
    else
      read_tokenizer(*options.model);
    std::string room;
    for (std::int64_t i = 0; i < dataset_.rows(); ++i) tree_.append(hash::leaf_hash(dataset_.row(i, room)));
    const record::Manifest& m = log.manifest();
    if (dataset_.rows() != m.data_rows ||
        log.published({0, record::Role::kData}, tree_.root()) != m.data_root)
      fail(Fault::kUsage, options.data->native(), ": not the rows that the run was trained on");
  }

  // Returns the bytes of each row that was written.
  std::map<std::int64_t, std::uint64_t> write(const std::vector<Cell>& cells,
                                              EvidenceWriter& evidence) const {
    std::map<std::int64_t, std::uint64_t> rows;
    each_row_of_cells(log_, order_, cells, [&](std::int64_t row) { rows[row] = 0; });
    if (rows.empty()) return rows;
    check(cells);
    if (tokenizer_)
      evidence.add(kEvidenceTokenizer, DType::kU8, {std::ssize(tokenizer_text_)}, as_bytes(tokenizer_text_),
                   trace::Packing::kRaw);
    std::string room;
    for (auto& [row, bytes] : rows) {
      const std::string_view text = dataset_.row(row, room);
      bytes = text.size();
      evidence.add(evidence_row_dataset(row), DType::kU8, {std::ssize(text)}, as_bytes(text),
                   trace::Packing::kRaw);
      Bytes proof;
      for (const Digest& hash : tree_.inclusion(static_cast<std::uint64_t>(row), tree_.size()))
        proof.insert(proof.end(), as_bytes(hash).begin(), as_bytes(hash).end());
      if (!proof.empty())
        evidence.add(evidence_row_proof_dataset(row), DType::kU8, {std::ssize(proof)}, proof,
                     trace::Packing::kRaw);
    }
    return rows;
  }

 private:
  void read_tokenizer(const fs::path& model) {
    const fs::path path = model / "tokenizer.json";
    tokenizer_text_ = tokenizer::read_tokenizer_of(model);
    if (hash::blake3(tokenizer_text_) != log_.manifest().tokenizer)
      fail(Fault::kUsage, path.native(), ": not the tokenizer of the run");
    tokenizer_ = within(path.native(), [&] { return tokenizer::Tokenizer::parse(tokenizer_text_); });
  }

  void check_normalisation(const fs::path& model) const {
    if (model::read_normalisation(model, log_.config()) != *log_.manifest().images)
      fail(Fault::kUsage, model.native(), ": its pixels are normalised by other numbers than the run's");
  }

  // That the record says of these steps what follows from the rows. Throws Rejection.
  void check(const std::vector<Cell>& cells) const {
    const data::Encoder encoder = encoder_of(log_, tokenizer_ ? &*tokenizer_ : nullptr);
    std::string room;
    Verdict verdict;
    Findings findings(verdict);
    for (const Cell& cell : cells) {
      if (cell.block != 0) continue;
      for (std::int64_t t = log_.grid().step_begin(cell.step_block);
           t < log_.grid().step_end(cell.step_block); ++t)
        check_batch(
            log_, [&](std::int64_t row) { return dataset_.row(row, room); }, encoder, order_, log_.step(t),
            log_.step_line(t), findings);
    }
  }

  const LogView& log_;
  data::Dataset dataset_;
  std::string tokenizer_text_;
  std::optional<tokenizer::Tokenizer> tokenizer_;  // none with images
  data::Order order_;
  hash::MerkleTree tree_;
};

void require_usable(const OpenOptions& options, const seal::Checkpoint& checkpoint) {
  if (!fs::is_directory(options.trace))
    fail(Fault::kUsage, options.trace.native(), ": not a trace directory");
  if (fs::exists(options.out)) fail(Fault::kUsage, options.out.native(), ": exists");
  if (options.discloses) require_countable(count_file(options));
  if (options.key != nullptr && !checkpoint.origin.starts_with(options.key->public_key().name() + "/"))
    fail(Fault::kUsage, "the key is ", options.key->public_key().name(), ", the run is ", checkpoint.origin);
  kernels::require_self_test(options.accelerator);
}

}  // namespace

Opened open(const OpenOptions& options) {
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(options.challenge.note).text);
  require_usable(options, checkpoint);
  const trace::Layout layout{options.trace};
  const trace::Log log = sealed_log(layout, checkpoint);
  if (record::kind_of_leaf(log.leaves.front()) == "serving-manifest")
    return open_answers(options, log, checkpoint);
  const record::Manifest manifest = record::parse_manifest(log.leaves.front());
  const bool lora = manifest.recipe.is_lora();
  if (options.data ? !options.model : options.model && !lora)
    fail(Fault::kUsage, "--data and --model go together");
  if (!options.challenge.answers.empty())
    fail(Fault::kUsage, "the challenge is about answers, and this log is of a training run");
  LogView view = within(layout.log().native(), [&] { return checked_view(log.leaves); });
  const std::optional<record::SecretSalts> salts = own_salts(layout, view);
  if (salts) view.use_salts(*salts);

  std::optional<OwnRows> own_rows;
  if (options.data) own_rows.emplace(options, view);
  EvidenceWriter evidence(options.out);
  EvidenceIndex& index = evidence.index;
  index.note = options.challenge.note;
  index.challenge = hash::blake3(to_text(options.challenge));
  index.cells = draw_cells(options.challenge, view.grid());
  const hash::MerkleTree tree = log.tree();
  for (const std::int64_t leaf : leaves_of_cells(view.grid(), index.cells)) {
    const auto i = static_cast<std::uint64_t>(leaf);
    index.leaves.push_back({leaf, log.leaves[i], tree.inclusion(i, checkpoint.size)});
  }
  ThreadPool pool(std::max(1, options.threads), options.accelerator);
  TraceSource source(layout, view, trace::Origin::kOwn, trace::Scan::kWhole);
  Progress progress("open", std::ssize(index.cells), options.quiet);
  HandedOut answer{
      .cells = {index.cells.begin(), index.cells.end()}, .rows = {}, .final_params = options.final_params};
  try {
    if (own_rows) answer.rows = own_rows->write(index.cells, evidence);
    Opener opener(options, view, source, pool, evidence, progress);
    opener.open(index.cells);
    if (options.final_params) opener.open_final();
  } catch (const Rejection& rejection) {
    within(options.trace.native(), [&] { refuse(rejection.reason); });
  }
  if (salts) open_salts(*salts, salts_of_cells(view, index.cells), index.salts);
  if (salts && own_rows) open_salts(*salts, salts_of_rows(view, index.cells), index.salts);
  if (salts && options.final_params) open_salts(*salts, salts_of_final_params(view), index.salts);
  if (salts && options.export_salts) open_salts(*salts, salts_of_export(view), index.salts);
  Disclosure disclosed;
  if (options.discloses) disclosed = disclosure_of(view, hand_out(count_file(options), answer));
  evidence.commit(checkpoint.origin, options.key);
  return {.cells = index.cells,
          .cost = index.cost,
          .leaves = std::ssize(index.leaves),
          .rows = std::ssize(answer.rows),
          .bytes = fs::file_size(options.out),
          .disclosed = disclosed};
}

}  // namespace aftune::audit
