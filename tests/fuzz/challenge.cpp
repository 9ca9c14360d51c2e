// Challenges, and the cells that one draws from a small and from a huge grid.
#include "audit/challenge.h"

#include "fuzz/json_input.h"

namespace {

// Drawing takes time and memory by the cells that are asked for, which is bounded by the auditor's own plan.
constexpr std::int64_t kMostDrawn = 1000;

bool draws_few(const aftune::audit::Plan& plan) {
  return !plan.all && plan.uniform <= kMostDrawn && plan.inputs <= kMostDrawn &&
         plan.objective <= kMostDrawn && plan.ends <= kMostDrawn;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  std::string text(fuzz::text_of(data, size));
  if (text.ends_with('\n')) text.pop_back();
  text = fuzz::canonical_or_same(text) + '\n';
  fuzz::takes([&] {
    const audit::Challenge challenge = audit::parse_challenge(text);
    AFTUNE_CHECK(audit::to_text(challenge) == text);
    for (const record::Grid& grid :
         {record::Grid{.layers = 2, .steps = 6, .steps_per_block = 2},
          record::Grid{.layers = 1 << 20, .tied = true, .steps = std::int64_t{1} << 40}}) {
      if (grid.cells() > kMostDrawn && !draws_few(challenge.plan)) continue;
      fuzz::takes([&] {
        const auto cells = audit::draw_cells(challenge, grid);
        AFTUNE_CHECK(static_cast<std::int64_t>(cells.size()) <= grid.cells());
        for (const audit::Cell& cell : cells)
          AFTUNE_CHECK(cell.block >= 0 && cell.block < grid.blocks() && cell.step_block >= 0 &&
                       cell.step_block < grid.step_blocks());
      });
    }
  });
  return 0;
}
