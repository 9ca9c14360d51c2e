#include "audit/challenge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "audit/former_verdict.h"
#include "audit/verdict.h"
#include "base/error.h"
#include "base/files.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

constexpr char kNote[] =
    "audit.example/acme/00\n7\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n"
    "\xE2\x80\x94 audit.example/acme "
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

Json read_vectors(const std::string& name) {
  return parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors" / name, 1 << 24));
}

record::Grid grid_of(const Json& json) {
  return {.layers = json["layers"],
          .tied = json["tied"],
          .layers_per_block = json["layers_per_block"],
          .steps = json["steps"],
          .steps_per_block = json["steps_per_block"]};
}

Challenge sample() {
  Challenge challenge;
  challenge.note = kNote;
  challenge.seed[0] = 1;
  challenge.plan.uniform = 3;
  return challenge;
}

std::string error_of(const std::string& text) {
  try {
    parse_challenge(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "accepted";
}

TEST(Challenge, DrawsTheVectors) {
  const Json vectors = read_vectors("draw/draw.json");
  ASSERT_GT(vectors.size(), 100u);
  for (const Json& v : vectors) {
    Challenge challenge;
    challenge.note = v["note"];
    challenge.seed = digest_from_hex(v["seed"].get<std::string>()).bytes;
    challenge.plan = plan_from_json(v["plan"]);
    if (v.contains("must")) challenge.must = cells_from_json(v["must"]);
    if (v.contains("beacon")) {
      challenge.beacon = Beacon{v["beacon"]["round"], v["beacon"]["value"]};
      EXPECT_EQ(challenge.seed, beacon_seed(*challenge.beacon));
      challenge.seed_kind = "beacon";
    }
    EXPECT_EQ(cells_json(draw_cells(challenge, grid_of(v["grid"]))), v["cells"]) << v["grid"] << v["plan"];
    EXPECT_EQ(to_text(parse_challenge(to_text(challenge))), to_text(challenge));
  }
}

TEST(Challenge, IsReadBackAsWritten) {
  const std::string text = to_text(sample());
  const Challenge back = parse_challenge(text);
  EXPECT_EQ(to_text(back), text);
  EXPECT_EQ(back.note, kNote);
  EXPECT_EQ(back.plan, sample().plan);
}

TEST(Challenge, RefusesWhatNoOneDrew) {
  const Json good = parse_json(to_text(sample()));
  const auto with = [&](const std::string& key, const Json& value) {
    Json changed = good;
    changed[key] = value;
    return error_of(changed.dump());
  };
  EXPECT_EQ(with("seed", std::string(64, '0')), "challenge: \"seed\" is all zeros, which no one drew");
  EXPECT_NE(with("seed", "").find("\"seed\""), std::string::npos);
  EXPECT_NE(with("seed_kind", "lucky").find("\"seed_kind\" is \"lucky\""), std::string::npos);
  EXPECT_NE(with("type", "aftune-challenge/2").find("\"type\""), std::string::npos);
  EXPECT_EQ(with("plan", to_json(Plan{})), "plan: draws no cell");
  EXPECT_NE(with("cells", Json::array()).find("\"cells\" is not a known member"), std::string::npos);
  Json negative = to_json(sample().plan);
  negative["uniform"] = -1;
  EXPECT_NE(with("plan", negative).find("\"uniform\""), std::string::npos);
  EXPECT_NE(error_of(std::string(1000, '[')), "accepted");
}

TEST(Challenge, ReadsABeaconsRoundOnlyWithItsKind) {
  const std::string value(32, '7');
  Challenge challenge = sample();
  challenge.seed_kind = "beacon";
  challenge.beacon = Beacon{42, value};
  const Json good = parse_json(to_text(challenge));
  EXPECT_EQ(parse_challenge(good.dump()).beacon, challenge.beacon);
  const auto with = [&](const std::string& key, const Json& member) {
    Json changed = good;
    changed["beacon"][key] = member;
    return error_of(changed.dump());
  };
  EXPECT_EQ(with("value", std::string(30, '7')), "beacon: \"value\" has 15 bytes, fewer than 16");
  EXPECT_EQ(with("value", std::string(32, '0')), "beacon: \"value\" is all zeros, which no beacon drew");
  EXPECT_NE(with("value", std::string(32, 'x')).find("\"value\""), std::string::npos);
  EXPECT_NE(with("value", std::string(258, '7')).find("\"value\""), std::string::npos);
  EXPECT_NE(with("round", -1).find("\"round\""), std::string::npos);
  EXPECT_NE(with("source", "drand").find("\"source\" is not a known member"), std::string::npos);
  Json none = good;
  none.erase("beacon");
  EXPECT_NE(error_of(none.dump()).find("\"beacon\" is missing"), std::string::npos);
  Json other = good;
  other["seed_kind"] = "fresh";
  EXPECT_NE(error_of(other.dump()).find("\"beacon\" is not a known member"), std::string::npos);
}

TEST(Challenge, ListsTheCellsItMustHaveInOneWay) {
  const Json good = parse_json(to_text(sample()));
  const auto with = [&](const char* must) {
    Json changed = good;
    changed["must"] = parse_json(must);
    return error_of(changed.dump());
  };
  EXPECT_EQ(with("[[0,1],[2,0]]"), "accepted");
  for (const char* twice : {"[[2,0],[0,1]]", "[[0,1],[0,1]]"})
    EXPECT_EQ(with(twice), "challenge: \"must\" is not sorted, or names a cell twice");
  for (const char* odd : {"[[0]]", "[[0,1,2]]", "[[-1,0]]", "[[0,0.5]]", "[[4294967296,0]]", "[{}]"})
    EXPECT_EQ(with(odd), "challenge: \"must\": not a pair of layer block and step block") << odd;
  Json none = good;
  none.erase("must");
  EXPECT_NE(error_of(none.dump()).find("\"must\" is missing"), std::string::npos);
  Json many = good;
  for (int i = 0; i <= 1 << 14; ++i) many["must"].push_back({0, i});
  EXPECT_NE(error_of(many.dump()).find("more than 16384"), std::string::npos);
}

TEST(Challenge, AsksForNoCellThatTheRunDoesNotHave) {
  const record::Grid grid{
      .layers = 6, .tied = false, .layers_per_block = 1, .steps = 5, .steps_per_block = 1};
  Challenge challenge = sample();
  for (const Cell& cell : {Cell{8, 0}, Cell{0, 5}}) {
    challenge.must = {cell};
    try {
      draw_cells(challenge, grid);
      ADD_FAILURE() << cell.block;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage);
    }
  }
}

TEST(UnansweredIn, ReadsTheCellsOfAVerdictOnTheRun) {
  Verdict verdict;
  verdict.origin = "a.example/k/00";
  verdict.sampled = {{{2, 1}, CellResult::kUnanswered, {}},
                     {{0, 3}, CellResult::kChecked, {}},
                     {{1, 0}, CellResult::kRejected, {}},
                     {{0, 4}, CellResult::kUnanswered, {}}};
  const std::string text = to_json(verdict).dump();
  EXPECT_EQ(unanswered_in(text, "a.example/k/00"), (std::vector<Cell>{{0, 4}, {2, 1}}));
  for (const std::string& bad :
       {text, std::string("{}"), std::string("[]"), std::string("nonsense"),
        std::string(R"({"verdict":"ACCEPT","origin":"b","coverage":{}})"),
        std::string(R"({"verdict":"ACCEPT","origin":"b","coverage":{"unanswered":[1]}})")})
    try {
      unanswered_in(bad, "b");
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage);
    }
}

// 40 cells, 10 drawn, over many seeds: each cell must come up equally often. The statistic has 39 degrees of
// freedom, scaled for draws without replacement; its 1e-6 quantile is about 97.
TEST(Challenge, DrawIsUnbiased) {
  const record::Grid grid{
      .layers = 6, .tied = false, .layers_per_block = 1, .steps = 5, .steps_per_block = 1};
  ASSERT_EQ(grid.cells(), 40);
  constexpr int kRounds = 20000;
  std::vector<int> seen(40);
  Challenge challenge = sample();
  challenge.plan.uniform = 10;
  const std::uint64_t start = std::random_device{}();
  RecordProperty("seed", std::to_string(start));
  for (int round = 0; round < kRounds; ++round) {
    challenge.seed = hash::blake3(cat("round ", start + static_cast<std::uint64_t>(round))).bytes;
    const auto cells = draw_cells(challenge, grid);
    ASSERT_EQ(cells.size(), 10u);
    for (const Cell& cell : cells) ++seen[static_cast<std::size_t>(cell.step_block * 8 + cell.block)];
  }
  const double expected = kRounds * 10.0 / 40.0;
  double chi = 0;
  for (const int count : seen) chi += (count - expected) * (count - expected) / expected;
  chi *= 39.0 / 30.0;  // variance of one count is n p (1 - p) and the counts sum to a constant
  EXPECT_LT(chi, 97.0) << "start " << start;
  EXPECT_GT(chi, 8.0) << "start " << start;
}

TEST(Challenge, StrataStayInTheirColumnsAndRows) {
  const record::Grid grid{
      .layers = 6, .tied = false, .layers_per_block = 1, .steps = 9, .steps_per_block = 2};
  Challenge challenge = sample();
  challenge.plan = {.inputs = 2};
  for (const Cell& cell : draw_cells(challenge, grid)) EXPECT_EQ(cell.block, 0);
  challenge.plan = {.objective = 2};
  for (const Cell& cell : draw_cells(challenge, grid)) EXPECT_EQ(cell.block, 7);
  challenge.plan = {.ends = 2};
  const auto ends = draw_cells(challenge, grid);
  EXPECT_EQ(ends.size(), 4u);
  for (const Cell& cell : ends) EXPECT_TRUE(cell.step_block == 0 || cell.step_block == 4);
}

TEST(Statistics, AgreeWithExactFractions) {
  const Json vectors = read_vectors("detection/detection.json");
  for (const Json& v : vectors["detection"]) {
    const double found = detection_probability(v[0], v[1], v[2]);
    EXPECT_NEAR(found, v[3].get<double>(), 1e-13) << v;
  }
  for (const Json& v : vectors["sample_size"]) EXPECT_EQ(sample_size(v[0], v[1], v[2]), v[3]) << v;
}

TEST(Statistics, HoldAtTheEdges) {
  EXPECT_EQ(detection_probability(10, 1, 1), 0.1);
  EXPECT_EQ(detection_probability(0, 0, 0), 0);
  EXPECT_EQ(detection_probability(10, 20, 20), 1);
  EXPECT_EQ(detection_probability(10, -1, 5), 0);
  EXPECT_EQ(sample_size(10, 1, 1.0), 10);
  EXPECT_EQ(sample_size(10, 10, 1.0), 1);
  EXPECT_EQ(sample_size(10, 0, 0.5), 10);
  EXPECT_EQ(sample_size(std::int64_t{1} << 50, std::int64_t{1} << 48, 0.99), 17);
}

// The measured rate of hitting a bad cell equals the stated one.
TEST(Statistics, StateTheRateThatIsMeasured) {
  const record::Grid grid{
      .layers = 8, .tied = true, .layers_per_block = 2, .steps = 64, .steps_per_block = 8};
  Challenge challenge = sample();
  challenge.plan = {.uniform = 8};
  constexpr int kRounds = 4000;
  int hits = 0;
  for (int round = 0; round < kRounds; ++round) {
    challenge.seed = hash::blake3(cat("measured ", round)).bytes;
    bool hit = false;
    for (const Cell& cell : draw_cells(challenge, grid)) hit |= cell == Cell{3, 4} || cell == Cell{1, 2};
    hits += hit;
  }
  const double p = detection_probability(grid.cells(), 2, 8);
  EXPECT_NEAR(hits / double{kRounds}, p, 5 * std::sqrt(p * (1 - p) / kRounds));
}

}  // namespace
}  // namespace aftune::audit
