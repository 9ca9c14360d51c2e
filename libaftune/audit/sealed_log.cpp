#include "audit/sealed_log.h"

#include "base/error.h"

namespace aftune::audit {

trace::Log sealed_log(const trace::Layout& layout, const seal::Checkpoint& checkpoint) {
  trace::Log log = trace::Log::read(layout.log());
  const std::string path = layout.log().native();
  if (checkpoint.size > log.leaves.size())
    fail(Fault::kEvidence, path, ": has fewer lines than the checkpoint seals");
  if (checkpoint.size == 0) fail(Fault::kEvidence, path, ": the checkpoint seals no leaf");
  log.leaves.resize(checkpoint.size);
  if (log.tree().root() != checkpoint.root)
    fail(Fault::kEvidence, path, ": is not the log that the checkpoint seals");
  return log;
}

ServingLog serving_log_of(const trace::Log& sealed) {
  std::map<std::int64_t, std::string> leaves;
  for (const std::string& leaf : sealed.leaves) leaves.emplace(std::ssize(leaves), leaf);
  ServingLog log(std::move(leaves), std::ssize(sealed.leaves));
  Verdict verdict;
  Findings findings(verdict);
  if (check_structure(log, findings)) return log;
  const Reason& reason = verdict.reasons.front();
  fail(Fault::kEvidence, reason.where, ": ", reason.detail);
}

ServingLog sealed_serving_log(std::string_view note, const trace::Layout& layout) {
  return serving_log_of(sealed_log(layout, seal::Checkpoint::parse(seal::Note::parse(note).text)));
}

}  // namespace aftune::audit
