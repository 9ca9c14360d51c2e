#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/challenge.h"
#include "audit/native_found.h"
#include "base/json.h"

namespace aftune::audit {

enum class Outcome { kAccept, kReject, kIncomplete };
std::string_view name(Outcome outcome);

/// The checks, each under its own name in the verdict. docs/audit.md says what each establishes.
enum class Check {
  kSignature,
  kLogRoot,
  kClosing,
  kPolicy,
  kOrder,
  kData,
  kSchedule,
  kStateBefore,
  kForward,
  kLoss,
  kBackward,
  kNorm,
  kUpdate,
  kEdges,
  kExport,
  // of answers
  kPrompt,
  kSampling,
  kText,
  kReceipt,
  kLineage,
};
std::string_view name(Check check);  ///< "state-before"

/// Why a verdict is not ACCEPT. A closed list (docs/audit.md, "Reasons"); each has a test that provokes
/// exactly it.
enum class Code {
  // fraud: a contradiction inside what the provider signed
  kSignature,
  kLogRoot,
  kClosing,
  kPolicy,
  kOrder,
  kData,
  kSchedule,
  kStateBefore,
  kForward,
  kLoss,
  kBackward,
  kNorm,
  kUpdate,
  kExport,
  kRecreate,      ///< a tensor made again from the record differs from what the record says of it
  kNonFinite,     ///< a value that no honest run records
  kEquivocation,  ///< two signed histories of one run
  kPrompt,        ///< the prompt is not what the request, read with tokenizer and template, gives
  kSampling,      ///< another token, or another end, follows from the logits and the request
  kText,          ///< the text is not that of the tokens
  kReceipt,       ///< what a signed receipt promises is not what the log has
  kLineage,       ///< the served weights are not those of the training run that the manifest names
  kOp,            ///< one operation of a signed op list has another result, or is not as the log says
  // evidence: bytes at hand that do not match the commitment
  kFormat,    ///< not in the form that docs/trace.md gives
  kEvidence,  ///< in form, but its digest is not the committed one
  // absent: nothing was shown to be wrong, and not everything could be checked
  kAbsent,        ///< something that must be there is not
  kUnattributed,  ///< damaged evidence that the provider did not sign
  kTooLarge,      ///< more memory than the auditor allowed
  kUnsupported,   ///< arithmetic or a version that this build does not know
  kCoverage,      ///< fewer cells checked than were asked for
};
std::string_view name(Code code);
enum class ReasonClass { kFraud, kEvidence, kAbsent };
ReasonClass class_of(Code code);
std::string_view name(ReasonClass c);

struct Reason {
  Code code;
  std::string where;   ///< the object: "log line 12", "segment-000003.h5", "cell 2,5 step 43 boundary 1"
  std::string detail;  ///< expected and found, first differing element with both values
};

struct CheckCount {
  std::int64_t done = 0;
  std::int64_t failed = 0;
};

enum class CellResult {
  kUnanswered,  ///< it could not be replayed
  kRejected,    ///< something in it differed
  kChecked,     ///< replayed to its end, nothing differed
};
std::string_view name(CellResult result);

/// What became of one cell of the challenge.
struct CellVerdict {
  Cell cell;
  CellResult result = CellResult::kUnanswered;
  std::optional<Digest> replay;  ///< of a checked cell, see docs/audit.md, "Replay values"
};

struct Verdict {
  Outcome outcome = Outcome::kIncomplete;
  std::vector<Reason> reasons;
  std::int64_t cells = 0;            ///< in the run
  std::int64_t asked = 0;            ///< distinct cells that the plan draws
  std::int64_t checked = 0;          ///< of these, replayed and found right
  record::Grid grid;                 ///< of the run, once known
  std::vector<CellVerdict> sampled;  ///< the cells asked for, in order of cells
  double confidence = 0;             ///< P(detect) for the plan's attacker at what was really checked
  std::string attacker;              ///< the attacker the confidence speaks of
  double one_cell = 0;               ///< P(detect) of one bad cell
  double one_column = 0;             ///< P(detect) of one bad column
  std::vector<std::string> unchecked;
  std::map<Check, CheckCount> checks;
  std::map<Check, CheckCount> log_checks;  ///< of these, those made before any cell
  std::string root;                        ///< hex
  std::string origin;
  std::string seed_kind;
  std::optional<NativeFound> native;  ///< none: every comparison was of bits
  /// BLAKE3 (hex) of what was judged and by what: note, challenge, evidence, policy, proof; verifier is text.
  std::map<std::string, std::string> bound;
};

/// Of `sampled`, those that stayed unanswered: what a later challenge of this run must contain.
std::vector<Cell> unanswered(const Verdict& verdict);

/// Sets the outcome. ACCEPT needs at least one checked cell, every asked cell checked, and no reason. Fraud
/// or evidence: REJECT. Else INCOMPLETE, with a `coverage` reason if cells are missing.
void conclude(Verdict& verdict, std::int64_t asked);
Json to_json(const Verdict& verdict);

/// The strict inverse of to_json(): every member, no other, in bounds, and an outcome that conclude() would
/// give. A verdict file is untrusted. Throws Error{kEvidence}.
Verdict verdict_from_json(const Json& json);
inline constexpr std::size_t kMaxVerdictBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxVerdictValues = std::size_t{1} << 20;  ///< some ten of a cell
Verdict parse_verdict(std::string_view text);  ///< as verdict_from_json(), of at most kMaxVerdictBytes

/// How cells were compared: "exactly", or what else it was.
std::string comparison(const Verdict& verdict);
/// Coverage, and the confidence with its attacker, on one line.
std::string headline(const Verdict& verdict);
/// Six significant digits; never "1" for anything less.
std::string probability_text(double p);
/// A few lines for a person: outcome and headline, reasons by class, the run, checks, and last what was not
/// checked. `colour` adds SGR codes for a terminal. No other control character is in it, whatever the verdict
/// holds.
std::string describe(const Verdict& verdict, bool colour = false);

}  // namespace aftune::audit
