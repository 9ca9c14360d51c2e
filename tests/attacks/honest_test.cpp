// Honest runs are accepted, whatever the shape of run and audit.
#include <gtest/gtest.h>

#include "attacks/expect.h"
#include "attacks/recorded_run.h"

namespace aftune::attacks {
namespace {

TEST(Honest, EveryShapeOfRunIsAccepted) {
  for (const bool tied : {true, false})
    for (const bool boundaries : {true, false})
      for (const std::int64_t interval : {0, 1, 2})
        for (const bool packing : {true, false}) {
          RunShape shape{.tied = tied, .store_boundaries = boundaries, .packing = packing};
          shape.snapshot_interval = interval;
          shape.layers_per_block = packing ? 2 : 1;
          shape.steps = 5;
          shape.numerics = interval == 1 ? "f32" : interval == 2 ? "i14:128" : "i14";
          const auto verdict = audit::verify(fresh_copy(shape).options());
          EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
          EXPECT_EQ(verdict.checked, verdict.cells);
          EXPECT_EQ(verdict.confidence, 1.0);
        }
}

TEST(Honest, EveryKindOfBaseIsAccepted) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    const auto verdict = audit::verify(fresh_copy({.init = false, .base_dtype = dtype}).options());
    EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
    EXPECT_GT(verdict.checks.at(audit::Check::kStateBefore).done, 3);
  }
}

TEST(Honest, EveryCheckIsMade) {
  const auto verdict = audit::verify(fresh_copy({.store_boundaries = true, .evaluate = true}).options());
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  for (int c = 0; c <= static_cast<int>(audit::Check::kExport); ++c) {
    const auto check = static_cast<audit::Check>(c);
    if (check == audit::Check::kPolicy) continue;  // none was given
    EXPECT_GT(verdict.checks.at(check).done, 0) << name(check);
    EXPECT_EQ(verdict.checks.at(check).failed, 0) << name(check);
  }
}

TEST(Honest, SampledCellsAreAccepted) {
  for (const bool boundaries : {true, false})
    for (int seed = 1; seed <= 6; ++seed) {
      auto options = fresh_copy({.store_boundaries = boundaries, .snapshot_interval = 2}).options();
      options.plan = {.uniform = 2, .inputs = 1, .objective = 1, .ends = 1};
      options.seed[0] = static_cast<std::uint8_t>(seed);
      const auto verdict = audit::verify(options);
      EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
      EXPECT_LT(verdict.checked, verdict.cells);
      EXPECT_NEAR(verdict.one_cell, 2.0 / 9, 1e-12);
    }
}

TEST(Honest, TheVerdictDoesNotDependOnThreads) {
  rows({33});
  auto options = fresh_copy({.store_boundaries = true}).options();
  const Json one = to_json(audit::verify(options));
  options.threads = 3;
  EXPECT_EQ(to_json(audit::verify(options)), one);
}

TEST(Honest, WithoutTheClientsFilesTheVerdictSaysWhatItLeavesOpen) {
  rows({42});
  auto options = fresh_copy({}).options();
  options.data.reset();
  options.model.reset();
  options.exported.reset();
  const auto verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  for (const char* item : {"policy:", "data:", "base:", "export:", "other-histories:", "grinding:"})
    EXPECT_TRUE(leaves_open(verdict, item)) << item;
}

}  // namespace
}  // namespace aftune::attacks
