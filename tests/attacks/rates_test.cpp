// Cheats that are caught with some probability are caught at the predicted rate.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "base/sanitizers.h"
#include "hash/blake3.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

// Seeds for a rate of verdicts, and of draws. Sanitizers look for other faults, which a few would show.
constexpr int kVerdicts = kSanitizers ? 12 : 120;
constexpr int kDraws = kSanitizers ? 200 : 20000;

// Verdicts over `rounds` seeds; how many reject, and the rate that each states for one bad cell or column.
struct Measured {
  int rejected = 0;
  double one_cell = 0;
  double one_column = 0;
};

Measured measure(audit::VerifyOptions options, int rounds) {
  Measured measured;
  for (int round = 0; round < rounds; ++round) {
    options.seed = hash::blake3(cat("rate ", round)).bytes;
    const audit::Verdict verdict = audit::verify(options);
    measured.rejected += verdict.outcome == audit::Outcome::kReject;
    if (verdict.outcome != audit::Outcome::kAccept) continue;
    measured.one_cell = verdict.one_cell;
    measured.one_column = verdict.one_column;
  }
  return measured;
}

void expect_rate(int found, double p, int rounds) {
  EXPECT_NEAR(found, p * rounds, 5 * std::sqrt(p * (1 - p) * rounds) + 1e-9);
}

audit::VerifyOptions sampled(const RecordedRun& run, std::int64_t uniform) {
  audit::VerifyOptions options = run.options();
  options.plan = {.uniform = uniform};
  options.data.reset();
  options.model.reset();
  options.exported.reset();
  return options;
}

TEST(Rates, OneBadCell) {
  rows({9});
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  forgery.edit_step(3, [](record::Step& step) { step.loss = std::nextafter(step.loss, 0.0f); });
  const Measured measured = measure(sampled(forgery.seal(), 3), kVerdicts);
  EXPECT_NEAR(measured.one_cell, 3.0 / 9, 1e-12);
  expect_rate(measured.rejected, measured.one_cell, kVerdicts);
}

TEST(Rates, OneBadColumn) {
  rows({9});
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  for (std::int64_t t = 0; t < 6; ++t)
    forgery.edit_step(t, [](record::Step& step) { step.loss = std::nextafter(step.loss, 0.0f); });
  audit::VerifyOptions options = sampled(forgery.seal(), 2);
  const Measured measured = measure(options, kVerdicts);
  EXPECT_NEAR(measured.one_column, audit::detection_probability(9, 3, 2), 1e-12);
  expect_rate(measured.rejected, measured.one_column, kVerdicts);
  // One cell of the objective is enough against a lie in all of them.
  options.plan = {.objective = 1};
  EXPECT_EQ(measure(options, 10).rejected, 10);
}

// Exactly the forged cells of a run of 136 are rejected when all are looked at. So a challenge finds the
// forgery if it draws one of them: over 20,000 seeds as often as the hypergeometric says, within three
// standard errors.
TEST(Rates, BadCellsOf136) {
  rows({9});
  for (const int bad : {1, 2, 4, 16}) {
    Forgery forgery(fresh_copy({.tied = false, .store_boundaries = true, .steps = 34, .steps_per_block = 1}));
    const record::Grid grid = forgery.grid();
    ASSERT_EQ(grid.cells(), 136);
    for (int i = 0; i < bad; ++i)
      forgery.edit_step(2 * i + 1, [](record::Step& step) { step.loss = std::nextafter(step.loss, 0.0f); });
    const RecordedRun run = forgery.seal();
    audit::VerifyOptions options = sampled(run, 136);
    options.seed = {1};
    const audit::Verdict whole = audit::verify(options);
    std::set<audit::Cell> rejected;
    for (const audit::CellVerdict& v : whole.sampled)
      if (v.result != audit::CellResult::kChecked) rejected.insert(v.cell);
    ASSERT_EQ(std::ssize(rejected), bad) << describe(whole);
    audit::Challenge challenge;
    challenge.note = read_file(trace::Layout{run.trace()}.checkpoint(), 1 << 16);
    for (const double rate : {0.05, 0.1, 0.2, 0.3}) {
      challenge.plan.uniform = std::lround(rate * 136);
      int found = 0;
      for (int i = 0; i < kDraws; ++i) {
        challenge.seed = hash::blake3(cat("rate ", i)).bytes;
        const auto cells = audit::draw_cells(challenge, grid);
        found += std::any_of(cells.begin(), cells.end(),
                             [&](const audit::Cell& cell) { return rejected.count(cell) != 0; });
      }
      const double p = audit::detection_probability(136, bad, challenge.plan.uniform);
      EXPECT_NEAR(found / double{kDraws}, p, 3 * std::sqrt(p * (1 - p) / kDraws))
          << bad << " bad, " << challenge.plan.uniform << " drawn";
    }
  }
}

}  // namespace
}  // namespace aftune::attacks
