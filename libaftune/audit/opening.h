#pragma once

#include <optional>

#include "audit/challenge.h"
#include "audit/disclosure.h"
#include "audit/evidence.h"
#include "base/accelerator.h"
#include "base/files.h"
#include "seal/keys.h"

namespace aftune::audit {

struct OpenOptions {
  fs::path trace;
  Challenge challenge;
  fs::path out;
  const seal::SecretKey* key = nullptr;  ///< signs the evidence
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  std::uint64_t max_memory = 0;        ///< bytes; 0: what the machine has
  bool quiet = false;
  bool discloses = true;  ///< false: the file does not leave the provider, and is not counted
  /// The rows that were trained on, and the model folder whose tokenizer.json cut them: those of the cells
  /// that see text then go with them. Both or none.
  std::optional<fs::path> data = std::nullopt;
  std::optional<fs::path> model = std::nullopt;
  bool final_params = false;  ///< also every parameter of the last state, without moments
  /// Where what all answers disclose is counted; default: the trace's own `disclosed`.
  std::optional<fs::path> disclosed = std::nullopt;
  bool export_salts = false;  ///< also those by which the shipped files are known to be the exported ones
};

struct Opened {
  std::vector<Cell> cells;
  OpeningCost cost;
  std::int64_t leaves = 0;
  std::int64_t rows = 0;    ///< of the data set
  std::uint64_t bytes = 0;  ///< of the file
  Disclosure disclosed;     ///< by all answers of the run so far, this one included
};

/// Answers a challenge from a trace: the tensors of its cells, the leaves that speak of them, their proofs,
/// and nothing else. What is not stored is made again from the nearest snapshot, and everything is compared
/// with the record before it is written, so that nothing is handed out that the record contradicts. Of the
/// trace only the file `disclosed` is changed, and nothing with OpenOptions::disclosed; others may read it,
/// or append to it, meanwhile.
///
/// Throws Error{kEvidence} if the trace is not what the challenge's note seals or is damaged, {kUsage} if the
/// key is not the run's, `out` exists, the data is not what the run was trained on, what is disclosed cannot
/// be counted, or what is not stored of a native run has to be made again and the accelerator is not as the
/// run's.
Opened open(const OpenOptions& options);

}  // namespace aftune::audit
