#include "audit/shown_rows.h"

#include <algorithm>

#include "audit/batch_check.h"
#include "audit/block_state.h"
#include "base/error.h"
#include "data/order.h"
#include "hash/blake3.h"
#include "hash/merkle.h"

namespace aftune::audit {
namespace {

// What a text takes while it is parsed, or cut into tokens, for each of its bytes; from above.
constexpr std::uint64_t kBytesOfText = 32;
// What a token of a batch takes, in all its lists while they grow.
constexpr std::uint64_t kBytesOfToken = 64;

// Of a batch, as they grow.
std::uint64_t pixel_bytes(const LogView& log) {
  if (!log.config().images) return 0;
  const double pixels = static_cast<double>(log.config().images->shape.pixels());
  const double bytes = 2.0 * sizeof(float) * pixels * static_cast<double>(log.manifest().recipe.batch_size);
  return static_cast<std::uint64_t>(std::min(bytes, 1e18));
}

}  // namespace

std::uint64_t order_bytes(std::int64_t rows) {
  return static_cast<std::uint64_t>(rows) * sizeof(std::int64_t);
}

void each_row_of_cells(const LogView& log, const data::Order& order, const std::vector<Cell>& cells,
                       const std::function<void(std::int64_t row)>& visit) {
  const record::Grid& grid = log.grid();
  const std::int64_t all = log.manifest().data_rows;
  for (const Cell& cell : cells) {
    if (cell.block != 0) continue;
    for (std::int64_t t = grid.step_begin(cell.step_block); t < grid.step_end(cell.step_block); ++t) {
      if (!log.has_step(t)) break;
      const record::Step step = log.step(t);
      // However many positions a leaf claims, after an epoch the rows come again.
      const std::int64_t count = data::end_of_read(log.manifest().recipe, step.to) - step.from;
      for (std::int64_t i = 0; i < std::min(count, 2 * all); ++i) visit(order.row_at(step.from + i));
    }
  }
}

struct ShownRows::Tools {
  std::optional<tokenizer::Tokenizer> tokenizer;  // none with images
  data::Encoder encoder;
  Tools(const LogView& log, const std::string& text)
      : tokenizer(tokenizer::Tokenizer::parse(text)), encoder(encoder_of(log, &*tokenizer)) {}
  explicit Tools(const LogView& log) : encoder(encoder_of(log, nullptr)) {}
};

ShownRows::ShownRows(const LogView& log, const EvidenceFile& evidence, std::uint64_t max_memory,
                     Missing missing)
    : log_(log), evidence_(evidence), max_memory_(max_memory), missing_(missing), any_(evidence.has_rows()) {}

void ShownRows::require_memory(std::uint64_t bytes, const std::string& what) const {
  if (max_memory_ != 0 && bytes > max_memory_)
    throw Rejection(Code::kTooLarge, what, cat("takes ", bytes, " bytes, more than ", max_memory_));
}

void ShownRows::check_needed(const std::vector<Cell>& cells, Findings& findings) {
  try {
    std::set<std::int64_t> shown = evidence_.rows();
    if (shown.empty()) return;
    const std::lock_guard lock(mutex_);
    each_row_of_cells(log_, order(), cells, [&](std::int64_t row) { shown.erase(row); });
    if (!shown.empty())
      throw Rejection(Code::kFormat, EvidenceFile::name_of(evidence_row_dataset(*shown.begin())),
                      "no row that the challenged cells use");
  } catch (const Rejection& rejection) {
    report(rejection, findings);
  }
}

const data::Order& ShownRows::order() {
  const record::Manifest& m = log_.manifest();
  if (m.data_rows > data::kMaxRows)
    throw Rejection(Check::kOrder, Code::kOrder, LogView::line(0),
                    cat(m.data_rows, " data rows, more than an order can have"));
  require_memory(order_bytes(m.data_rows), "the order of the rows");
  if (!order_) order_.emplace(m.recipe.seed, m.data_rows);
  return *order_;
}

const data::Encoder& ShownRows::encoder() {
  if (!tools_ && log_.config().images) tools_ = std::make_shared<const Tools>(log_);
  if (tools_) return tools_->encoder;
  const std::string where = EvidenceFile::name_of(kEvidenceTokenizer);
  const std::string text = evidence_.read_tokenizer();
  const Digest& expected = log_.manifest().tokenizer;
  if (const Digest found = hash::blake3(text); found != expected)
    throw Rejection(Code::kEvidence, where, expected_found(expected, found));
  require_memory(kBytesOfText * text.size(), where);
  try {
    tools_ = std::make_shared<const Tools>(log_, text);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Code::kUnsupported, where, e.what());
  }
  return tools_->encoder;
}

// A row is the client's if its proof leads to the data root: whatever else the answer says of it.
std::string_view ShownRows::proved_row(std::int64_t row) {
  row_ = evidence_.read_row(row);
  const std::string where = EvidenceFile::name_of(evidence_row_dataset(row));
  require_memory(kBytesOfText * row_.size(), where);
  const record::Manifest& m = log_.manifest();
  const auto root =
      hash::inclusion_root(hash::leaf_hash(row_), static_cast<std::uint64_t>(row),
                           static_cast<std::uint64_t>(m.data_rows), evidence_.read_row_proof(row));
  if (!root || log_.published({0, record::Role::kData}, *root) != m.data_root)
    throw Rejection(Code::kEvidence, where, "the proof does not show this row in the data root");
  return row_;
}

void ShownRows::check(const record::Step& step, const std::string& where, Findings& findings) {
  const std::lock_guard lock(mutex_);
  try {
    if (!any_)
      throw Rejection(Code::kAbsent, "evidence rows",
                      "the policy pins the data; no rows came with it (aftune-open --data opens them)");
    require_memory(kBytesOfToken * static_cast<std::uint64_t>(step.tokens) + pixel_bytes(log_), where);
    check_batch(
        log_, [this](std::int64_t row) { return proved_row(row); }, encoder(), order(), step, where,
        findings);
  } catch (const Rejection& rejection) {
    if (missing_ == Missing::kAbsent || rejection.reason.code != Code::kAbsent) throw;
  }
}

}  // namespace aftune::audit
