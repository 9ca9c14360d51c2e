// Runs with salted digests: honest ones pass, salts that are wrong or missing do not, and equal tensors have
// no equal published values.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/disclosure.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "trace/hiding_key.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using By = ForgedAnswer::By;

const std::string kSecret(64, 'a'), kOther(64, 'b');
constexpr audit::Plan kSample{.uniform = 3, .inputs = 1, .objective = 1, .ends = 1};

RunShape hidden_shape() {
  RunShape shape;
  shape.secret = kSecret;
  return shape;
}

audit::Policy policy(const std::string& members) {
  return audit::parse_policy(R"({"version":1,)" + members + "}");
}

// What the leaves publish about tensors that are not the base's: of steps, states from 1 on, and final.
std::vector<Digest> published_by(const RecordedRun& run) {
  const trace::Log log = trace::Log::read(trace::Layout{run.trace()}.log());
  audit::LogView view(log.leaves);
  view.parse_manifest();
  view.parse_config();
  std::vector<Digest> list;
  const auto add = [&](const std::vector<Digest>& digests) {
    list.insert(list.end(), digests.begin(), digests.end());
  };
  for (const std::int64_t t : view.steps()) {
    const record::Step step = view.step(t);
    add({step.layout, step.token_ids, step.labels});
    add(step.activations);
    add(step.gradients);
  }
  for (const std::int64_t s : view.states())
    if (s > 0) add(view.state(s).blocks);
  const record::Final final = view.final();
  add(final.exported.digests);
  add(final.moments);
  add({final.files.at("model.safetensors"), view.manifest().data_root});
  return list;
}

std::size_t repeated(std::vector<Digest> digests) {
  const std::size_t all = digests.size();
  return all - std::set<Digest>(digests.begin(), digests.end()).size();
}

TEST(Hiding, HonestRunsOfEveryShapeAreAccepted) {
  for (const bool tied : {true, false})
    for (const bool boundaries : {true, false})
      for (const std::int64_t interval : {1, 2}) {
        RunShape shape = hidden_shape();
        shape.tied = tied;
        shape.store_boundaries = boundaries;
        shape.snapshot_interval = interval;
        shape.packing = interval == 2;
        shape.evaluate = tied;
        shape.steps = 5;
        const RecordedRun run = fresh_copy(shape);
        const audit::Verdict at_hand = audit::verify(run.options());
        EXPECT_EQ(at_hand.outcome, Outcome::kAccept) << describe(at_hand);
        EXPECT_EQ(at_hand.checked, at_hand.cells);
        EXPECT_FALSE(leaves_open(at_hand, "hidden:"));

        const audit::Challenge challenge = challenge_of(run, kSample);
        const audit::Verdict found = audit::verify(options_for(open_evidence(run, challenge), challenge));
        EXPECT_EQ(found.outcome, Outcome::kAccept) << describe(found);
      }
}

TEST(Hiding, EveryKindOfBaseIsAcceptedWithTheClientsFiles) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    RunShape shape = hidden_shape();
    shape.init = false;
    shape.base_dtype = dtype;
    const RecordedRun run = fresh_copy(shape);
    EXPECT_EQ(audit::verify(run.options()).outcome, Outcome::kAccept);
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    audit::VerifyOptions options = options_for(open_evidence(run, challenge, true, true), challenge);
    options.data = run.data();
    options.model = run.model();
    options.exported = run.out();
    const audit::Verdict verdict = audit::verify(options);
    EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
    EXPECT_GT(verdict.checks.at(audit::Check::kExport).done, 10);
  }
}

TEST(Hiding, APolicyThatAsksForItIsMetByItAlone) {
  const RecordedRun plain = fresh_copy({}), hidden = fresh_copy(hidden_shape());
  for (const bool wanted : {true, false})
    for (const RecordedRun* run : {&plain, &hidden}) {
      audit::VerifyOptions options = run->options();
      options.policy = policy(cat(R"("hiding":)", wanted ? "true" : "false"));
      const audit::Verdict verdict = audit::verify(options);
      if (wanted == (run == &hidden)) {
        EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
      } else {
        expect_only(verdict, Code::kPolicy, "hiding");
      }
    }
}

// Weights that no step changes, moments, rows that come again, and a second run of the same recipe.
TEST(Hiding, EqualTensorsHaveNoEqualPublishedValues) {
  RunShape plain;
  plain.lr = 0;
  plain.data_rows = 2;
  RunShape one = plain, two = plain;
  one.secret = kSecret;
  two.secret = kOther;
  EXPECT_GT(repeated(published_by(fresh_copy(plain))), 5u);  // what there is to be seen
  std::vector<Digest> all = published_by(fresh_copy(one));
  EXPECT_EQ(repeated(all), 0u);
  for (const RunShape& shape : {two, plain})
    for (const Digest& digest : published_by(fresh_copy(shape))) {
      if (!shape.secret.empty()) {
        all.push_back(digest);
      } else {
        EXPECT_EQ(std::count(all.begin(), all.end(), digest), 0);
      }
    }
  EXPECT_EQ(repeated(all), 0u);
  // Nor are the frozen weights those of the base list.
  const trace::Log log = trace::Log::read(trace::Layout{fresh_copy(one).trace()}.log());
  const record::Manifest m = record::parse_manifest(log.leaves[0]);
  for (const Digest& base : m.base.digests) EXPECT_EQ(std::count(all.begin(), all.end(), base), 0);
}

TEST(Hiding, OneSecretGivesOneLog) {
  RunShape stored = hidden_shape();
  stored.store_boundaries = true;
  stored.snapshot_interval = 2;
  EXPECT_EQ(published_by(fresh_copy(stored)), published_by(fresh_copy(hidden_shape())));
}

TEST(Hiding, TheSecretIsItsOwnersAndInNoAnswer) {
  const RecordedRun run = fresh_copy(hidden_shape());
  struct ::stat info {};
  ASSERT_EQ(::stat(trace::Layout{run.trace()}.hiding_key().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  const fs::path evidence = open_evidence(run, challenge_of(run, {.all = true}), false, true);
  const std::string bytes = read_file(evidence, std::uint64_t{1} << 30);
  EXPECT_EQ(bytes.find(kSecret), std::string::npos);
  EXPECT_EQ(bytes.find(as_text(as_bytes(digest_from_hex(kSecret)))), std::string::npos);
}

// A middle block's answer opens nothing about any other block, and no text.
TEST(Hiding, AnAnswerOpensTheSaltsOfItsCellsAndNoOthers) {
  RunShape shape = hidden_shape();
  shape.steps = 9;
  const RecordedRun run = fresh_copy(shape);
  for (int seed = 1; seed <= 8; ++seed) {
    const ForgedAnswer answer(open_evidence(run, challenge_of(run, {.uniform = 1}, seed)));
    const audit::Cell cell = answer.index.cells.at(0);
    EXPECT_GT(answer.index.salts.size(), 4u);
    for (const auto& [name, salt] : answer.index.salts) {
      const std::string role =
          name.substr(name.find('/') + 1, name.find('/', name.find('/') + 1) - name.find('/') - 1);
      const bool own = name.find(cat(role, '/', cell.block, '/')) != std::string::npos;
      const bool state = role == "parameter" || role == "moments",
                 text = role == "tokens" || role == "labels";
      EXPECT_TRUE(!state || own) << name;
      EXPECT_TRUE(!text || cell.block == 0) << name;
      EXPECT_NE(role, "file");
      EXPECT_NE(role, "exported");
    }
  }
}

// Each salt replaced by that of another leaf, role, block or name, by a random one, or left out.
TEST(Hiding, AWrongSaltIsFoundWhateverItIsTakenFrom) {
  RunShape shape = hidden_shape();
  shape.store_boundaries = true;
  const RecordedRun run = fresh_copy(shape);
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2}, 2);
  const ForgedAnswer honest(open_evidence(run, challenge, true));
  const record::SecretSalts salts(digest_from_hex(kSecret));
  std::map<std::string, std::string> one_of_each;  // by role
  for (const auto& [name, salt] : honest.index.salts) {
    const std::size_t at = name.find('/') + 1;
    one_of_each[name.substr(at, name.find('/', at) - at)] = name;
  }
  for (const char* role : {"layout", "activation", "gradient", "parameter", "moments"})
    ASSERT_EQ(one_of_each.count(role), 1u) << role;
  for (const auto& [role, name] : one_of_each) {
    if (role == "data") continue;  // nobody asks without the client's rows: below
    for (const record::SaltName& other :
         {record::SaltName{3, record::Role::kLayout}, record::SaltName{2, record::Role::kTokens},
          record::SaltName{4, record::Role::kMoments, 1},
          record::SaltName{4, record::Role::kParameter, 1, "x"}}) {
      ForgedAnswer forged = honest;
      if (forged.index.salts.at(name) == salts.salt(other)) continue;
      forged.index.salts[name] = salts.salt(other);
      const audit::Verdict by_provider = audit::verify(options_for(forged.write(By::kProvider), challenge));
      EXPECT_EQ(by_provider.outcome, Outcome::kReject) << name << '\n' << describe(by_provider);
      // Whoever carries the file cannot frame the provider with a salt of its own.
      const audit::Verdict by_courier = audit::verify(options_for(forged.write(By::kCourier), challenge));
      expect_only(by_courier, Code::kUnattributed);
      EXPECT_LT(by_courier.checked, by_courier.asked);
      for (const audit::CellVerdict& cell : by_courier.sampled)
        EXPECT_NE(cell.result, audit::CellResult::kRejected) << name;
    }
    ForgedAnswer without = honest;
    without.index.salts.erase(name);
    expect_only(audit::verify(options_for(without.write(By::kProvider), challenge)), Code::kAbsent,
                "evidence salt " + name);
  }
  ForgedAnswer none = honest;
  none.index.salts.clear();
  expect_only(audit::verify(options_for(none.write(By::kProvider), challenge)), Code::kAbsent,
              "evidence salt");
}

TEST(Hiding, SaltsOfAnIndexAreReadStrictly) {
  const RecordedRun run = fresh_copy({});
  audit::EvidenceIndex index = ForgedAnswer(open_evidence(run, challenge_of(run, {.uniform = 1}))).index;
  const std::string plain = to_text(index);
  EXPECT_EQ(plain.find("salts"), std::string::npos);
  index.salts["0/data/0/"] = Digest{};
  EXPECT_EQ(audit::parse_evidence_index(to_text(index)).salts, index.salts);
  index.salts["0/rows/0/"] = Digest{};
  EXPECT_THROW(audit::parse_evidence_index(to_text(index)), Error);
  const std::string before_type = R"(,"type":)";
  std::string empty = plain;
  empty.insert(empty.rfind(before_type), R"(,"salts":{})");
  EXPECT_THROW(audit::parse_evidence_index(empty), Error);
}

TEST(Hiding, TheDataRootIsComparedByItsSaltOnly) {
  const RecordedRun run = fresh_copy(hidden_shape());
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const ForgedAnswer honest(open_evidence(run, challenge, true));
  const auto with = [&](const ForgedAnswer& answer, By liar) {
    audit::VerifyOptions options = options_for(answer.write(liar), challenge);
    options.data = run.data();
    return options;
  };
  EXPECT_EQ(audit::verify(with(honest, By::kProvider)).outcome, Outcome::kAccept);
  ForgedAnswer wrong = honest, without = honest;
  wrong.index.salts["0/data/0/"].bytes[3] ^= 1;
  without.index.salts.erase("0/data/0/");
  expect_only(audit::verify(with(wrong, By::kProvider)), Code::kData, "log line 1");
  expect_only(audit::verify(with(wrong, By::kCourier)), Code::kUnattributed, "log line 1");
  expect_only(audit::verify(with(without, By::kProvider)), Code::kAbsent, "0/data/0/");
  // And by a policy's pin, which asks for rows of the first stage: here of a cell that sees no text.
  audit::Challenge middle = challenge_of(run, {});
  middle.must = {{1, 1}};
  wrong = without = ForgedAnswer(open_evidence(run, middle, true));
  wrong.index.salts["0/data/0/"].bytes[3] ^= 1;
  without.index.salts.erase("0/data/0/");
  for (const auto& [answer, code] : {std::pair{&wrong, Code::kPolicy}, std::pair{&without, Code::kAbsent}}) {
    audit::VerifyOptions options = options_for(answer->write(By::kProvider), middle);
    options.policy = policy(cat(R"("data_root":")", std::string(64, '1'), '"'));
    expect_only(audit::verify(options), code, "data root");
  }
}

// Digests of a run that says it hides, published as they are.
TEST(Hiding, PlainDigestsInAHidingRunAreRejected) {
  for (const bool boundaries : {true, false}) {
    RunShape shape = hidden_shape();
    shape.store_boundaries = boundaries;
    RunShape twin = shape;
    twin.secret.clear();
    const trace::Log plain = trace::Log::read(trace::Layout{fresh_copy(twin).trace()}.log());
    Forgery steps(fresh_copy(shape));
    steps.edit_step(2, [&](record::Step& step) {
      step.activations =
          record::parse_step(plain.leaves[static_cast<std::size_t>(steps.grid().step_leaf(2))], steps.grid())
              .activations;
    });
    expect_among(audit::verify(steps.seal().options()), boundaries ? Code::kEvidence : Code::kForward);
    Forgery states(fresh_copy(shape));
    states.rehash_state(1);
    expect_among(audit::verify(states.seal().options()), Code::kUpdate, "state 1");
    Forgery end(fresh_copy(shape));
    end.rehash_final();
    expect_among(audit::verify(end.seal().options()), Code::kExport);
  }
}

TEST(Hiding, AStepThatWasNotDoneIsRejectedFromTraceAndAnswer) {
  Forgery forgery(fresh_copy(hidden_shape()));
  forgery.edit_floats(1, "/state/model.norm.weight", [](std::span<float> values) { values[0] += 1; });
  const audit::Verdict at_hand = audit::verify(forgery.seal().options());
  EXPECT_EQ(at_hand.outcome, Outcome::kReject) << describe(at_hand);
}

TEST(Hiding, WithoutTheSecretATraceIsIncomplete) {
  const RecordedRun run = fresh_copy(hidden_shape());
  const fs::path key = trace::Layout{run.trace()}.hiding_key();
  fs::remove(key);
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  EXPECT_THROW(open_evidence(run, challenge), Error);
  audit::VerifyOptions options = run.options();
  options.data.reset();
  options.exported.reset();
  const audit::Verdict verdict = audit::verify(options);
  expect_only(verdict, Code::kAbsent, "hiding.key");
  EXPECT_EQ(verdict.checked, 0);

  trace::write_hiding_key(key, digest_from_hex(kOther));
  expect_among(audit::verify(options), Code::kEvidence, "hiding.key");
  EXPECT_THROW(open_evidence(run, challenge), Error);
  write_file(key, "no secret\n");
  expect_among(audit::verify(options), Code::kFormat, "hiding.key");
}

TEST(Hiding, ShippedFilesAreComparedWithSaltsThatWereOpenedForIt) {
  const RecordedRun run = fresh_copy(hidden_shape());
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  options.exported = run.out();
  expect_only(audit::verify(options), Code::kAbsent, "export");
  options.evidence = open_evidence(run, challenge, true, true);
  EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept);
  flip_bit(run.out() / "model.safetensors", 8 * (fs::file_size(run.out() / "model.safetensors") - 1));
  expect_only(audit::verify(options), Code::kExport, "export");
}

TEST(Hiding, WhatAnAnswerDoesNotOpenIsSaid) {
  const RecordedRun run = fresh_copy(hidden_shape());
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1}, 3);
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  options.data = run.data();
  options.model = run.model();
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
  EXPECT_TRUE(leaves_open(verdict, "hidden:")) << describe(verdict);
}

TEST(Disclosure, IsCountedOverTheLifeOfARun) {
  RunShape shape;
  shape.tied = false;
  shape.steps = 4;
  const RecordedRun run = fresh_copy(shape);
  const trace::Layout layout{run.trace()};
  EXPECT_FALSE(audit::disclosure_of_trace(layout).has_value());
  std::set<audit::Cell> cells;
  for (int seed = 1; seed <= 4; ++seed) {
    const ForgedAnswer answer(open_evidence(run, challenge_of(run, {.uniform = 2}, seed)));
    cells.insert(answer.index.cells.begin(), answer.index.cells.end());
    const auto seen = audit::disclosure_of_trace(layout);
    ASSERT_TRUE(seen.has_value());
    EXPECT_EQ(seen->cells, std::ssize(cells));
  }
  // All of it: as many tensors and bytes as one answer over every cell holds.
  const ForgedAnswer whole(open_evidence(run, challenge_of(run, {.all = true})));
  std::uint64_t bytes = 0;
  for (const auto& [path, dataset] : whole.datasets) bytes += dataset.bytes.size();
  const auto all = audit::disclosure_of_trace(layout);
  EXPECT_EQ(all->tensors, std::ssize(whole.datasets));
  EXPECT_EQ(all->bytes, bytes);
  EXPECT_EQ(all->cells, all->of_cells);
  EXPECT_EQ(all->bracketed, 0);
}

// embed 0, layers 1 and 2, head 3.
TEST(Disclosure, CountsACellBetweenOpenedOnes) {
  RunShape shape;
  shape.tied = false;
  const trace::Log log = trace::Log::read(trace::Layout{fresh_copy(shape).trace()}.log());
  audit::LogView view(log.leaves);
  view.parse_manifest();
  view.parse_config();
  const auto seen = [&](const std::set<audit::Cell>& cells) {
    const audit::Disclosure d = audit::disclosure_of(view, {.cells = cells});
    return std::pair(d.bracketed, d.blocks);
  };
  EXPECT_EQ(seen({{0, 0}, {2, 0}}), std::pair(std::int64_t{2}, std::int64_t{4}));  // layer 1, and the head
  EXPECT_EQ(seen({{1, 0}, {3, 1}}), std::pair(std::int64_t{1}, std::int64_t{3}));  // not of one step block
  EXPECT_EQ(seen({{3, 0}}), std::pair(std::int64_t{0}, std::int64_t{1}));
  EXPECT_THROW(audit::disclosure_of(view, {.cells = {{4, 0}}}), Error);
}

TEST(Disclosure, DamageOfItsFileIsNoReasonToBeginAgain) {
  const RecordedRun run = fresh_copy({});
  const fs::path file = trace::Layout{run.trace()}.disclosed();
  for (const char* text : {"", "{}", R"({"cells":[[1,0],[0,0]],"type":"aftune-disclosed/1"})",
                           R"({"cells":[[0]],"type":"aftune-disclosed/1"})"}) {
    write_file(file, text);
    EXPECT_THROW(open_evidence(run, challenge_of(run, {.uniform = 1})), Error) << text;
    EXPECT_EQ(read_file(file, 100), text);
  }
}

}  // namespace
}  // namespace aftune::attacks
