#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "audit/evidence_file.h"
#include "audit/findings.h"
#include "audit/log_view.h"
#include "data/dataset.h"

namespace aftune::audit {

/// Bytes that the order of so many rows takes while it is looked at.
std::uint64_t order_bytes(std::int64_t rows);
/// Calls visit for the rows, some more than once, that decide the batches of the cells that see text: those
/// of the first stage's block. `order` is the run's. Steps whose leaf is not at hand have none. Opener and
/// verifier derive it apart.
void each_row_of_cells(const LogView& log, const data::Order& order, const std::vector<Cell>& cells,
                       const std::function<void(std::int64_t row)>& visit);

/// The rows of the client's data set that came with an answer, by which tokens and labels of a cell can be
/// checked without the data set (docs/audit.md, "Rows"). May be used from several threads.
class ShownRows {
 public:
  enum class Missing {
    kAbsent,     ///< a row that a cell needs and that did not come leaves the cell unanswered
    kDoNotCare,  ///< the client's own data set is looked at
  };
  /// Keeps both by reference. `max_memory` in bytes; 0: no bound.
  ShownRows(const LogView& log, const EvidenceFile& evidence, std::uint64_t max_memory, Missing missing);

  /// Whether any row came.
  bool any() const { return any_; }
  /// That no row came but those that these cells, all of the challenge, need. Reasons go to findings.
  void check_needed(const std::vector<Cell>& cells, Findings& findings);
  /// `data` and `order` of one step of a challenged cell: each row is in the data root, and the batch that
  /// they make is the step's. Throws Rejection.
  void check(const record::Step& step, const std::string& where, Findings& findings);

 private:
  struct Tools;
  const data::Order& order();
  const data::Encoder& encoder();
  std::string_view proved_row(std::int64_t row);
  void require_memory(std::uint64_t bytes, const std::string& what) const;

  const LogView& log_;
  const EvidenceFile& evidence_;
  std::uint64_t max_memory_;
  Missing missing_;
  bool any_;
  std::mutex mutex_;  // of what follows
  std::shared_ptr<const Tools> tools_;
  std::optional<data::Order> order_;
  std::string row_;
};

}  // namespace aftune::audit
