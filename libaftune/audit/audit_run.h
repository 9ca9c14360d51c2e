#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/evidence_file.h"
#include "audit/findings.h"
#include "audit/history_check.h"
#include "audit/seal_check.h"
#include "audit/verify.h"
#include "base/parallel.h"

namespace aftune::audit {

/// What options.evidence names, opened once: also to see whose audit it is.
struct OpenedEvidence {
  std::unique_ptr<EvidenceFile> file;  ///< null if there is none, or
  std::string problem;                 ///< why it could not be read; evidence, not usage
};
OpenedEvidence open_evidence_of(const VerifyOptions& options);

/// One audit, from the checkpoint to the verdict: what is the same whatever the log is of. Each step returns
/// false when what follows has nothing to stand on.
class AuditRun {
 public:
  AuditRun(const VerifyOptions& options, OpenedEvidence evidence, Growth growth = Growth::kEnded);
  virtual ~AuditRun() = default;
  AuditRun(const AuditRun&) = delete;
  AuditRun& operator=(const AuditRun&) = delete;
  Verdict run();

 protected:
  /// The log, or the leaves that were opened, against the checkpoint.
  virtual bool obtain_log() = 0;
  /// All that the log alone decides, and the client's own files.
  virtual bool check_log() = 0;
  /// The cells, and what they leave open.
  virtual void replay() = 0;
  /// Whatever was reached.
  virtual void say_what_was_not_checked() = 0;

  /// That which was given, or is made of the options.
  Challenge challenge() const;
  /// The key of the replay values: the challenge's, and the auditor's own if it has one.
  Digest replay_key() const;
  /// Of the drawn cells those that are to be replayed here.
  std::vector<Cell> share_of(const std::vector<Cell>& drawn) const;
  /// A cell is rejected for a contradiction that counts against the provider; without one it stays
  /// unanswered.
  void take_back_unattributed();

  const VerifyOptions& options_;
  Verdict verdict_;
  Findings findings_;
  History history_;
  ThreadPool pool_;
  Sealed sealed_;
  std::unique_ptr<EvidenceFile> evidence_;  ///< null without any, and while it was not looked at

 private:
  bool check_seal();
  bool open_evidence();

  OpenedEvidence opened_;
};

}  // namespace aftune::audit
