#include "audit/disclosure.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "audit/block_lists.h"
#include "audit/evidence.h"
#include "audit/opened_salts.h"
#include "audit/sealed_log.h"
#include "audit/source.h"
#include "base/error.h"
#include "base/files.h"
#include "model/layer_block.h"
#include "trace/log.h"

namespace aftune::audit {
namespace {

constexpr std::uint64_t kMaxDisclosureBytes = std::uint64_t{1} << 30;

// Counts what an answer to the opened cells of one step block holds, but for states, which two of them may
// share; what two cells share, once.
class Row {
 public:
  Row(const LogView& log, std::int64_t s, const std::set<int>& blocks, Disclosure& sum)
      : log_(log), s_(s), blocks_(blocks), sum_(sum) {}

  void count() {
    const record::Grid& grid = log_.grid();
    const std::size_t boundaries = opened_boundaries(log_, blocks_).size();
    for (std::int64_t t = grid.step_begin(s_); t < grid.step_end(s_); ++t) {
      const record::Step step = log_.step(t);
      const auto tokens = static_cast<std::uint64_t>(step.tokens);
      // Of the layout: a document count a row, and a length a document.
      add(4 * static_cast<std::uint64_t>(log_.manifest().recipe.batch_size + step.to - step.from));
      if (blocks_.count(0) != 0) add(4 * tokens);
      if (blocks_.count(grid.block_of_stage(grid.stages() - 1)) != 0) add(4 * tokens);
      for (std::size_t i = 0; i < boundaries; ++i)
        add(4 * tokens * static_cast<std::uint64_t>(log_.config().hidden));
    }
  }

 private:
  void add(std::uint64_t bytes) {
    ++sum_.tensors;
    sum_.bytes += bytes;
  }

  const LogView& log_;
  std::int64_t s_;
  const std::set<int>& blocks_;
  Disclosure& sum_;
};

fs::path lock_of(const fs::path& file) {
  fs::path lock = file;
  return lock += ".lock";
}

std::set<int> bracketed_blocks(const record::Grid& grid, const std::set<int>& opened) {
  std::set<int> known, bracketed;
  for (const int block : opened)
    for (const int boundary : boundaries_of_block(grid, block)) known.insert(boundary);
  for (int block = 0; block < grid.blocks(); ++block) {
    bool all = opened.count(block) == 0;
    for (const int boundary : boundaries_of_block(grid, block)) all = all && known.count(boundary) != 0;
    if (all) bracketed.insert(block);
  }
  return bracketed;
}

/// Cells and blocks; `row` is called for the opened cells of each step block or answer.
void count_cells(const record::Grid& grid, const HandedOut& out, Disclosure& sum,
                 const std::function<void(std::int64_t, const std::set<int>&)>& row) {
  sum.of_cells = grid.cells();
  sum.of_blocks = grid.blocks();
  std::map<std::int64_t, std::set<int>> rows;
  for (const Cell& cell : out.cells) {
    if (cell.block >= grid.blocks() || cell.step_block >= grid.step_blocks())
      fail(Fault::kEvidence, "cell ", cell.block, ",", cell.step_block, " is none of this run");
    rows[cell.step_block].insert(cell.block);
  }
  std::set<int> blocks;
  for (const auto& [s, opened] : rows) {
    const std::set<int> between = bracketed_blocks(grid, opened);
    sum.cells += std::ssize(opened);
    sum.bracketed += std::ssize(between);
    blocks.insert(opened.begin(), opened.end());
    blocks.insert(between.begin(), between.end());
    row(s, opened);
  }
  sum.blocks = std::ssize(blocks);
}

HandedOut parse(std::string_view text) {
  const Json json = parse_canonical(text, {.max_bytes = kMaxDisclosureBytes, .max_depth = 4});
  Fields fields(json, "disclosed");
  if (fields.text("type", 64) != "aftune-disclosed/1") fail(Fault::kEvidence, "not of this version");
  HandedOut out;
  for (const Json& item : fields.array("cells")) {
    const Cell cell = cell_from_json(item);
    if (!out.cells.empty() && !(*out.cells.rbegin() < cell))
      fail(Fault::kEvidence, "cells that are not in order");
    out.cells.insert(cell);
  }
  if (fields.has("rows"))
    for (const Json& item : fields.array("rows")) {
      Fields row(item, "row");
      const std::int64_t number = row.integer("row", 0);
      if (!out.rows.empty() && out.rows.rbegin()->first >= number)
        fail(Fault::kEvidence, "rows that are not in order");
      out.rows[number] = static_cast<std::uint64_t>(row.integer("bytes", 0));
      row.done();
    }
  // Absent is no; there is one text for one content.
  if (fields.has("final_params")) {
    out.final_params = fields.boolean("final_params");
    if (!out.final_params) fail(Fault::kEvidence, "final parameters that are not");
  }
  fields.done();
  return out;
}

std::string to_text(const HandedOut& out) {
  Json cells = Json::array();
  for (const Cell& cell : out.cells) cells.push_back({cell.block, cell.step_block});
  Json json = {{"type", "aftune-disclosed/1"}, {"cells", std::move(cells)}};
  for (const auto& [row, bytes] : out.rows) json["rows"].push_back({{"row", row}, {"bytes", bytes}});
  if (out.final_params) json["final_params"] = true;
  return canonical_json(json);
}

}  // namespace

void HandedOut::add(const HandedOut& more) {
  cells.insert(more.cells.begin(), more.cells.end());
  rows.insert(more.rows.begin(), more.rows.end());
  final_params = final_params || more.final_params;
}

Disclosure disclosure_of(const LogView& log, const HandedOut& out) {
  Disclosure sum;
  std::set<Cell> states;  // by block and number
  count_cells(log.grid(), out, sum, [&](std::int64_t s, const std::set<int>& row) {
    Row(log, s, row, sum).count();
    for (const std::int64_t q : opened_states(log, s))
      for (const int block : row) states.insert({block, q});
  });
  for (const Cell& state : states) {
    const BlockLists lists(log, state.block);
    for (const auto* specs : {&lists.parameter_specs(), &lists.moment_specs()})
      for (const TensorSpec& spec : *specs) {
        ++sum.tensors;
        sum.bytes += byte_size(spec);
      }
  }
  sum.final_params = out.final_params;
  if (out.final_params)
    for (const TensorSpec& spec : log.tensors()) {
      ++sum.tensors;
      sum.bytes += byte_size(spec);
    }
  sum.rows = std::ssize(out.rows);
  for (const auto& [row, bytes] : out.rows) sum.row_bytes += bytes;
  return sum;
}

// The weights are the same for all answers, so a block's are counted once.
Disclosure disclosure_of(const ServingLog& log, const HandedOut& out) {
  Disclosure sum;
  const auto add = [&](std::uint64_t bytes) {
    ++sum.tensors;
    sum.bytes += bytes;
  };
  std::set<int> blocks;
  count_cells(log.grid(), out, sum, [&](std::int64_t r, const std::set<int>& row) {
    const record::RequestLeaf answer = log.answer(ServingLog::leaf_of(r));
    const auto positions = static_cast<std::uint64_t>(answer.prompt_tokens + answer.answer_tokens - 1);
    std::set<int> given;
    for (const int block : row)
      for (const int stage : log.grid().stages_of_block(block))
        if (stage > 0) given.insert(stage - 1);
    for (std::size_t i = 0; i < given.size(); ++i)
      add(4 * positions * static_cast<std::uint64_t>(log.config().hidden));
    blocks.insert(row.begin(), row.end());
  });
  for (const int block : blocks)
    for (TensorSpec spec : model::block_parameter_specs(log.config(), log.grid(), {}, block)) {
      spec.dtype = log.manifest().base.dtype;
      add(byte_size(spec));
    }
  return sum;
}

Json to_json(const Disclosure& d) {
  return {{"cells", d.cells},         {"bracketed", d.bracketed},
          {"of_cells", d.of_cells},   {"blocks", d.blocks},
          {"of_blocks", d.of_blocks}, {"tensors", d.tensors},
          {"bytes", d.bytes},         {"rows", d.rows},
          {"row_bytes", d.row_bytes}, {"final_params", d.final_params}};
}

std::string describe(const Disclosure& d) {
  return cat(d.cells, " of ", d.of_cells, " cells, ", d.bracketed, " more between them, ", d.blocks, " of ",
             d.of_blocks, " blocks, ", d.tensors, " tensors, ", d.bytes, " bytes",
             d.rows == 0 ? "" : cat(", ", d.rows, " rows of the data, ", d.row_bytes, " bytes"),
             d.final_params ? "; all final parameters" : "");
}

std::optional<Disclosure> disclosure_of_trace(const trace::Layout& layout) {
  const HandedOut out = handed_out(layout.disclosed());
  if (out.empty()) return std::nullopt;
  return within(layout.log().native(), [&] {
    const trace::Log lines = trace::Log::read(layout.log());
    if (!lines.leaves.empty() && record::kind_of_leaf(lines.leaves.front()) == "serving-manifest")
      return disclosure_of(serving_log_of(lines), out);
    LogView log(lines.leaves);
    log.parse_manifest();
    log.parse_config();
    return disclosure_of(log, out);
  });
}

HandedOut handed_out(const fs::path& file) {
  if (!fs::exists(fs::symlink_status(file))) return {};
  const std::string text = read_file(file, kMaxDisclosureBytes, Links::kRefuse);
  return within(file.native(), [&] { return parse(text); });
}

HandedOut hand_out(const fs::path& file, const HandedOut& answer) {
  const FileLock held(lock_of(file), FileLock::Busy::kWait);
  HandedOut all = handed_out(file);
  all.add(answer);
  write_file(file, to_text(all));
  return all;
}

void require_countable(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const auto refuse = [&](const std::string& why) {
    fail(Fault::kUsage, file.native(), ": ", why, "; what answers disclose is counted there (--disclosed)");
  };
  // A read-only file system answers access() as open() would; permission bits would not.
  if (::access(folder.c_str(), W_OK | X_OK) != 0) refuse(std::strerror(errno));
  const fs::path lock = lock_of(file);
  if (fs::exists(fs::symlink_status(lock)) && ::access(lock.c_str(), W_OK) != 0) refuse(std::strerror(errno));
  handed_out(file);
}

}  // namespace aftune::audit
