#include "audit/audit_run.h"

#include <algorithm>
#include <memory>

#include "audit/evidence_check.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "base/version.h"
#include "hash/blake3.h"

namespace aftune::audit {

OpenedEvidence open_evidence_of(const VerifyOptions& options) {
  OpenedEvidence opened;
  if (!options.evidence) return opened;
  try {
    opened.file = std::make_unique<EvidenceFile>(*options.evidence);
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    opened.problem = without_path(e.what(), *options.evidence);
  }
  return opened;
}

AuditRun::AuditRun(const VerifyOptions& options, OpenedEvidence evidence, Growth growth)
    : options_(options),
      findings_(verdict_),
      history_(options, growth),
      pool_(std::max(1, options.threads), options.accelerator),
      opened_(std::move(evidence)) {}

Verdict AuditRun::run() {
  verdict_.seed_kind = options_.challenge ? options_.challenge->seed_kind : options_.seed_kind;
  try {
    if (check_seal() && open_evidence() && obtain_log() && check_log()) replay();
  } catch (const Error& e) {
    // Every reader of provider bytes reports for itself, naming the object. If one did not, its error still
    // is a verdict and not a way out of one.
    if (e.fault() != Fault::kEvidence) throw;
    findings_.add(Code::kFormat, options_.evidence ? "evidence" : "trace", e.what());
  }
  say_what_was_not_checked();
  findings_.close();
  conclude(verdict_, verdict_.asked);
  if (!sealed_.text.empty()) history_.remember(sealed_);
  return std::move(verdict_);
}

bool AuditRun::check_seal() {
  auto sealed = options_.evidence ? check_note_text(options_.challenge->note, options_.key, findings_)
                                  : check_signature(options_, findings_);
  if (!sealed) return false;
  sealed_ = std::move(*sealed);
  verdict_.origin = sealed_.checkpoint.origin;
  verdict_.root = to_hex(sealed_.checkpoint.root);
  verdict_.bound["verifier"] = std::string(kSoftware);
  verdict_.bound["note"] = to_hex(hash::blake3(sealed_.text));
  if (options_.policy) verdict_.bound["policy"] = to_hex(options_.policy->digest);
  if (options_.challenge) verdict_.bound["challenge"] = to_hex(hash::blake3(to_text(*options_.challenge)));
  history_.check_notes(sealed_, findings_);
  return true;
}

// What came through other hands than the provider's is held against the provider only if it signed it.
bool AuditRun::open_evidence() {
  if (!options_.evidence) return true;
  findings_.ask_whose([this, known = std::optional<bool>()]() mutable {
    if (!evidence_) return false;
    if (!known) known = evidence_->is_signed_by(options_.key, sealed_.checkpoint.origin);
    return *known;
  });
  evidence_ = std::move(opened_.file);
  if (evidence_ == nullptr) {
    findings_.add(Code::kFormat, "evidence", opened_.problem);
    return false;
  }
  verdict_.bound["evidence"] = to_hex(evidence_->digest());
  return check_evidence_note(options_, *evidence_, sealed_, findings_);
}

Challenge AuditRun::challenge() const {
  if (options_.challenge) return *options_.challenge;
  return {
      .note = sealed_.text, .seed = options_.seed, .seed_kind = options_.seed_kind, .plan = options_.plan};
}

Digest AuditRun::replay_key() const {
  const std::string text = to_text(challenge());
  Bytes material(as_bytes(text).begin(), as_bytes(text).end());
  if (options_.replay_secret) {
    const ByteView secret = std::as_bytes(std::span(options_.replay_secret->bytes));
    material.insert(material.end(), secret.begin(), secret.end());
  }
  return hash::blake3_derive_key("aftune/replay/1", material);
}

std::vector<Cell> AuditRun::share_of(const std::vector<Cell>& drawn) const {
  std::vector<Cell> some;
  if (options_.only.empty())
    for (std::int64_t i = options_.share; i < std::ssize(drawn); i += options_.share_of)
      some.push_back(drawn[static_cast<std::size_t>(i)]);
  for (const std::int64_t i : options_.only) {
    if (i >= std::ssize(drawn)) fail(Fault::kUsage, "there is no cell ", i, ": ", drawn.size(), " are drawn");
    some.push_back(drawn[static_cast<std::size_t>(i)]);
  }
  return some;
}

void AuditRun::take_back_unattributed() {
  const auto any = [&](const std::string& place, const auto& is) {
    return std::any_of(verdict_.reasons.begin(), verdict_.reasons.end(), [&](const Reason& reason) {
      return reason.where.starts_with(place) && is(reason.code);
    });
  };
  const auto counts = [](Code code) { return class_of(code) != ReasonClass::kAbsent; };
  const auto in_doubt = [](Code code) { return code == Code::kUnattributed; };
  for (CellVerdict& result : verdict_.sampled) {
    const std::string cell = cat("cell ", result.cell.block, ",", result.cell.step_block, " ");
    if (result.result == CellResult::kRejected &&
        (!any("", counts) || (any(cell, in_doubt) && !any(cell, counts))))
      result.result = CellResult::kUnanswered;
  }
}

}  // namespace aftune::audit
