#pragma once

// A challenge of a recorded run, its answer, and what a liar or a courier can do to the answer.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attacks/recorded_run.h"
#include "audit/evidence.h"
#include "audit/opening.h"
#include "tensor/tensor.h"

namespace aftune::attacks {

/// A challenge of the run as it is sealed.
audit::Challenge challenge_of(const RecordedRun& run, const audit::Plan& plan, int seed = 1);

/// The base model folder of a run with adapters, which opening and replaying one needs; none of another run.
std::optional<fs::path> base_of(const RecordedRun& run);

/// Opens it into a file that did not exist; `signed_` by the provider.
fs::path open_evidence(const RecordedRun& run, const audit::Challenge& challenge, bool signed_ = false,
                       bool export_salts = false);
/// Signed, with the parameters of the last state.
fs::path open_with_final(const RecordedRun& run, const audit::Challenge& challenge);
/// Signed, with the rows of the cells that see text.
fs::path open_with_rows(const RecordedRun& run, const audit::Challenge& challenge);

/// To verify evidence with nothing of the run but the key.
audit::VerifyOptions options_for(const fs::path& evidence, const audit::Challenge& challenge);

/// An evidence file in memory, to be changed and written again in the right form.
class ForgedAnswer {
 public:
  struct Dataset {
    DType dtype;
    Shape shape;
    Bytes bytes;
  };

  explicit ForgedAnswer(const fs::path& evidence);

  audit::EvidenceIndex index;
  std::map<std::string, Dataset> datasets;  ///< but for index and signature

  void flip(const std::string& dataset, std::size_t bit);
  /// Writes it. The provider, if it is the liar, makes the index right and signs; a courier can do neither.
  enum class By { kProvider, kCourier };
  fs::path write(By liar) const;

 private:
  std::string signature_;
};

}  // namespace aftune::attacks
