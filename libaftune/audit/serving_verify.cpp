#include "audit/serving_verify.h"

#include <algorithm>
#include <memory>
#include <set>

#include "audit/answer_replay.h"
#include "audit/attacker.h"
#include "audit/audit_run.h"
#include "audit/block_state.h"
#include "audit/evidence_check.h"
#include "audit/limits.h"
#include "audit/lineage.h"
#include "audit/log_view.h"
#include "audit/opened_salts.h"
#include "audit/planning.h"
#include "audit/receipt_check.h"
#include "audit/rejection.h"
#include "audit/seed_check.h"
#include "audit/serving_log.h"
#include "audit/serving_source.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "model/folder.h"
#include "seal/note.h"
#include "tokenizer/folder.h"
#include "trace/hiding_key.h"
#include "trace/log.h"

namespace aftune::audit {
namespace {

class ServingAudit : public AuditRun {
 public:
  ServingAudit(const VerifyOptions& options, OpenedEvidence evidence)
      : AuditRun(options, std::move(evidence), Growth::kGoesOn), layout_{options.trace} {}

 private:
  bool obtain_log() override;
  bool check_log() override;
  void replay() override;
  void say_what_was_not_checked() override;

  void obtain_salts();
  void check_model();
  void check_lineage();
  bool check_arithmetic();
  Challenge population() const;
  std::vector<Cell> answerable(const std::vector<Cell>& cells);
  void check_promises();
  void state_confidence(const Challenge& drawn);

  trace::Layout layout_;
  std::optional<ServingLog> log_;
  std::unique_ptr<const record::Salts> salts_;
  std::int64_t unsealed_ = 0;
  bool lineage_held_ = false;
  bool tensors_compared_ = false;  // those of options_.model are the manifest's
};

bool ServingAudit::obtain_log() {
  const auto size = static_cast<std::int64_t>(sealed_.checkpoint.size);
  if (options_.evidence && !options_.log) {
    auto leaves = check_opened_leaves(*evidence_, sealed_, findings_);
    if (!leaves) return false;
    history_.check_without_log(findings_);
    log_.emplace(std::move(*leaves), size);
    return true;
  }
  auto sealed_log = options_.evidence ? check_given_log(*options_.log, sealed_, findings_, Growth::kGoesOn)
                                      : check_log_root(options_, sealed_, findings_, Growth::kGoesOn);
  if (!sealed_log) return false;
  unsealed_ = sealed_log->unsealed;
  history_.check_log(sealed_, sealed_log->tree, findings_);
  std::map<std::int64_t, std::string> leaves;
  for (std::string& leaf : sealed_log->leaves) leaves.emplace(std::ssize(leaves), std::move(leaf));
  if (leaves.empty()) {
    findings_.add(Code::kAbsent, LogView::line(0), "the log is empty");
    return false;
  }
  log_.emplace(std::move(leaves), size);
  return true;
}

bool ServingAudit::check_log() {
  if (!check_structure(*log_, findings_)) return false;
  const std::string origin = cat(options_.key.name(), "/", log_->manifest().run);
  findings_.expect(origin == sealed_.checkpoint.origin, Check::kClosing, Code::kClosing, LogView::line(0),
                   cat("origin: expected ", origin, ", found ", sealed_.checkpoint.origin));
  obtain_salts();
  check_receipts(options_, *log_, sealed_, findings_);
  if (!check_arithmetic()) return false;
  // All that the log alone decides has been decided; from here on a wrong salt looks like a wrong tensor.
  if (options_.evidence) findings_.doubt({Code::kForward});
  if (options_.model) as_usage([&] { check_model(); });
  check_lineage();
  return true;
}

void ServingAudit::obtain_salts() {
  if (options_.evidence) {
    salts_ = std::make_unique<OpenedSalts>(evidence_->index().salts);
    return;
  }
  salts_ = std::make_unique<NoSalts>();
  const std::string where = layout_.hiding_key().filename().native();
  if (!fs::exists(fs::symlink_status(layout_.hiding_key())))
    return findings_.add(Code::kAbsent, where, NoSalts::kWhy);
  try {
    const record::RunSecret secret = trace::read_hiding_key(layout_.hiding_key());
    if (record::secret_check(secret) == log_->manifest().hiding_key)
      salts_ = std::make_unique<record::SecretSalts>(secret);
    else
      findings_.add(Code::kEvidence, where, "is not the secret that the manifest states");
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    findings_.add(Code::kFormat, where, "not 64 hex digits and a line feed");
  }
}

// The model that the client expects, or that the provider brings with its trace.
void ServingAudit::check_model() {
  const record::ServingManifest& m = log_->manifest();
  const std::string config = read_file(*options_.model / "config.json", model::kMaxConfigBytes);
  findings_.expect(config == m.config, Check::kLineage, Code::kLineage, cat(LogView::line(0), " config"),
                   cat("config.json: ", expected_found(hash::blake3(config), hash::blake3(m.config))));
  const Digest tokenizer = hash::blake3(tokenizer::read_tokenizer_of(*options_.model));
  findings_.expect(tokenizer == m.tokenizer, Check::kLineage, Code::kLineage,
                   cat(LogView::line(0), " tokenizer"), expected_found(tokenizer, m.tokenizer));
  const fs::path generation = *options_.model / "generation_config.json";
  const auto eos =
      model::eos_ids(model::Config::parse(config),
                     fs::exists(generation) ? read_file(generation, model::kMaxConfigBytes) : "");
  findings_.expect(std::equal(eos.begin(), eos.end(), m.eos.begin(), m.eos.end()), Check::kLineage,
                   Code::kLineage, cat(LogView::line(0), " eos"),
                   "not the ids that end an answer of this model");
  const std::string text = model::read_chat_template(*options_.model);
  findings_.expect(text == m.template_, Check::kLineage, Code::kLineage, cat(LogView::line(0), " template"),
                   expected_found(hash::blake3(text), hash::blake3(m.template_)));
  const model::Checkpoint checkpoint = model::Checkpoint::open(*options_.model, log_->config());
  tensors_compared_ = true;
  for (const TensorSpec& spec : log_->tensors()) {
    const auto* entry = checkpoint.find(spec.name);
    if (entry == nullptr) fail(Fault::kUsage, options_.model->native(), ": no tensor ", spec.name);
    const Digest expected = hash::blake3(entry->bytes, &pool_);
    tensors_compared_ &=
        findings_.expect(entry->spec == spec && expected == log_->tensor_digest(spec.name), Check::kLineage,
                         Code::kLineage, cat(LogView::line(0), " base ", spec.name),
                         cat("expected ", describe(entry->spec), " ", to_hex(expected), ", found ",
                             describe(spec), " ", to_hex(log_->tensor_digest(spec.name))));
  }
}

// The served list must be the exported one, and the run the one that the manifest names.
void ServingAudit::check_lineage() {
  const auto& named = log_->manifest().lineage;
  if (!options_.lineage) return;
  record::TensorList exported;
  record::Lineage shown;
  try {
    shown = lineage_of(parse_lineage(*options_.lineage), &exported);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    return findings_.add(Code::kUnattributed, "lineage", e.what());
  }
  if (!named)
    return findings_.add(Code::kAbsent, cat(LogView::line(0), " lineage"),
                         "the manifest names no training run");
  // A larger checkpoint of that run shows the same leaf at the same place.
  lineage_held_ = findings_.expect(shown.origin == named->origin && shown.index == named->index &&
                                       (shown.size != named->size || shown.root == named->root),
                                   Check::kLineage, Code::kLineage, cat(LogView::line(0), " lineage"),
                                   cat("expected ", shown.origin, " leaf ", shown.index, ", found ",
                                       named->origin, " leaf ", named->index)) &&
                  findings_.expect(exported.root == log_->manifest().base.root, Check::kLineage,
                                   Code::kLineage, cat(LogView::line(0), " base"),
                                   "not what that run exported: " +
                                       expected_found(exported.root, log_->manifest().base.root));
}

bool ServingAudit::check_arithmetic() {
  const record::ServingManifest& m = log_->manifest();
  const std::string why = unsupported_arithmetic(m.profile, m.ops, m.config);
  if (!why.empty()) findings_.add(Code::kUnsupported, cat(LogView::line(0), " numerics"), why);
  return why.empty();
}

// The client's own answers, unless a challenge says otherwise.
Challenge ServingAudit::population() const {
  Challenge drawn = challenge();
  if (options_.challenge) return drawn;
  std::set<std::int64_t> leaves;
  for (const HeldReceipt& held : options_.receipts) {
    const seal::Receipt& r = held.signed_receipt.receipt;
    if (held.signed_receipt.verify(options_.key) && r.origin == sealed_.checkpoint.origin &&
        static_cast<std::int64_t>(r.index) <= log_->grid().steps)
      leaves.insert(static_cast<std::int64_t>(r.index));
  }
  drawn.answers.assign(leaves.begin(), leaves.end());
  return drawn;
}

void ServingAudit::replay() {
  verdict_.log_checks = verdict_.checks;
  const record::Grid& grid = log_->grid();
  if (grid.steps == 0) return findings_.add(Code::kAbsent, "log", "has no answer");
  verdict_.grid = grid;
  verdict_.cells = grid.cells();
  const Challenge drawn = population();
  check_seed(drawn, options_.policy ? &*options_.policy : nullptr, findings_);
  if (drawn.answers.empty() && !options_.receipts.empty() && !options_.challenge) {
    // Why each of them does not has been said.
    AFTUNE_CHECK(findings_.reasons() > 0);
    return;
  }
  if (drawn.plan.all && grid.step_blocks() > log_->leaves_at_hand() && drawn.answers.empty())
    return findings_.add(Code::kAbsent, "evidence", cat("has not the leaves of ", grid.steps, " answers"));
  const std::vector<Cell> all = draw_cells(drawn, grid);
  verdict_.asked = std::ssize(all);
  std::unique_ptr<ServingSource> source;
  if (options_.evidence) {
    source = std::make_unique<ServingEvidence>(*evidence_, *salts_);
  } else {
    if (!options_.model) fail(Fault::kUsage, "the trace of a serving period has no weights: give --model");
    source =
        std::make_unique<ServingTrace>(layout_, *options_.model, log_->config(), *salts_, tensors_compared_);
  }
  const std::vector<Cell> cells = answerable(share_of(all));
  const model::EngineOptions engine = engine_of(*log_, pool_);
  Progress progress("verify", std::ssize(cells), options_.quiet);
  for (const CellVerdict& result : replay_answers(
           *log_, *source, engine, cells,
           {.max_memory = memory_bound(options_.max_memory), .key = replay_key()}, findings_, progress))
    verdict_.sampled.push_back(result);
  check_promises();
  if (options_.evidence) take_back_unattributed();
  std::sort(verdict_.sampled.begin(), verdict_.sampled.end(),
            [](const CellVerdict& a, const CellVerdict& b) { return a.cell < b.cell; });
  verdict_.checked = std::count_if(verdict_.sampled.begin(), verdict_.sampled.end(),
                                   [](const CellVerdict& v) { return v.result == CellResult::kChecked; });
  state_confidence(drawn);
}

// Cells whose leaf was not opened have no answer to be wrong.
std::vector<Cell> ServingAudit::answerable(const std::vector<Cell>& cells) {
  std::vector<Cell> some;
  for (const Cell& cell : cells) {
    if (log_->has(ServingLog::leaf_of(cell.step_block))) {
      some.push_back(cell);
      continue;
    }
    findings_.add(Code::kAbsent, cat("evidence cell ", cell.block, ",", cell.step_block),
                  cat(LogView::line(ServingLog::leaf_of(cell.step_block)), " is not in the evidence"));
    verdict_.sampled.push_back({cell, CellResult::kUnanswered, {}});
  }
  return some;
}

// Of the answers that were opened: what the client was promised is what the log has.
void ServingAudit::check_promises() {
  std::set<std::int64_t> leaves;
  for (const HeldReceipt& held : options_.receipts)
    if (held.signed_receipt.verify(options_.key) &&
        held.signed_receipt.receipt.origin == sealed_.checkpoint.origin)
      leaves.insert(static_cast<std::int64_t>(held.signed_receipt.receipt.index));
  for (const std::int64_t leaf : leaves) {
    if (!log_->has(leaf) || leaf > log_->grid().steps) continue;
    try {
      check_promise(options_.receipts, leaf, log_->answer(leaf), *salts_, findings_);
    } catch (const Rejection& rejection) {
      report(rejection, findings_);
    }
  }
}

void ServingAudit::state_confidence(const Challenge& drawn) {
  const record::Grid population = population_of(drawn, log_->grid());
  Attacker attacker;
  if (options_.tampered > 0) attacker = {.kind = Attacker::Kind::kTampered, .fraction = options_.tampered};
  const Plan plan = without(drawn.plan, verdict_.asked - verdict_.checked, population);
  const Odds odds = odds_of(plan, population, attacker);
  verdict_.confidence = odds.detection;
  verdict_.attacker = odds.attacker;
  verdict_.one_cell = odds.one_cell;
  verdict_.one_column = odds.one_column;
  findings_.unchecked(drawn.answers.empty() ? cat("population: cells were drawn from all ", population.steps,
                                                  " answers of the log")
                                            : cat("population: cells were drawn from the ", population.steps,
                                                  " of ", log_->grid().steps, " answers that were named"));
}

void ServingAudit::say_what_was_not_checked() {
  if (log_ && verdict_.checked < verdict_.cells)
    findings_.unchecked(
        cat("cells: ", verdict_.cells - verdict_.checked, " of ", verdict_.cells, " were not replayed"));
  if (!options_.model && !lineage_held_)
    findings_.unchecked("lineage: no --model and no --lineage; which model was served");
  findings_.unchecked(
      "policy: taken on the provider's word: numerics, layers of a cell, default and most tokens, merge "
      "delay");
  if (options_.receipts.empty())
    findings_.unchecked("receipt: no --receipt; that the answers of this log are those that clients got");
  else if (!options_.requests)
    findings_.unchecked(
        "request: no --requests; that the receipts are for what the client sent, and nothing else");
  if (unsealed_ > 0) findings_.unchecked(cat("unsealed: ", unsealed_, " lines follow the checkpoint"));
  if (log_ && !log_->whole())
    findings_.unchecked(cat("unopened-leaves: ", log_->size() - log_->leaves_at_hand(), " of ", log_->size(),
                            " leaves of the log were not opened"));
  if (log_ && log_->grid().steps > 0)
    findings_.unchecked(
        "seed-choice: where a request has neither seed nor nonce, the provider could know the seed "
        "beforehand");
  history_.say_what_was_not_checked(findings_);
  if (verdict_.seed_kind == "given")
    findings_.unchecked(
        "grinding: no protection against a log made to fit the seed, unless the provider did not know it "
        "when "
        "signing");
}

bool is_serving_manifest(const std::string& leaf) {
  return record::kind_of_leaf(leaf) == "serving-manifest";
}

}  // namespace

// What cannot be read so far is judged by the audit that takes what the client brings: damage must not end in
// "receipts do not go with this".
bool is_of_serving(const VerifyOptions& options, const OpenedEvidence& opened) {
  const bool otherwise = !options.receipts.empty() || options.lineage.has_value();
  try {
    if (!options.evidence) {
      const auto line = trace::first_line(trace::Layout{options.trace}.log());
      return line ? is_serving_manifest(*line) : otherwise;
    }
    if (opened.file == nullptr) return otherwise;
    const auto& leaves = opened.file->index().leaves;
    const bool begins = !leaves.empty() && leaves.front().index == 0;
    return begins ? is_serving_manifest(leaves.front().text) : otherwise;
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    return otherwise;
  }
}

Verdict verify_serving(const VerifyOptions& options, OpenedEvidence evidence) {
  if (options.data || options.exported || options.policy || !options.parts.empty())
    fail(Fault::kUsage,
         "rows, export, policy and merging are of training runs, and this log is of a serving period");
  return ServingAudit(options, std::move(evidence)).run();
}

}  // namespace aftune::audit
