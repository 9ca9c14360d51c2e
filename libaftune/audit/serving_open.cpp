#include "audit/serving_open.h"

#include <algorithm>
#include <map>
#include <set>

#include "audit/answer_replay.h"
#include "audit/evidence_writer.h"
#include "audit/limits.h"
#include "audit/rejection.h"
#include "audit/sealed_log.h"
#include "audit/serving_log.h"
#include "audit/serving_source.h"
#include "base/error.h"
#include "base/progress.h"
#include "hash/merkle.h"
#include "trace/hiding_key.h"

namespace aftune::audit {
namespace {

[[noreturn]] void refuse(const Reason& reason) {
  fail(Fault::kEvidence, reason.where, ": ", reason.detail);
}

record::SecretSalts own_salts(const trace::Layout& layout, const ServingLog& log) {
  const record::RunSecret secret = trace::read_hiding_key(layout.hiding_key());
  if (record::secret_check(secret) != log.manifest().hiding_key)
    fail(Fault::kEvidence, layout.hiding_key().native(), ": is not the secret of this trace");
  return record::SecretSalts(secret);
}

// Boundaries as they pass, whole ones being written as soon as they are there.
class Boundaries {
 public:
  Boundaries(EvidenceWriter& evidence, std::map<std::int64_t, std::set<int>> wanted)
      : evidence_(evidence), wanted_(std::move(wanted)) {}

  void take(std::int64_t leaf, int boundary, const Matrix& x) {
    if (wanted_[leaf].count(boundary) == 0) return;
    Bytes& bytes = open_[{leaf, boundary}];
    bytes.insert(bytes.end(), x.bytes().begin(), x.bytes().end());
    hidden_ = x.cols;
  }
  void write(std::int64_t leaf) {
    for (const int boundary : wanted_[leaf]) {
      const Bytes& bytes = open_.at({leaf, boundary});
      const auto rows = static_cast<std::int64_t>(bytes.size() / sizeof(float)) / hidden_;
      evidence_.index.cost.recreated_bytes += bytes.size();
      evidence_.add(answer_boundary_dataset(leaf, boundary), DType::kF32, {rows, hidden_}, bytes,
                    trace::Packing::kRaw);
      open_.erase({leaf, boundary});
    }
  }

 private:
  EvidenceWriter& evidence_;
  std::map<std::int64_t, std::set<int>> wanted_;
  std::map<std::pair<std::int64_t, int>, Bytes> open_;
  std::int64_t hidden_ = 1;
};

void write_text(EvidenceWriter& evidence, const std::string& path, const std::string& text) {
  evidence.index.cost.stored_bytes += text.size();
  evidence.add(path, DType::kU8, {std::ssize(text)}, as_bytes(text), trace::Packing::kRaw);
}

// What a cell compares: what its answer was, and both sides of its block.
void open_salts(const ServingLog& log, const record::Salts& salts, const Cell& cell,
                std::map<std::string, Digest>& opened) {
  const std::int64_t leaf = ServingLog::leaf_of(cell.step_block);
  std::vector<record::SaltName> names = {
      {leaf, record::Role::kRequest}, {leaf, record::Role::kPrompt}, {leaf, record::Role::kAnswer}};
  for (const int stage : log.grid().stages_of_block(cell.block)) {
    if (stage > 0) names.push_back({leaf, record::Role::kActivation, stage - 1});
    if (stage + 1 < log.grid().stages()) names.push_back({leaf, record::Role::kActivation, stage});
  }
  for (const record::SaltName& name : names) opened[to_text(name)] = salts.salt(name);
}

}  // namespace

Opened open_answers(const OpenOptions& options, const trace::Log& log, const seal::Checkpoint& checkpoint) {
  if (!options.model) fail(Fault::kUsage, "the trace of a serving period has no weights: give --model");
  if (options.data || options.final_params || options.export_salts)
    fail(Fault::kUsage, "rows, final parameters and export are of training runs");
  const trace::Layout layout{options.trace};
  const ServingLog view = within(layout.log().native(), [&] { return serving_log_of(log); });
  if (view.grid().steps == 0) fail(Fault::kUsage, layout.log().native(), ": has no answer");
  const record::SecretSalts salts = own_salts(layout, view);
  ServingTrace source(layout, *options.model, view.config(), salts);

  EvidenceWriter evidence(options.out);
  EvidenceIndex& index = evidence.index;
  index.note = options.challenge.note;
  index.challenge = hash::blake3(to_text(options.challenge));
  index.cells = draw_cells(options.challenge, view.grid());
  std::set<std::int64_t> leaves{0, view.size() - 1}, answered;
  std::set<int> blocks;
  std::map<std::int64_t, std::set<int>> given;
  bool reads_text = false;
  for (const Cell& cell : index.cells) {
    const std::int64_t leaf = ServingLog::leaf_of(cell.step_block);
    leaves.insert(leaf);
    answered.insert(leaf);
    blocks.insert(cell.block);
    for (const int stage : view.grid().stages_of_block(cell.block)) {
      if (stage > 0) given[leaf].insert(stage - 1);
      reads_text |= stage == 0 || stage + 1 == view.grid().stages();
    }
    open_salts(view, salts, cell, index.salts);
  }
  // Whoever named an answer has a receipt of it, sampled or not: with these, its promise can be checked.
  for (const std::int64_t leaf : options.challenge.answers) {
    leaves.insert(leaf);
    for (const record::Role role : {record::Role::kRequest, record::Role::kAnswer}) {
      const record::SaltName name{leaf, role};
      index.salts[to_text(name)] = salts.salt(name);
    }
  }
  const hash::MerkleTree tree = log.tree();
  for (const std::int64_t leaf : leaves) {
    const auto i = static_cast<std::uint64_t>(leaf);
    index.leaves.push_back({leaf, log.leaves[i], tree.inclusion(i, checkpoint.size)});
  }

  ThreadPool pool(std::max(1, options.threads), options.accelerator);
  Boundaries boundaries(evidence, given);
  Verdict verdict;
  Findings findings(verdict);
  Progress progress("open", std::ssize(index.cells), options.quiet);
  const model::EngineOptions engine = engine_of(view, pool);
  try {
    // One run of the whole model for each answer; the cells are checked on the way.
    replay_answers(view, source, engine, index.cells,
                   {.max_memory = options.max_memory,
                    .key = Digest{},
                    .on_boundary = [&](std::int64_t leaf, int boundary, std::int64_t,
                                       const Matrix& x) { boundaries.take(leaf, boundary, x); }},
                   findings, progress);
    if (!verdict.reasons.empty()) refuse(verdict.reasons.front());
    for (const auto& [leaf, wanted] : given) boundaries.write(leaf);
    for (const std::int64_t leaf : answered) {
      write_text(evidence, answer_dataset(leaf), record::to_journal(leaf, source.exchange(leaf)));
      const record::RequestLeaf answer = view.answer(leaf);
      ++index.cost.replayed_steps;
      index.cost.replayed_tokens += answer.prompt_tokens + answer.answer_tokens - 1;
    }
    Bytes space;
    for (const int block : blocks)
      for (const TensorSpec& spec : model::block_parameter_specs(view.config(), view.grid(), {}, block)) {
        const TensorSpec served{spec.name, view.manifest().base.dtype, spec.shape};
        const ByteView bytes = source.read_tensor(served, space);
        index.cost.stored_bytes += bytes.size();
        evidence.add(served_tensor_dataset(spec.name), served.dtype, served.shape, bytes,
                     trace::Packing::kRaw);
      }
    if (reads_text) write_text(evidence, kEvidenceTokenizer, source.read_tokenizer());
  } catch (const Rejection& rejection) {
    within(options.trace.native(), [&] { refuse(rejection.reason); });
  }
  Disclosure disclosed;
  if (options.discloses) {
    // Answers to challenges of later checkpoints may have opened later cells: the log at hand has them all.
    const HandedOut all = hand_out(options.disclosed.value_or(layout.disclosed()),
                                   {.cells = {index.cells.begin(), index.cells.end()}});
    disclosed = disclosure_of(serving_log_of(trace::Log::read(layout.log())), all);
  }
  evidence.commit(checkpoint.origin, options.key);
  return {.cells = index.cells,
          .cost = index.cost,
          .leaves = std::ssize(index.leaves),
          .rows = 0,
          .bytes = fs::file_size(options.out),
          .disclosed = disclosed};
}

}  // namespace aftune::audit
