#include "audit/disclosure.h"

#include <map>
#include <string>

#include "audit/block_lists.h"
#include "audit/evidence.h"
#include "audit/opened_salts.h"
#include "audit/source.h"
#include "base/error.h"
#include "base/files.h"
#include "trace/log.h"

namespace aftune::audit {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

// Counts what an answer to the opened cells of one step block holds; what two cells share, once.
class Row {
 public:
  Row(const LogView& log, std::int64_t s, const std::set<int>& blocks, Disclosure& sum)
      : log_(log), s_(s), blocks_(blocks), sum_(sum) {}

  void count() {
    for (const int block : blocks_) {
      const BlockLists lists(log_, block);
      for (const auto* specs : {&lists.parameter_specs(), &lists.moment_specs()})
        for (const TensorSpec& spec : *specs) add(byte_size(spec));
    }
    std::set<std::pair<Side, int>> given;
    const record::Grid& grid = log_.grid();
    for (const int block : blocks_)
      for (const int stage : grid.stages_of_block(block)) {
        if (stage > 0) given.insert({Side::kActivation, stage - 1});
        if (stage < grid.boundaries()) given.insert({Side::kGradient, stage});
      }
    for (std::int64_t t = grid.step_begin(s_); t < grid.step_end(s_); ++t) {
      const record::Step step = log_.step(t);
      const auto tokens = static_cast<std::uint64_t>(step.tokens);
      // Of the layout: a document count a row, and a length a document.
      add(4 * static_cast<std::uint64_t>(log_.manifest().recipe.batch_size + step.to - step.from));
      if (blocks_.count(0) != 0) add(4 * tokens);
      if (blocks_.count(grid.block_of_stage(grid.stages() - 1)) != 0) add(4 * tokens);
      for (std::size_t i = 0; i < given.size(); ++i)
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

std::set<Cell> parse(std::string_view text) {
  const Json json = parse_canonical(text, {.max_bytes = kMaxBytes, .max_depth = 3});
  Fields fields(json, "disclosed");
  if (fields.text("type", 64) != "aftune-disclosed/1") fail(Fault::kEvidence, "not of this version");
  std::set<Cell> cells;
  for (const Json& item : fields.array("cells")) {
    const Cell cell = cell_from_json(item);
    if (!cells.empty() && !(*cells.rbegin() < cell)) fail(Fault::kEvidence, "cells that are not in order");
    cells.insert(cell);
  }
  fields.done();
  return cells;
}

}  // namespace

Disclosure disclosure_of(const LogView& log, const std::set<Cell>& opened) {
  const record::Grid& grid = log.grid();
  Disclosure sum{.of_cells = grid.cells(), .of_blocks = grid.blocks()};
  std::map<std::int64_t, std::set<int>> rows;
  for (const Cell& cell : opened) {
    if (cell.block >= grid.blocks() || cell.step_block >= grid.step_blocks())
      fail(Fault::kEvidence, "cell ", cell.block, ",", cell.step_block, " is none of this run");
    rows[cell.step_block].insert(cell.block);
  }
  std::set<int> blocks;
  for (const auto& [s, row] : rows) {
    const std::set<int> between = bracketed_blocks(grid, row);
    sum.cells += std::ssize(row);
    sum.bracketed += std::ssize(between);
    blocks.insert(row.begin(), row.end());
    blocks.insert(between.begin(), between.end());
    Row(log, s, row, sum).count();
  }
  sum.blocks = std::ssize(blocks);
  return sum;
}

Json to_json(const Disclosure& d) {
  return {{"cells", d.cells},   {"bracketed", d.bracketed}, {"of_cells", d.of_cells},
          {"blocks", d.blocks}, {"of_blocks", d.of_blocks}, {"tensors", d.tensors},
          {"bytes", d.bytes}};
}

std::string describe(const Disclosure& d) {
  return cat(d.cells, " of ", d.of_cells, " cells, ", d.bracketed, " more between them, ", d.blocks, " of ",
             d.of_blocks, " blocks, ", d.tensors, " tensors, ", d.bytes, " bytes");
}

std::optional<Disclosure> disclosure_of_trace(const trace::Layout& layout) {
  const std::set<Cell> cells = disclosed_cells(layout);
  if (cells.empty()) return std::nullopt;
  return within(layout.log().native(), [&] {
    LogView log(trace::Log::read(layout.log()).leaves);
    log.parse_manifest();
    log.parse_config();
    return disclosure_of(log, cells);
  });
}

std::set<Cell> disclosed_cells(const trace::Layout& layout) {
  const fs::path path = layout.disclosed();
  if (!fs::exists(fs::symlink_status(path))) return {};
  const std::string text = read_file(path, kMaxBytes, Links::kRefuse);
  return within(path.native(), [&] { return parse(text); });
}

std::set<Cell> disclose(const trace::Layout& layout, const std::vector<Cell>& cells) {
  fs::path lock = layout.disclosed();
  const FileLock held(lock += ".lock", FileLock::Busy::kWait);
  std::set<Cell> all = disclosed_cells(layout);
  all.insert(cells.begin(), cells.end());
  Json list = Json::array();
  for (const Cell& cell : all) list.push_back({cell.block, cell.step_block});
  write_file(layout.disclosed(),
             canonical_json({{"type", "aftune-disclosed/1"}, {"cells", std::move(list)}}));
  return all;
}

}  // namespace aftune::audit
