#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/challenge.h"
#include "audit/op_list.h"
#include "base/accelerator.h"
#include "base/files.h"
#include "base/json.h"
#include "seal/keys.h"

namespace aftune::audit {

struct OpsOptions {
  fs::path trace;
  Challenge challenge;
  Cell cell;  ///< one of the challenge's
  const seal::SecretKey& key;
  fs::path scratch;  ///< the cell's evidence is kept here meanwhile; must not exist
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  std::uint64_t max_memory = 0;
  bool quiet = false;
  std::optional<fs::path> model = std::nullopt;  ///< base model folder, of a run with adapters
};

/// The provider's side: makes a challenged cell again and signs the list of its operations. Throws
/// Error{kEvidence} if the trace is damaged, or its cell does not end as the log says; {kUsage} if the
/// challenge does not draw the cell or the key is not the run's.
OpList sign_op_list(const OpsOptions& options);

struct BisectOptions {
  OpList list;
  fs::path evidence;  ///< of the list's cell
  Challenge challenge;
  seal::PublicKey key;
  fs::path proof;  ///< written if an operation differs; must not exist
  int threads = 1;
  Accelerator* accelerator = nullptr;            ///< computes in place of the threads
  std::uint64_t max_memory = 0;                  ///< bytes; 0: what the machine has
  std::optional<fs::path> model = std::nullopt;  ///< base model folder, of a run with adapters
};

struct Bisection {
  enum class Result {
    kAgrees,   ///< every operation is as signed
    kDiffers,  ///< one is not, and the proof was written
    /// An end is signed as another than the log commits to, which needs no replay. The proof was written, but
    /// for a state, whose digest all updates make: then list and evidence are the proof.
    kContradicts,
    kRefused,  ///< this is no op list of the cell that the provider answers for, or the cell is not at hand
  };
  Result result = Result::kRefused;
  Cell cell;
  std::int64_t operations = 0;  ///< in the list
  std::int64_t agreed = 0;      ///< of these, before the first that differs
  std::string where, detail;    ///< of what differs, or why the list is refused
};
std::string_view name(Bisection::Result result);
Json to_json(const Bisection& bisection);  ///< schemas/bisection.json

/// The auditor's side: replays the list's cell from evidence and stops at the first operation that gives
/// something else than the provider signed. A list that contradicts the log is not replayed.
Bisection bisect(const BisectOptions& options);

}  // namespace aftune::audit
