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

}  // namespace aftune::audit
