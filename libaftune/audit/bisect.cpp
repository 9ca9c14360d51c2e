#include "audit/bisect.h"

#include <algorithm>

#include "audit/client_check.h"
#include "audit/evidence_check.h"
#include "audit/evidence_file.h"
#include "audit/limits.h"
#include "audit/log_check.h"
#include "audit/op_proof.h"
#include "audit/op_replay.h"
#include "audit/opening.h"
#include "audit/rejection.h"
#include "audit/replay.h"
#include "audit/seal_check.h"
#include "audit/single_op.h"
#include "base/error.h"
#include "kernels/ops.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::audit {
namespace {

// An op list states plain digests, and its ends would have to be compared with salted ones.
constexpr char kHides[] =
    "a run with hiding is not taken apart by operations: the opened cell is itself the proof";

// Of a cell: its block, and whole boundaries of one step, given and computed, with what is kept of an
// operation.
std::uint64_t bytes_of_replay(const LogView& log, const Cell& cell) {
  std::int64_t tokens = 0;
  for (const std::int64_t t : log.steps()) tokens = std::max(tokens, log.step(t).tokens);
  const TensorSpec boundary{"", DType::kF32, {tokens, log.config().hidden}};
  return 2 * replay_bytes(log, cell.block) + 8 * byte_size(boundary);
}

// What differs is said by throwing this through the replay, which has nothing left to do.
struct Differs {
  std::int64_t index;
  std::vector<Bytes> inputs;
};

class Bisector {
 public:
  explicit Bisector(const BisectOptions& options)
      : options_(options), findings_(verdict_), pool_(std::max(1, options.threads), options.accelerator) {
    result_.cell = options.list.cell;
    result_.operations = std::ssize(options.list.entries);
  }

  Bisection run() {
    try {
      if (!open()) return refused();
      compare();
    } catch (const Rejection& rejection) {
      refuse(rejection.reason.where, rejection.reason.detail);
    } catch (const Error& e) {
      if (e.fault() != Fault::kEvidence) throw;
      refuse("evidence", without_path(e.what(), options_.evidence));
    }
    return result_;
  }

 private:
  void refuse(std::string where, std::string detail) {
    result_.result = Bisection::Result::kRefused;
    result_.where = std::move(where);
    result_.detail = std::move(detail);
  }
  // What the checks that are shared with verify() found.
  Bisection refused() {
    if (!verdict_.reasons.empty()) refuse(verdict_.reasons.front().where, verdict_.reasons.front().detail);
    return result_;
  }

  // The evidence, its leaves, and a list that the provider signed for this run; false, with a reason, if not.
  bool open() {
    const auto sealed = check_note_text(options_.challenge.note, options_.key, findings_);
    if (!sealed) return false;
    checkpoint_ = sealed->checkpoint;
    const OpList& list = options_.list;
    if (!is_ops_signature(list.signature, list.head(), checkpoint_, options_.key)) {
      refuse("op list", "not signed by the key, for the challenge's checkpoint");
      return false;
    }
    evidence_.emplace(options_.evidence);
    const VerifyOptions as_verified{.trace = {}, .key = options_.key};
    if (!check_evidence_note(as_verified, *evidence_, *sealed, findings_)) return false;
    auto leaves = check_opened_leaves(*evidence_, *sealed, findings_);
    if (!leaves) return false;
    log_.emplace(std::move(*leaves), static_cast<std::int64_t>(checkpoint_.size));
    return check_structure(*log_, findings_) && has_cell() && can_replay() && has_base();
  }

  bool has_cell() {
    const Cell& cell = options_.list.cell;
    if (cell.block >= log_->grid().blocks() || cell.step_block >= log_->grid().step_blocks()) {
      refuse("op list", "of a cell that the run does not have");
      return false;
    }
    std::vector<CellVerdict> unanswered;
    return !without_missing_leaves(*log_, {cell}, findings_, unanswered).empty();
  }

  // Of a run with adapters, which stand beside it.
  bool has_base() {
    if (!log_->manifest().recipe.is_lora()) return true;
    if (!options_.model)
      fail(Fault::kUsage, "operations of adapters are replayed beside the base model: give --model");
    base_ = check_base_weights(*log_, *options_.model, findings_);
    return base_.has_value();
  }

  bool can_replay() {
    if (log_->manifest().hiding()) {
      refuse("manifest", kHides);
      return false;
    }
    if (const std::string why = unsupported_arithmetic(log_->manifest()); !why.empty()) {
      refuse("manifest", why);
      return false;
    }
    const std::uint64_t most = memory_bound(options_.max_memory);
    const std::uint64_t needed = bytes_of_replay(*log_, options_.list.cell);
    if (most == 0 || needed <= most) return true;
    refuse("manifest", cat("to replay the cell takes ", needed, " bytes, more than ", most));
    return false;
  }

  void compare() {
    if (const auto wrong = wrong_end(options_.list, *log_)) {
      refuse("op list", wrong->what);
      if (!wrong->contradicts) return;
      result_.result = Bisection::Result::kContradicts;
      if (wrong->entry) write_op_proof(options_.proof, proof_of(*wrong->entry), {}, {});
      return;
    }
    try {
      replay_ops(*log_, *evidence_, engine_of(*log_, pool_, base_ ? &*base_ : nullptr), options_.list.cell,
                 Inputs::kKeep, [this](const OpEntry& ours, const std::vector<Bytes>& inputs) {
                   compare_one(ours, inputs);
                 });
    } catch (const Differs& differs) {
      return write_proof(differs);
    }
    if (result_.agreed != result_.operations)
      return refuse("op list", cat("has ", result_.operations, " operations, the cell ", result_.agreed));
    result_.result = Bisection::Result::kAgrees;
  }

  void compare_one(const OpEntry& ours, const std::vector<Bytes>& inputs) {
    const std::string at = where(options_.list.cell, ours);
    if (result_.agreed == result_.operations)
      throw Rejection(Code::kEvidence, "op list", cat("ends before ", at));
    OpEntry theirs = options_.list.entries[static_cast<std::size_t>(result_.agreed)];
    const std::vector<Digest> claimed = theirs.out;
    theirs.out = ours.out;
    // All before agree: inputs that differ are none of their results, nor what the log commits to.
    if (theirs != ours || claimed.size() != ours.out.size())
      throw Rejection(
          Code::kEvidence, "op list",
          cat("operation ", result_.agreed, " is not ", at, " with the inputs that those before it give"));
    if (claimed != ours.out) throw Differs{result_.agreed, inputs};
    ++result_.agreed;
  }

  // That the provider signed this entry, and the leaves that say what it is of.
  OpProof proof_of(std::int64_t index) const {
    const OpEntry& entry = options_.list.entries[static_cast<std::size_t>(index)];
    const hash::MerkleTree tree = options_.list.tree();
    OpProof proof{.note = options_.challenge.note,
                  .head = options_.list.head(),
                  .signature = options_.list.signature,
                  .index = index,
                  .entry = to_text(entry),
                  .path = tree.inclusion(static_cast<std::uint64_t>(index), tree.size()),
                  .leaves = {}};
    for (const OpenedLeaf& leaf : evidence_->index().leaves)
      if (leaf.index == 0 || leaf.index == log_->grid().step_leaf(entry.step)) proof.leaves.push_back(leaf);
    return proof;
  }

  void write_proof(const Differs& differs) {
    const OpEntry& entry = options_.list.entries[static_cast<std::size_t>(differs.index)];
    std::vector<TensorSpec> specs;
    const record::Step step = log_->step(entry.step);
    // Also shows that the operation alone gives what it gave in the cell, before anyone is accused.
    const std::vector<Digest> alone =
        run_single_op({*log_, step, pool_}, entry, [&](std::size_t i, TensorSpec spec, std::int64_t) {
          const Bytes& bytes = differs.inputs.at(i);
          const auto count = static_cast<std::int64_t>(bytes.size() / sizeof(float));
          if (spec.shape == Shape{-1}) spec.shape = {count};
          AFTUNE_CHECK(byte_size(spec) == bytes.size());
          OpTensor tensor{spec, Buffer(count)};
          std::copy(bytes.begin(), bytes.end(), tensor.values.mutable_bytes().begin());
          specs.push_back(std::move(spec));
          return tensor;
        });
    const auto wrong = std::mismatch(alone.begin(), alone.end(), entry.out.begin());
    AFTUNE_CHECK(wrong.first != alone.end());
    write_op_proof(options_.proof, proof_of(differs.index), differs.inputs, specs);
    result_.result = Bisection::Result::kDiffers;
    result_.where = where(options_.list.cell, entry);
    result_.detail = cat("output ", wrong.first - alone.begin(), ": replayed ", to_hex(*wrong.first),
                         ", signed ", to_hex(*wrong.second));
  }

  const BisectOptions& options_;
  Verdict verdict_;  // what the shared checks report to
  Findings findings_;
  ThreadPool pool_;
  Bisection result_;
  seal::Checkpoint checkpoint_;
  std::optional<EvidenceFile> evidence_;
  std::optional<LogView> log_;
  std::optional<model::Checkpoint> base_;
};

// Removes the scratch file, whatever happens.
class Scratch {
 public:
  explicit Scratch(fs::path path) : path_(std::move(path)) {
    if (fs::exists(path_)) fail(Fault::kUsage, path_.native(), ": exists");
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Before anything of the run is read.
void require_op_list(const record::Manifest& manifest) {
  if (manifest.hiding()) fail(Fault::kUsage, kHides);
  if (manifest.native)
    fail(Fault::kUsage, "native runs have no list of operations: products are not compared one by one");
}

// Leaves that open() has proved and compared.
LogView own_log(const EvidenceFile& evidence, std::uint64_t size) {
  std::map<std::int64_t, std::string> leaves;
  for (const OpenedLeaf& leaf : evidence.index().leaves) leaves.emplace(leaf.index, leaf.text);
  LogView log(std::move(leaves), static_cast<std::int64_t>(size));
  log.parse_manifest();
  log.parse_config();
  return log;
}

}  // namespace

std::string_view name(Bisection::Result result) {
  switch (result) {
    case Bisection::Result::kAgrees:
      return "agrees";
    case Bisection::Result::kDiffers:
      return "differs";
    case Bisection::Result::kContradicts:
      return "contradicts";
    case Bisection::Result::kRefused:
      break;
  }
  return "refused";
}

Json to_json(const Bisection& b) {
  return {{"result", name(b.result)},   {"cell", {b.cell.block, b.cell.step_block}},
          {"operations", b.operations}, {"agreed", b.agreed},
          {"where", b.where},           {"detail", b.detail}};
}

OpList sign_op_list(const OpsOptions& options) {
  const std::vector<std::string> lines = trace::Log::read(trace::Layout{options.trace}.log()).leaves;
  if (!lines.empty()) require_op_list(record::parse_manifest(lines.front()));
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(options.challenge.note).text);
  const Scratch scratch(options.scratch);
  Challenge only = options.challenge;
  only.plan = {};
  only.must = {options.cell};
  const Opened opened = open({.trace = options.trace,
                              .challenge = only,
                              .out = scratch.path(),
                              .key = &options.key,
                              .threads = options.threads,
                              .accelerator = options.accelerator,
                              .max_memory = options.max_memory,
                              .quiet = options.quiet,
                              .discloses = false,
                              .model = options.model});
  AFTUNE_CHECK(opened.cells == std::vector<Cell>{options.cell});
  EvidenceFile evidence(scratch.path(), trace::Origin::kOwn);
  const LogView log = own_log(evidence, checkpoint.size);
  const std::vector<Cell> asked = draw_cells(options.challenge, log.grid());
  if (std::find(asked.begin(), asked.end(), options.cell) == asked.end())
    fail(Fault::kUsage, "the challenge does not ask for cell ", options.cell.block, ",",
         options.cell.step_block);
  ThreadPool pool(std::max(1, options.threads), options.accelerator);
  std::optional<model::Checkpoint> base;
  if (log.manifest().recipe.is_lora()) {
    if (!options.model)
      fail(Fault::kUsage, "operations of adapters are made again beside the base model: give --model");
    Verdict verdict;
    Findings findings(verdict);
    base = check_base_weights(log, *options.model, findings);
    if (!base) fail(Fault::kUsage, options.model->native(), ": not the base model of the run");
  }
  OpList list{.cell = options.cell, .entries = {}, .signature = ""};
  try {
    replay_ops(log, evidence, engine_of(log, pool, base ? &*base : nullptr), options.cell, Inputs::kForget,
               [&](const OpEntry& entry, const std::vector<Bytes>&) { list.entries.push_back(entry); });
  } catch (const Rejection& rejection) {
    fail(Fault::kEvidence, rejection.reason.where, ": ", rejection.reason.detail);
  }
  if (const auto wrong = wrong_end(list, log))
    fail(Fault::kEvidence, options.trace.native(), ": ", wrong->what);
  list.signature = sign_ops(list.head(), checkpoint, options.key);
  return list;
}

Bisection bisect(const BisectOptions& options) {
  if (fs::exists(options.proof)) fail(Fault::kUsage, options.proof.native(), ": exists");
  kernels::require_self_test(options.accelerator);
  return Bisector(options).run();
}

}  // namespace aftune::audit
