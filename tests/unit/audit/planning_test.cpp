#include "audit/planning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

using Kind = Attacker::Kind;

constexpr record::Grid kGrid{
    .layers = 4, .tied = true, .layers_per_block = 2, .steps = 10, .steps_per_block = 3};  // 3 x 4 cells

Attacker attacker(const char* json) {
  return attacker_from_json(parse_json(json));
}

record::Grid grid_from(const Json& json) {
  return {.layers = json["layers"],
          .tied = json["tied"],
          .layers_per_block = json["layers_per_block"],
          .steps = json["steps"],
          .steps_per_block = json["steps_per_block"]};
}

// tests/vectors/detection/make_planner.py, from scipy's hypergeometric distribution.
TEST(Planner, AgreesWithScipy) {
  const Json table =
      parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/detection/planner.json", 1 << 24));
  ASSERT_GT(table["odds"].size(), 300u);
  for (const Json& v : table["odds"]) {
    const Odds odds =
        odds_of(plan_from_json(v["plan"]), grid_from(v["grid"]), attacker_from_json(v["attacker"]));
    EXPECT_NEAR(odds.detection, v["detection"].get<double>(), 1e-11) << v;
    EXPECT_NEAR(odds.one_cell, v["one_cell"].get<double>(), 1e-11) << v;
    EXPECT_NEAR(odds.one_column, v["one_column"].get<double>(), 1e-11) << v;
    EXPECT_NEAR(odds.inputs_column, v["inputs_column"].get<double>(), 1e-11) << v;
    EXPECT_NEAR(odds.objective_column, v["objective_column"].get<double>(), 1e-11) << v;
  }
  ASSERT_GT(table["plans"].size(), 50u);
  for (const Json& v : table["plans"]) {
    const Plan plan = plan_for(v["confidence"], attacker_from_json(v["attacker"]), {}, grid_from(v["grid"]));
    EXPECT_EQ(to_json(plan), v["plan"]) << v;
  }
}

TEST(PlanFor, IsTheSmallestThatFindsTheAttacker) {
  for (const char* json :
       {R"({"bad_cells":2})", R"({"tampered":0.2})", R"({"skipped_steps":0.3})", R"({"changed_layers":1})"})
    for (const double confidence : {0.1, 0.9, 0.999}) {
      const Damage damage = damage_of(attacker(json), kGrid);
      Plan plan = plan_for(confidence, attacker(json), {.inputs = 0, .objective = 0}, kGrid);
      ASSERT_GT(plan.uniform, 0);
      EXPECT_GE(detection_probability(plan, damage, kGrid), confidence) << json;
      --plan.uniform;
      EXPECT_LT(detection_probability(plan, damage, kGrid), confidence) << json;
    }
}

TEST(PlanFor, SizesBothColumnsForALieThroughout) {
  const Plan plan = plan_for(0.9, attacker(R"({"bad_cells":1})"), {}, kGrid);
  EXPECT_EQ(plan, (Plan{.uniform = 11, .inputs = 1, .objective = 1}));
  const Odds odds = odds_of(plan, kGrid, attacker(R"({"bad_cells":1})"));
  EXPECT_EQ(odds.inputs_column, 1);
  EXPECT_EQ(odds.objective_column, 1);
}

TEST(PlanFor, DrawsAgainstPoisonedRowsFromTheirColumn) {
  const record::Grid grid{
      .layers = 6, .tied = false, .layers_per_block = 1, .steps = 100, .steps_per_block = 1};
  const Plan plan = plan_for(0.95, attacker(R"({"poisoned_rows":0.1})"), {}, grid);
  EXPECT_EQ(plan.uniform, 0);
  EXPECT_EQ(plan.inputs, sample_size(100, 10, 0.95));
  EXPECT_EQ(plan.objective, plan.inputs);
  // What the auditor fixes is kept, and the uniform draw makes up for it.
  const Plan fixed = plan_for(0.95, attacker(R"({"poisoned_rows":0.1})"), {.inputs = 2}, grid);
  EXPECT_EQ(fixed.inputs, 2);
  EXPECT_GT(fixed.uniform, 100);
}

TEST(PlanFor, WithoutAGridIsEnoughForEveryGrid) {
  const Attacker tampered = attacker(R"({"tampered":0.05})");
  const Plan plan = plan_for(0.99, tampered, {}, std::nullopt);
  EXPECT_EQ(plan.uniform, 90);
  for (const std::int64_t steps : {5, 20, 91, 5000, 1000000}) {
    const record::Grid grid{
        .layers = 2, .tied = false, .layers_per_block = 1, .steps = steps, .steps_per_block = 1};
    EXPECT_GE(odds_of(plan, grid, tampered).detection, 0.99) << steps;
    const Attacker poisoned = attacker(R"({"poisoned_rows":0.3})");
    EXPECT_GE(odds_of(plan_for(0.99, poisoned, {}, std::nullopt), grid, poisoned).detection, 0.99) << steps;
  }
  for (const char* json : {R"({"bad_cells":1})", R"({"skipped_steps":0.5})", R"({"changed_layers":3})"})
    EXPECT_THROW(plan_for(0.99, attacker(json), {}, std::nullopt), Error) << json;
  EXPECT_THROW(plan_for(0.99, attacker(R"({"poisoned_rows":0.3})"), {.inputs = 1}, std::nullopt), Error);
  EXPECT_EQ(plan_for(0.99, attacker(R"({"whole_run":true})"), {}, std::nullopt).uniform, 1);
}

TEST(OddsOf, CountsOnlyWhatTheAttackerCannotAvoid) {
  Plan plan{.inputs = 4, .ends = 3};
  EXPECT_EQ(odds_of(plan, kGrid, attacker(R"({"tampered":0.5})")).detection, 0);
  EXPECT_EQ(odds_of(plan, kGrid, attacker(R"({"changed_layers":1})")).detection, 0);
  EXPECT_EQ(odds_of(plan, kGrid, attacker(R"({"whole_run":true})")).detection, 1);
  EXPECT_EQ(odds_of({.ends = 1}, kGrid, attacker(R"({"whole_run":true})")).detection, 1);
  plan.uniform = 6;
  const Odds odds = odds_of(plan, kGrid, {});
  EXPECT_EQ(odds.total, 12);
  EXPECT_EQ(odds.bad, 1);
  EXPECT_EQ(odds.one_cell, 0.5);
  EXPECT_EQ(odds.one_column, detection_probability(12, 4, 6));
  EXPECT_EQ(odds.inputs_column, 1);
  EXPECT_EQ(odds_of({.all = true}, kGrid, {}).detection, 1);
}

// Tied embeddings: what is drawn for the objective also finds other rows.
TEST(OddsOf, TiedEndsShareAColumn) {
  const Plan plan{.objective = 1};
  const Attacker poisoned = attacker(R"({"poisoned_rows":0.5})");
  EXPECT_EQ(odds_of(plan, kGrid, poisoned).detection, 0.5);
  record::Grid untied = kGrid;
  untied.tied = false;
  EXPECT_EQ(odds_of(plan, untied, poisoned).detection, 0);
}

TEST(DamageOf, IsTheLeastThatTheAttackerCanDo) {
  // 64 steps in blocks of 8 and one step more: the short last block counts as one.
  const record::Grid grid{
      .layers = 7, .tied = false, .layers_per_block = 3, .steps = 65, .steps_per_block = 8};  // 5 x 9
  const auto cells = [&](const char* json) { return damage_of(attacker(json), grid).cells; };
  EXPECT_EQ(cells(R"({"bad_cells":4})"), 4);
  EXPECT_EQ(cells(R"({"bad_cells":400})"), 45);
  EXPECT_EQ(cells(R"({"tampered":0.05})"), 3);
  EXPECT_EQ(cells(R"({"skipped_steps":0.125})"), 2 * 5);  // nine steps do not fit in one block
  EXPECT_EQ(cells(R"({"skipped_steps":0.12})"), 5);       // eight do
  EXPECT_EQ(cells(R"({"poisoned_rows":0.2})"), 2);
  EXPECT_EQ(cells(R"({"changed_layers":3})"), 9);
  EXPECT_EQ(cells(R"({"changed_layers":4})"), 18);
  EXPECT_EQ(cells(R"({"changed_layers":99})"), 27);
  EXPECT_EQ(cells(R"({"whole_run":true})"), 45);
  // 0.07 * 100 is above 7 in floating point; eight bad cells would be easier to find than seven.
  const record::Grid hundred{
      .layers = 2, .tied = false, .layers_per_block = 1, .steps = 25, .steps_per_block = 1};
  EXPECT_EQ(damage_of(attacker(R"({"tampered":0.07})"), hundred).cells, 7);
}

TEST(Attacker, IsReadBackAsWritten) {
  for (const char* json : {R"({"bad_cells":4})", R"({"tampered":0.05})", R"({"skipped_steps":1})",
                           R"({"poisoned_rows":0.5})", R"({"changed_layers":2})", R"({"whole_run":true})"})
    EXPECT_EQ(to_json(attacker(json)), parse_json(json));
}

TEST(Attacker, IsStrict) {
  for (const char* json : {"{}", "[]", R"({"tampered":0})", R"({"tampered":1.1})", R"({"tampered":"0.5"})",
                           R"({"bad_cells":0})", R"({"bad_cells":1.5})", R"({"whole_run":false})",
                           R"({"lucky":1})", R"({"bad_cells":1,"tampered":0.1})"})
    EXPECT_THROW(attacker(json), Error) << json;
}

TEST(Without, WeakensEveryStreamByWhatIsMissing) {
  const Plan plan{.uniform = 6, .inputs = 2, .objective = 1, .ends = 1};
  EXPECT_EQ(without(plan, 0, kGrid), plan);
  EXPECT_EQ(without(plan, 1, kGrid), (Plan{.uniform = 5, .inputs = 1}));
  EXPECT_EQ(without({.all = true}, 2, kGrid), (Plan{.uniform = 10}));
  EXPECT_EQ(without({.uniform = 100}, 2, kGrid), (Plan{.uniform = 10}));
}

// 136 cells, of which some are bad, sampled at four rates over 2,000 seeds: what is found is what the
// hypergeometric says, within three standard errors.
TEST(Planner, StatesTheRateThatIsMeasured) {
  const record::Grid grid{
      .layers = 15, .tied = false, .layers_per_block = 1, .steps = 8, .steps_per_block = 1};
  ASSERT_EQ(grid.cells(), 136);
  constexpr int kSeeds = 2000;
  Challenge challenge;
  challenge.note =
      "audit.example/acme/00\n7\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n"
      "\xE2\x80\x94 audit.example/acme "
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
  for (const double rate : {0.05, 0.1, 0.2, 0.3}) {
    challenge.plan.uniform = std::lround(rate * 136);
    std::map<int, int> found;
    for (int i = 0; i < kSeeds; ++i) {
      challenge.seed = hash::blake3(cat("seed ", i)).bytes;
      int first_bad = 136;  // the bad cells are the first ones of a scattered numbering
      for (const Cell& cell : draw_cells(challenge, grid)) {
        const int number = static_cast<int>((cell.step_block * 17 + cell.block) * 29 % 136);
        first_bad = std::min(first_bad, number);
      }
      for (const int bad : {1, 2, 4, 16}) found[bad] += first_bad < bad;
    }
    for (const int bad : {1, 2, 4, 16}) {
      const double p = odds_of(challenge.plan, grid, {.kind = Kind::kBadCells, .count = bad}).detection;
      EXPECT_NEAR(found[bad] / double{kSeeds}, p, 3 * std::sqrt(p * (1 - p) / kSeeds))
          << bad << " bad, " << challenge.plan.uniform << " drawn";
    }
  }
}

}  // namespace
}  // namespace aftune::audit
