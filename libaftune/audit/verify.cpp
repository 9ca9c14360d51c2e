#include "audit/verify.h"

#include <algorithm>
#include <memory>
#include <set>

#include "audit/audit_run.h"
#include "audit/client_check.h"
#include "audit/evidence_check.h"
#include "audit/evidence_file.h"
#include "audit/final_params.h"
#include "audit/findings.h"
#include "audit/history_check.h"
#include "audit/limits.h"
#include "audit/log_check.h"
#include "audit/log_view.h"
#include "audit/native_cells.h"
#include "audit/opened_salts.h"
#include "audit/parts.h"
#include "audit/planning.h"
#include "audit/policy_check.h"
#include "audit/rejection.h"
#include "audit/replay.h"
#include "audit/seal_check.h"
#include "audit/seed_check.h"
#include "audit/serving_verify.h"
#include "audit/shown_rows.h"
#include "audit/trace_source.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/version.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "trace/hiding_key.h"

namespace aftune::audit {
namespace {

// nullopt, with a finding, if it is absent or not the run's.
std::optional<record::RunSecret> read_run_secret(const trace::Layout& layout,
                                                 const record::Manifest& manifest, Findings& findings) {
  const std::string where = layout.hiding_key().filename().native();
  if (!fs::exists(fs::symlink_status(layout.hiding_key()))) {
    findings.add(Code::kAbsent, where, NoSalts::kWhy);
    return std::nullopt;
  }
  try {
    const record::RunSecret secret = trace::read_hiding_key(layout.hiding_key());
    if (record::secret_check(secret) == *manifest.hiding_key) return secret;
    findings.add(Code::kEvidence, where, "is not the secret that the manifest states");
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    findings.add(Code::kFormat, where, "not 64 hex digits and a line feed");
  }
  return std::nullopt;
}

// The audit of a training run.
class Audit : public AuditRun {
 public:
  Audit(const VerifyOptions& options, OpenedEvidence evidence)
      : AuditRun(options, std::move(evidence)), layout_{options.trace} {}

 private:
  bool obtain_log() override;
  bool check_log() override;
  void replay() override;
  void say_what_was_not_checked() override;

  void obtain_salts();
  bool answers_salted() const { return options_.evidence && log_->manifest().hiding(); }
  bool check_sizes();
  bool check_arithmetic();
  void check_client_files();
  std::vector<Cell> drawn_cells();
  void check_final();
  void obtain_rows();
  void count_shown(const std::set<Cell>& checked);
  bool has_base();
  void replay_drawn(TensorSource& source, const std::vector<Cell>& cells);
  void check_every_segment(TraceSource& source);
  void count_edges(const std::set<Cell>& checked);
  void state_confidence(const Audited& audited);
  void say_what_cells_leave_open(const std::set<Cell>& checked);

  trace::Layout layout_;
  std::unique_ptr<const record::Salts> salts_;  // null without hiding
  std::optional<LogView> log_;
  hash::MerkleTree tree_;                  // of the whole log
  std::optional<model::Checkpoint> base_;  // the client's, where it is what the manifest says
  std::optional<ShownRows> rows_;
  std::int64_t final_blocks_ = 0;  // whose final parameters were compared with the export
  std::vector<Cell> drawn_;        // all, whichever of them are to be replayed here
  std::int64_t shown_steps_ = 0;   // whose rows came with the evidence and are theirs
};

// The whole log, or the leaves that were opened.
bool Audit::obtain_log() {
  if (options_.evidence && !options_.log) {
    auto leaves = check_opened_leaves(*evidence_, sealed_, findings_);
    if (!leaves) return false;
    history_.check_without_log(findings_);
    log_.emplace(std::move(*leaves), static_cast<std::int64_t>(sealed_.checkpoint.size));
    return true;
  }
  auto sealed_log = options_.evidence ? check_given_log(*options_.log, sealed_, findings_)
                                      : check_log_root(options_, sealed_, findings_);
  if (!sealed_log) return false;
  log_.emplace(std::move(sealed_log->leaves));
  tree_ = std::move(sealed_log->tree);
  history_.check_log(sealed_, tree_, findings_);
  return true;
}

// Of evidence, those that were opened; of a trace at hand, all, if the provider's secret is there.
void Audit::obtain_salts() {
  if (!log_->manifest().hiding()) return;
  if (options_.evidence)
    salts_ = std::make_unique<OpenedSalts>(evidence_->index().salts);
  else if (const auto secret = read_run_secret(layout_, log_->manifest(), findings_))
    salts_ = std::make_unique<record::SecretSalts>(*secret);
  else
    salts_ = std::make_unique<NoSalts>();
  log_->use_salts(*salts_);
}

bool Audit::check_log() {
  const bool sound = check_structure(*log_, findings_);
  const record::Manifest& manifest = log_->manifest();
  if (manifest.native) {
    verdict_.native.emplace().machine = *manifest.native;
    if (options_.bounds) verdict_.native->bounds = options_.bounds->digest;
  }
  if (!sound) return false;
  const std::string origin = cat(options_.key.name(), "/", manifest.run);
  findings_.expect(origin == sealed_.checkpoint.origin, Check::kClosing, Code::kClosing, LogView::line(0),
                   cat("origin: expected ", origin, ", found ", sealed_.checkpoint.origin));
  obtain_salts();
  if (options_.policy) {
    const auto contradictions = check_policy(*options_.policy, manifest, salts_.get());
    for (const Reason& r : contradictions) {
      // Data roots are compared by their salts; everything else stands in the manifest itself.
      if (answers_salted())
        findings_.doubt(r.where.ends_with(" root") ? std::set{Code::kPolicy} : std::set<Code>{});
      if (r.code == Code::kPolicy)
        findings_.failed(Check::kPolicy, r.code, r.where, r.detail);
      else
        findings_.add(r.code, r.where, r.detail);
    }
    if (contradictions.empty()) findings_.held(Check::kPolicy);
  }
  check_steps(*log_, findings_);
  if (!options_.evidence) check_files(layout_, log_->grid(), sealed_, tree_, findings_);
  if (!check_arithmetic() || !check_sizes()) return false;
  check_base_digests(*log_, findings_);
  check_export_digests(*log_, findings_);
  // All that the log alone decides has been decided.
  if (answers_salted())
    findings_.doubt({Code::kData, Code::kForward, Code::kBackward, Code::kUpdate, Code::kExport});
  check_client_files();
  return true;
}

// Nothing is allocated, or hashed, on the manifest's word alone.
bool Audit::check_sizes() {
  if (!options_.evidence) {
    if (is_plausible_size(*log_, layout_.root)) return true;
    findings_.add(Code::kTooLarge, cat(LogView::line(0), " config"),
                  "a model of this size cannot be in so small a trace");
    return false;
  }
  const std::uint64_t most = memory_bound(options_.max_memory);
  for (const auto* specs : {&log_->tensors(), &log_->base_tensors()})
    for (const TensorSpec& spec : *specs)
      if (most != 0 && byte_size(spec) > most) {
        findings_.add(Code::kTooLarge, cat(LogView::line(0), " config"),
                      cat(spec.name, " has ", byte_size(spec), " bytes, more than ", most));
        return false;
      }
  return true;
}

// What this build cannot compute it cannot confirm.
bool Audit::check_arithmetic() {
  const std::string why = unsupported_arithmetic(log_->manifest(), Native::kAllowed);
  if (!why.empty()) findings_.add(Code::kUnsupported, cat(LogView::line(0), " numerics"), why);
  return why.empty();
}

// The client's own files, and then the shipped ones, which are the provider's.
void Audit::check_client_files() {
  as_usage([&] {
    if (options_.model) base_ = check_base_model(*log_, *options_.model, findings_);
    if (options_.adapter) check_first_adapters(*log_, *options_.adapter, findings_);
    if (options_.data)
      check_data(*log_, *options_.data, options_.model ? &*options_.model : nullptr, findings_);
  });
  if (options_.exported) check_exported(*log_, *options_.exported, findings_);
}

std::vector<Cell> Audit::drawn_cells() {
  const Challenge drawn = challenge();
  const record::Grid& grid = log_->grid();
  // Only the manifest says how many cells there are; in a log that was opened in part nothing bounds it.
  if (drawn.plan.all && grid.step_blocks() > log_->leaves_at_hand()) {
    findings_.add(Code::kAbsent, "evidence",
                  cat("has not the leaves of ", grid.step_blocks(), " step blocks"));
    return {};
  }
  drawn_ = draw_cells(drawn, grid);
  verdict_.asked = std::ssize(drawn_);
  return share_of(drawn_);
}

void Audit::replay() {
  verdict_.grid = log_->grid();
  verdict_.cells = log_->grid().cells();
  const Challenge drawn = challenge();
  check_seed(drawn, options_.policy ? &*options_.policy : nullptr, findings_);
  check_final();
  verdict_.log_checks = verdict_.checks;
  const std::vector<Cell> cells = drawn_cells();
  obtain_rows();
  const bool whole = drawn.plan.all && options_.only.empty() && options_.share_of == 1;
  std::optional<TraceSource> trace;
  if (!options_.evidence)
    trace.emplace(layout_, *log_, trace::Origin::kForeign, whole ? trace::Scan::kWhole : trace::Scan::kParts);
  if (trace && whole) check_every_segment(*trace);
  if (!options_.parts.empty() && verdict_.native)
    fail(Fault::kUsage, "verdicts over some cells of a native run cannot be made one");
  if (!options_.parts.empty())
    take_parts(options_.parts, cells, verdict_, findings_);
  else if (trace)
    replay_drawn(*trace, cells);
  else
    replay_drawn(*evidence_, without_missing_leaves(*log_, cells, findings_, verdict_.sampled));
  if (answers_salted()) take_back_unattributed();
  std::sort(verdict_.sampled.begin(), verdict_.sampled.end(),
            [](const CellVerdict& a, const CellVerdict& b) { return a.cell < b.cell; });
  std::set<Cell> checked;
  for (const CellVerdict& v : verdict_.sampled)
    if (v.result == CellResult::kChecked) checked.insert(v.cell);
  verdict_.checked = std::ssize(checked);
  count_edges(checked);
  count_shown(checked);
  const Audited audited{log_->grid(), log_->final().exported.dtype,          drawn.plan, verdict_.asked,
                        checked,      final_blocks_ == log_->grid().blocks()};
  state_confidence(audited);
  say_what_cells_leave_open(checked);
  if (options_.policy) check_audit_terms(*options_.policy, audited, findings_);
}

// The client's own rows, with what makes them tokens, go before those that came with the evidence. A policy
// that pins the data asks for one or the other.
void Audit::obtain_rows() {
  if (!options_.evidence) return;
  const bool own = options_.data && options_.model;
  const bool pinned = options_.policy && options_.policy->data_root;
  if (!evidence_->has_rows() && (own || !pinned)) return;
  rows_.emplace(*log_, *evidence_, memory_bound(options_.max_memory),
                own ? ShownRows::Missing::kDoNotCare : ShownRows::Missing::kAbsent);
  rows_->check_needed(drawn_, findings_);
}

// The parameters of the last state, if they came with the evidence; of a trace, which has them, if the policy
// asks for them.
void Audit::check_final() {
  if (options_.evidence) {
    if (!evidence_->has_final()) return;
    final_blocks_ = check_final_params(
        *log_, [this](const TensorSpec& spec, std::span<std::byte> out) { evidence_->read_final(spec, out); },
        EvidenceFile::name_of(kEvidenceFinal), findings_);
  } else if (options_.policy && options_.policy->require_final_params) {
    TraceSource source(layout_, *log_, trace::Origin::kForeign);
    const std::int64_t last = log_->grid().step_blocks();
    final_blocks_ = check_final_params(
        *log_,
        [&](const TensorSpec& spec, std::span<std::byte> out) { source.read_state(last, spec, 0, out); },
        source.state_name(last, ""), findings_);
  }
}

void Audit::count_shown(const std::set<Cell>& checked) {
  if (!rows_ || !rows_->any()) return;
  for (const Cell& cell : checked)
    if (cell.block == 0)
      shown_steps_ += log_->grid().step_end(cell.step_block) - log_->grid().step_begin(cell.step_block);
}

// Adapters stand beside a model that neither trace nor evidence has. What is wrong with one that was given
// has been said.
bool Audit::has_base() {
  if (!log_->manifest().recipe.is_lora() || base_) return true;
  if (!options_.model)
    findings_.add(Code::kAbsent, "base", "adapters are replayed beside the base model, which --model gives");
  return false;
}

void Audit::replay_drawn(TensorSource& source, const std::vector<Cell>& cells) {
  if (!has_base()) {
    for (const Cell& cell : cells) verdict_.sampled.push_back({cell, CellResult::kUnanswered, {}});
    return;
  }
  const model::EngineOptions engine = engine_of(*log_, pool_, base_ ? &*base_ : nullptr);
  const ReplayOptions how{.max_memory = memory_bound(options_.max_memory),
                          .jobs = options_.jobs,
                          .key = replay_key(),
                          .rows = rows_ ? &*rows_ : nullptr};
  Progress progress("verify", std::ssize(cells), options_.quiet);
  const Bounds* const bounds = options_.bounds ? &*options_.bounds : nullptr;
  const auto results = verdict_.native ? replay_native_cells(*log_, source, engine, bounds, cells, how,
                                                             *verdict_.native, findings_, progress)
                                       : replay_cells(*log_, source, engine, cells, how, findings_, progress);
  verdict_.sampled.insert(verdict_.sampled.end(), results.begin(), results.end());
}

void Audit::check_every_segment(TraceSource& source) {
  for (std::int64_t i = 0; i <= log_->grid().step_blocks(); ++i) {
    try {
      source.segment(i);
    } catch (const Rejection& rejection) {
      report(rejection, findings_);
    }
  }
  check_last_snapshot(*log_, source, findings_);
}

// Neighbours share one digest for each boundary and state between them, and each was compared with it.
void Audit::count_edges(const std::set<Cell>& checked) {
  const record::Grid& grid = log_->grid();
  for (const Cell& cell : checked) {
    if (checked.count({cell.block, cell.step_block + 1}) != 0) findings_.held(Check::kEdges);
    for (const int stage : grid.stages_of_block(cell.block))
      if (stage + 1 < grid.stages() && checked.count({grid.block_of_stage(stage + 1), cell.step_block}) != 0)
        findings_.held(Check::kEdges);
  }
}

// The attacker is the policy's, unless another was asked about.
void Audit::state_confidence(const Audited& audited) {
  Attacker attacker;
  if (options_.policy && options_.policy->plan) attacker = options_.policy->plan->attacker;
  if (options_.tampered > 0) attacker = {.kind = Attacker::Kind::kTampered, .fraction = options_.tampered};
  const Odds odds = odds_of(effective_plan(audited), audited.grid, attacker);
  verdict_.confidence = odds.detection;
  verdict_.attacker = odds.attacker;
  verdict_.one_cell = odds.one_cell;
  verdict_.one_column = odds.one_column;
}

void Audit::say_what_was_not_checked() {
  if (verdict_.native && verdict_.native->within_bounds > 0)
    findings_.unchecked(
        "tolerance: what differs by less than the tolerances of native products; gradients were compared "
        "within them, activations too, and nothing that follows from these");
  else if (verdict_.native)
    findings_.unchecked(
        "tolerance: that the products are right: only that this device's library repeats them");
  const auto open = unpinned(options_.policy ? &*options_.policy : nullptr);
  if (!open.empty()) {
    std::string list;
    for (const std::string& field : open) list += (list.empty() ? "" : ", ") + field;
    findings_.unchecked("policy: taken on the provider's word: " + list);
  }
  if (shown_steps_ > 0 && !(options_.data && options_.model)) {
    const std::int64_t steps = log_->grid().steps;
    if (shown_steps_ < steps)
      findings_.unchecked(cat("data: no --data with --model; rows were shown of ", shown_steps_, " of ",
                              steps, " steps, the others are taken on the provider's word"));
  } else if (!options_.data)
    findings_.unchecked("data: no --data; the rows and their order are taken on the provider's word");
  else if (!options_.model)
    findings_.unchecked("data: no --model; that the tokens are those of the rows was not checked");
  if (!options_.model && !(options_.policy && options_.policy->base_root))
    findings_.unchecked("base: no --model and no base_root in the policy; which model was tuned");
  if (log_ && log_->manifest().adapter && !options_.adapter &&
      !(options_.policy && options_.policy->adapter_root))
    findings_.unchecked(
        "adapter: no --adapter and no adapter_root in the policy; which adapters the run went on from");
  if (!options_.exported) findings_.unchecked("export: the shipped files were not given");
  if (log_ && !log_->whole())
    findings_.unchecked(cat("unopened-leaves: ", log_->size() - log_->leaves_at_hand(), " of ", log_->size(),
                            " leaves of the log were not opened"));
  history_.say_what_was_not_checked(findings_);
  if (verdict_.seed_kind == "given")
    findings_.unchecked(
        "grinding: no protection against a run made to fit the seed, unless the provider did not know it "
        "when "
        "signing");
}

void Audit::say_what_cells_leave_open(const std::set<Cell>& checked) {
  const record::Manifest& m = log_->manifest();
  const std::int64_t last_row = log_->grid().step_blocks() - 1;
  std::int64_t first = 0, last = 0;
  for (const Cell& cell : checked) {
    first += cell.step_block == 0;
    last += cell.step_block == last_row;
  }
  const std::int64_t blocks = log_->grid().blocks();
  if (verdict_.checked < verdict_.cells)
    findings_.unchecked(
        cat("cells: ", verdict_.cells - verdict_.checked, " of ", verdict_.cells, " were not replayed"));
  if (first < blocks && (m.drawn() || m.initial()->dtype != DType::kF32))
    findings_.unchecked(cat("state-before: that state 0 is ",
                            m.recipe.is_lora() ? "what the run was to begin with" : "the base model",
                            ", for ", blocks - first, " of ", blocks, " blocks"));
  if (last < blocks && final_blocks_ < blocks && log_->final().exported.dtype != DType::kF32)
    findings_.unchecked(cat("export: that the export is the last state rounded, for ", blocks - last, " of ",
                            blocks, " blocks"));
  if (m.eval_every > 0) findings_.unchecked("eval: evaluation losses are not replayed");
}

void require_usable(const VerifyOptions& options) {
  if (options.evidence) {
    if (!options.challenge) fail(Fault::kUsage, "evidence answers a challenge: give it");
  } else if (!fs::is_directory(options.trace)) {
    fail(Fault::kUsage, options.trace.native(), ": not a folder");
  }
  if (options.policy && options.policy->vkey &&
      seal::PublicKey::parse(*options.policy->vkey).vkey() != options.key.vkey())
    fail(Fault::kUsage, "the key is not the one that the policy names");
  if (!options.challenge) {
    const auto& seed = options.seed;
    const bool zero = std::all_of(seed.begin(), seed.end(), [](std::uint8_t b) { return b == 0; });
    if (zero && !options.plan.all) fail(Fault::kUsage, "the challenge seed is all zeros, which no one drew");
    const Plan& p = options.plan;
    if (!p.all && p.uniform <= 0 && p.inputs <= 0 && p.objective <= 0 && p.ends <= 0)
      fail(Fault::kUsage, "the plan draws no cell");
  }
  kernels::require_self_test(options.accelerator);
}

}  // namespace

Digest replay_secret(const seal::SecretKey& key) {
  constexpr std::string_view kContext = "aftune/replay-secret/1";
  const seal::Signature signature = key.sign(as_bytes(kContext));  // Ed25519 signs the same way every time
  return hash::blake3_derive_key(kContext, std::as_bytes(std::span(signature)));
}

Verdict verify(const VerifyOptions& given) {
  VerifyOptions options = given;
  if (options.policy && options.policy->witness_threshold > 0) {
    options.witnesses = options.policy->witnesses;
    options.witness_threshold = options.policy->witness_threshold;
  }
  require_usable(options);
  OpenedEvidence evidence = open_evidence_of(options);
  if (is_of_serving(options, evidence)) return verify_serving(options, std::move(evidence));
  if (!options.receipts.empty() || options.lineage || options.requests || !options.time_witnesses.empty())
    fail(Fault::kUsage, "receipts and lineage are of a serving period, and this log is of a training run");
  return Audit(options, std::move(evidence)).run();
}

}  // namespace aftune::audit
