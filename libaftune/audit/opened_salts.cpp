#include "audit/opened_salts.h"

#include "audit/block_lists.h"
#include "audit/rejection.h"
#include "base/error.h"

namespace aftune::audit {
namespace {

using record::Role;
using record::SaltName;

void add_steps(const LogView& log, const Cell& cell, std::vector<SaltName>& list) {
  const record::Grid& grid = log.grid();
  const bool first = cell.block == 0, last = cell.block == grid.block_of_stage(grid.stages() - 1);
  for (std::int64_t t = grid.step_begin(cell.step_block); t < grid.step_end(cell.step_block); ++t) {
    const std::int64_t leaf = grid.step_leaf(t);
    list.push_back({leaf, Role::kLayout});
    if (first) list.push_back({leaf, Role::kTokens});
    if (last) list.push_back({leaf, Role::kLabels});
    for (const int b : boundaries_of_block(grid, cell.block))
      for (const Role role : {Role::kActivation, Role::kGradient}) list.push_back({leaf, role, b});
  }
}

void add_state(const LogView& log, std::int64_t s, int block, std::vector<SaltName>& list) {
  if (s == 0) return;
  const std::int64_t leaf = log.grid().state_leaf(s);
  const BlockLists lists(log, block);
  for (const TensorSpec& spec : lists.parameter_specs())
    list.push_back({leaf, Role::kParameter, block, spec.name});
  list.push_back({leaf, Role::kMoments, block});
}

}  // namespace

std::set<int> boundaries_of_block(const record::Grid& grid, int block) {
  std::set<int> list;
  for (const int stage : grid.stages_of_block(block)) {
    if (stage > 0) list.insert(stage - 1);
    if (stage < grid.boundaries()) list.insert(stage);
  }
  return list;
}

std::set<std::pair<Side, int>> opened_boundaries(const LogView& log, const std::set<int>& blocks) {
  std::set<std::pair<Side, int>> list;
  for (const int block : blocks) {
    for (const int stage : log.grid().stages_of_block(block)) {
      if (stage > 0) list.insert({Side::kActivation, stage - 1});
      if (stage < log.grid().boundaries()) list.insert({Side::kGradient, stage});
    }
    if (log.manifest().native)
      for (const int b : boundaries_of_block(log.grid(), block))
        for (const Side side : {Side::kActivation, Side::kGradient}) list.insert({side, b});
  }
  return list;
}

std::vector<std::int64_t> opened_states(const LogView& log, std::int64_t s) {
  if (log.manifest().native) return {s, s + 1};
  return {s};
}

Digest OpenedSalts::salt(const SaltName& name) const {
  const auto found = salts_.find(to_text(name));
  if (found == salts_.end())
    throw Rejection(Code::kAbsent, cat("evidence salt ", to_text(name)), "not in the evidence");
  return found->second;
}

Digest NoSalts::salt(const SaltName&) const {
  throw Rejection(Code::kAbsent, "hiding.key", kWhy);
}

std::vector<SaltName> salts_of_cells(const LogView& log, const std::vector<Cell>& cells) {
  const record::Grid& grid = log.grid();
  const record::Final final = log.final();
  std::vector<SaltName> list = {{0, Role::kData}};
  if (log.manifest().eval_root) list.push_back({0, Role::kEval});
  for (const Cell& cell : cells) {
    add_steps(log, cell, list);
    add_state(log, cell.step_block, cell.block, list);
    add_state(log, cell.step_block + 1, cell.block, list);
    if (cell.step_block + 1 == grid.step_blocks() && final.exported.dtype != DType::kF32) {
      const BlockLists lists(log, cell.block);
      for (const TensorSpec& spec : lists.parameter_specs())
        list.push_back(log.exported_salt(final, cell.block, spec.name));
    }
  }
  return list;
}

std::vector<SaltName> salts_of_rows(const LogView& log, const std::vector<Cell>& cells) {
  const record::Grid& grid = log.grid();
  std::vector<SaltName> list;
  for (const Cell& cell : cells)
    if (cell.block == 0)
      for (std::int64_t t = grid.step_begin(cell.step_block); t < grid.step_end(cell.step_block); ++t)
        list.push_back({grid.step_leaf(t), Role::kLabels});
  return list;
}

std::vector<SaltName> salts_of_export(const LogView& log) {
  const record::Final final = log.final();
  std::vector<SaltName> list(log.tensors().size());
  for (int block = 0; block < log.grid().blocks(); ++block) {
    const BlockLists lists(log, block);
    for (const std::size_t position : lists.positions())
      list[position] = log.exported_salt(final, block, log.tensors()[position].name);
  }
  for (const auto& [name, digest] : final.files)
    if (record::holds_weights(name)) list.push_back({log.grid().final_leaf(), Role::kFile, 0, name});
  return list;
}

}  // namespace aftune::audit
