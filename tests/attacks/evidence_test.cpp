// What the provider, or whoever carries the file, can do to the answer to a challenge.
#include <gtest/gtest.h>

#include <random>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/opening.h"
#include "base/error.h"
#include "hash/merkle.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using By = ForgedAnswer::By;

constexpr audit::Plan kSample{.uniform = 3, .inputs = 1, .objective = 1, .ends = 1};

Json cells_of(const audit::Verdict& verdict) {
  return to_json(verdict)["sampled"];
}

TEST(Evidence, HasTheVerdictOfTheTrace) {
  for (const bool tied : {true, false})
    for (const bool boundaries : {true, false})
      for (const std::int64_t interval : {0, 1, 2, 8}) {
        const RecordedRun run = fresh_copy({.tied = tied,
                                            .store_boundaries = boundaries,
                                            .packing = interval == 1,
                                            .snapshot_interval = interval,
                                            .steps = 9});
        const audit::Challenge challenge = challenge_of(run, kSample);
        audit::VerifyOptions at_hand = run.options();
        at_hand.challenge = challenge;
        const audit::Verdict expected = audit::verify(at_hand);
        const audit::Verdict found = audit::verify(options_for(open_evidence(run, challenge), challenge));
        EXPECT_EQ(found.outcome, Outcome::kAccept) << describe(found);
        EXPECT_EQ(cells_of(found), cells_of(expected));
        EXPECT_EQ(found.confidence, expected.confidence);
        for (const audit::CellVerdict& cell : found.sampled) EXPECT_TRUE(cell.replay.has_value());
      }
}

TEST(Evidence, OfEveryKindOfBaseIsAccepted) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    const RecordedRun run = fresh_copy({.init = false, .base_dtype = dtype});
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    audit::VerifyOptions options = options_for(open_evidence(run, challenge, true), challenge);
    EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept);
    // With what the client holds.
    options.data = run.data();
    options.model = run.model();
    options.exported = run.out();
    const audit::Verdict verdict = audit::verify(options);
    EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
    EXPECT_FALSE(leaves_open(verdict, "unopened-leaves:")) << describe(verdict);
  }
}

TEST(Evidence, SaysWhatOfTheLogWasNotOpened) {
  const RecordedRun run = fresh_copy({.steps = 9});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  EXPECT_TRUE(leaves_open(audit::verify(options), "unopened-leaves:"));
  options.log = trace::Layout{run.trace()}.log();
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
  EXPECT_FALSE(leaves_open(verdict, "unopened-leaves:"));
}

// The file is anybody's until its root is the signed one: it must not frame the provider.
TEST(Evidence, ALogBesideItThatIsNotTheSealedOne) {
  rows({1, 10});
  const RecordedRun run = fresh_copy({.steps = 9}), other = fresh_copy({.steps = 9, .seed = 8});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  const fs::path evidence = open_evidence(run, challenge, true);
  const std::string log = read_file(trace::Layout{run.trace()}.log(), 1 << 24);
  const fs::path given = run.root / "given.jsonl";
  const auto verdict_with = [&](const std::string& text) {
    write_file(given, text);
    audit::VerifyOptions options = options_for(evidence, challenge);
    options.log = given;
    return audit::verify(options);
  };
  EXPECT_EQ(verdict_with(log).outcome, Outcome::kAccept);
  expect_only(verdict_with(read_file(trace::Layout{other.trace()}.log(), 1 << 24)), Code::kUnattributed,
              "log");
  expect_only(verdict_with(log + log.substr(0, log.find('\n') + 1)), Code::kUnattributed, "log");
  expect_only(verdict_with(log.substr(0, log.size() - 1)), Code::kUnattributed, "log");
  expect_only(verdict_with(""), Code::kUnattributed, "log");
  expect_only(verdict_with("\n" + log), Code::kUnattributed, "log");
  audit::VerifyOptions options = options_for(evidence, challenge);
  options.log = run.root / "absent";
  EXPECT_THROW(audit::verify(options), Error);
}

TEST(Evidence, SomeOfItsCellsAreNotAllOfThem) {
  rows({10, 42});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 4});
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  options.only = {1, 3};
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, Outcome::kIncomplete);
  EXPECT_EQ(verdict.checked, 2);
  EXPECT_EQ(verdict.sampled.size(), 2u);
  options.only = {4};
  EXPECT_THROW(audit::verify(options), Error);
}

// A campaign: each worker checks some of the cells, and what they found together is the verdict.
TEST(Evidence, PartsMakeTheVerdictOfTheWhole) {
  rows({42});
  for (const bool honest : {true, false}) {
    RecordedRun run = fresh_copy({.store_boundaries = true, .steps = 9});
    if (!honest) {
      Forgery forgery(run);
      forgery.edit_step(3, [](record::Step& step) { step.gradients[0].bytes[0] ^= 1; });
      run = forgery.seal();
    }
    const audit::Challenge challenge = challenge_of(run, honest ? kSample : audit::Plan{.all = true});
    const bool by_hand = !honest;  // an honest program opens nothing that the log contradicts
    audit::VerifyOptions options =
        by_hand ? run.options() : options_for(open_evidence(run, challenge), challenge);
    options.challenge = challenge;
    const audit::Verdict whole = audit::verify(options);
    EXPECT_EQ(whole.outcome == Outcome::kAccept, honest) << describe(whole);
    std::vector<audit::Verdict> parts;
    for (std::int64_t i = 0; i < whole.asked; i += 2) {
      audit::VerifyOptions some = options;
      some.only = i + 1 < whole.asked ? std::vector<std::int64_t>{i, i + 1} : std::vector<std::int64_t>{i};
      parts.push_back(audit::verdict_from_json(to_json(audit::verify(some))));
    }
    options.parts = parts;
    EXPECT_EQ(to_json(audit::verify(options)), to_json(whole));
    options.parts.pop_back();
    EXPECT_NE(audit::verify(options).outcome, Outcome::kAccept);
    // Of another audit, or with a cell that came out otherwise.
    options.parts = parts;
    options.parts[0].bound["challenge"] = std::string(64, '0');
    EXPECT_THROW(audit::verify(options), Error);
    options.parts = parts;
    options.parts.push_back(parts[0]);
    options.parts.back().sampled[0].replay = Digest{};
    EXPECT_THROW(audit::verify(options), Error);
  }
}

// Cells of a sparse trace are made again; what that took is what is said.
TEST(Evidence, StatesWhatMakingItTook) {
  const RecordedRun run = fresh_copy({.snapshot_interval = 8, .steps = 9});
  for (int seed = 1; seed <= 5; ++seed) {
    const audit::Challenge challenge = challenge_of(run, {.uniform = 1}, seed);
    const fs::path file = new_path("-cost.h5");
    const audit::Opened opened =
        audit::open({.trace = run.trace(), .challenge = challenge, .out = file, .quiet = true});
    ASSERT_EQ(opened.cells.size(), 1u);
    const std::int64_t s = opened.cells[0].step_block;
    EXPECT_EQ(opened.cost.replayed_steps, std::min<std::int64_t>(9, 2 * (s + 1)));  // from state 0
    std::uint64_t tensors = 0, ints = 0;
    for (const auto& [path, d] : ForgedAnswer(file).datasets)
      (d.dtype == DType::kI32 ? ints : tensors) += d.bytes.size();
    EXPECT_EQ(opened.cost.stored_bytes, s == 0 ? ints + opened.cost.stored_bytes - ints : ints);
    EXPECT_EQ(opened.cost.stored_bytes + opened.cost.recreated_bytes, tensors + ints);
  }
}

// Row 10: tensors of the sampled cells and nothing else.
TEST(Evidence, HoldsNothingButTheChallengedCells) {
  rows({10});
  const RecordedRun run = fresh_copy({.steps = 9});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 1}, 3);
  const ForgedAnswer answer(open_evidence(run, challenge));
  ASSERT_EQ(answer.index.cells.size(), 1u);
  const audit::Cell cell = answer.index.cells[0];
  for (const auto& [path, d] : answer.datasets) {
    const bool state = path.starts_with(cat("/state/", cell.step_block, "/"));
    const bool step = path.starts_with(cat("/steps/", 2 * cell.step_block, "/")) ||
                      path.starts_with(cat("/steps/", 2 * cell.step_block + 1, "/"));
    EXPECT_TRUE(state || step) << path;
    const bool text = path.ends_with("/tokens") || path.ends_with("/labels");
    EXPECT_TRUE(cell.block == 0 || !text) << path;
  }
}

// Row 10: some tensors left out.
TEST(Evidence, WithoutATensorIsIncomplete) {
  rows({10, 24});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2});
  const ForgedAnswer honest(open_evidence(run, challenge));
  for (const auto& [path, d] : honest.datasets) {
    ForgedAnswer forged = honest;
    forged.datasets.erase(path);
    expect_only(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kAbsent, path);
  }
  for (const audit::OpenedLeaf& leaf : honest.index.leaves) {
    ForgedAnswer forged = honest;
    std::erase_if(forged.index.leaves, [&](const audit::OpenedLeaf& l) { return l.index == leaf.index; });
    expect_only(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kAbsent);
  }
}

// Row 10: damage is held against the provider if it signed it, and against nobody else.
TEST(Evidence, DamagedIsTheProvidersIfItSignedIt) {
  rows({10});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2});
  const ForgedAnswer honest(open_evidence(run, challenge, true));
  std::mt19937 random(1);
  for (const auto& [path, d] : honest.datasets) {
    ForgedAnswer forged = honest;
    forged.flip(path, random());
    const audit::Verdict by_provider = audit::verify(options_for(forged.write(By::kProvider), challenge));
    EXPECT_EQ(by_provider.outcome, Outcome::kReject) << path << describe(by_provider);
    expect_among(by_provider, Code::kEvidence, path.starts_with("/state/") ? path.substr(0, 9) : path);
    // The provider's signature does not cover what the courier put there.
    expect_only(audit::verify(options_for(forged.write(By::kCourier), challenge)), Code::kUnattributed);
  }
}

// The same bytes under another shape or type are another tensor.
TEST(Evidence, BytesReinterpretedAreNotTheTensor) {
  rows({5});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const ForgedAnswer honest(open_evidence(run, challenge));
  const std::string name = "/state/0/model.layers.0.mlp.up_proj.weight";
  for (const bool shape : {true, false}) {
    ForgedAnswer forged = honest;
    ForgedAnswer::Dataset& d = forged.datasets.at(name);
    if (shape)
      std::swap(d.shape[0], d.shape[1]);
    else
      d.dtype = DType::kI32;
    expect_among(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kFormat, name);
  }
}

// A node of the tree is no leaf, whatever its bytes are taken for.
TEST(Evidence, ANodeIsNotALeaf) {
  rows({5});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2});
  ForgedAnswer forged(open_evidence(run, challenge));
  // What lies one level up has a right proof of its own: the leaf's without its first hash.
  audit::OpenedLeaf& leaf = forged.index.leaves[1];
  leaf.text = cat(to_hex(hash::leaf_hash(leaf.text)), to_hex(leaf.proof[0]));
  leaf.proof.erase(leaf.proof.begin());
  expect_only(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kEvidence,
              "evidence log line");
  const Digest left = hash::leaf_hash("a"), right = hash::leaf_hash("b");
  const Digest root = hash::node_hash(left, right);
  EXPECT_FALSE(hash::verify_inclusion(root, 0, 2, {}, root));
  EXPECT_FALSE(
      hash::verify_inclusion(hash::leaf_hash(as_text(std::as_bytes(std::span(left.bytes)))), 0, 1, {}, left));
}

TEST(Evidence, LeavesMustBeProvedWhereTheyStand) {
  rows({4, 10});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2});
  const ForgedAnswer honest(open_evidence(run, challenge));
  const auto expect_found = [&](const char* what,
                                const std::function<void(std::vector<audit::OpenedLeaf>&)>& lie) {
    ForgedAnswer forged = honest;
    lie(forged.index.leaves);
    const audit::Verdict signed_lie = audit::verify(options_for(forged.write(By::kProvider), challenge));
    EXPECT_EQ(signed_lie.outcome, Outcome::kReject) << what;
    for (const audit::Reason& r : signed_lie.reasons)
      EXPECT_EQ(r.code, Code::kEvidence) << what << describe(signed_lie);
    expect_only(audit::verify(options_for(forged.write(By::kCourier), challenge)), Code::kUnattributed);
  };
  expect_found("a loss", [](auto& leaves) {
    std::string& text = leaves[3].text;
    text[text.find("\"loss\":\"") + 8] ^= 1;
  });
  expect_found("a proof", [](auto& leaves) { leaves[2].proof[0].bytes[5] ^= 1; });
  expect_found("a proof too short", [](auto& leaves) { leaves[2].proof.pop_back(); });
  expect_found("a proof too long", [](auto& leaves) { leaves[2].proof.emplace_back(); });
  expect_found("one leaf for another", [](auto& leaves) { std::swap(leaves[2].text, leaves[3].text); });
  expect_found("with its proof", [](auto& leaves) {
    std::swap(leaves[2].text, leaves[3].text);
    std::swap(leaves[2].proof, leaves[3].proof);
  });
  expect_found("beyond the log", [](auto& leaves) { leaves.back().index += 1000; });
}

// Row 10: evidence for other cells than asked, of another run, of another checkpoint.
TEST(Evidence, OfSomethingElseIsNoAnswer) {
  rows({10});
  const RecordedRun run = fresh_copy({}), other = fresh_copy({.seed = 8});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2}, 1);
  const audit::Challenge other_cells = challenge_of(run, {.uniform = 2}, 2);
  expect_only(audit::verify(options_for(open_evidence(run, other_cells, true), challenge)), Code::kAbsent);
  const auto another = audit::verify(
      options_for(open_evidence(other, challenge_of(other, {.uniform = 2}, 1), true), challenge));
  // Both runs have one id here, so that this is two histories of one run.
  expect_only(another, Code::kEquivocation, "evidence note");
}

// Rows 16 and 25 from evidence: the forged step block is opened from what is stored, and replayed.
TEST(Evidence, OfAForgedStateIsRejected) {
  rows({16, 25});
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  forgery.edit_floats(2, "/state/" + name, [](std::span<float> w) { w[7] += 1e-3f; });
  forgery.rehash_state(2);
  const RecordedRun run = forgery.seal();
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const audit::Verdict verdict = audit::verify(options_for(open_evidence(run, challenge, true), challenge));
  EXPECT_EQ(verdict.outcome, Outcome::kReject);
  expect_among(verdict, Code::kUpdate, "cell 1,1");
  for (const audit::CellVerdict& cell : verdict.sampled) {
    // The next one begins with the forged state.
    const bool wrong = cell.cell == audit::Cell{1, 1} || cell.cell == audit::Cell{1, 2};
    EXPECT_EQ(cell.result, wrong ? audit::CellResult::kRejected : audit::CellResult::kChecked);
  }
}

// An honest program hands out nothing that the log contradicts.
TEST(Evidence, IsNotMadeOfATraceThatContradictsItself) {
  for (const bool boundaries : {true, false}) {
    Forgery forgery(fresh_copy({.store_boundaries = boundaries, .snapshot_interval = 1}));
    forgery.edit_floats(1, "/state/model.norm.weight", [](std::span<float> w) { w[0] += 1; });
    const RecordedRun run = forgery.seal();
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    const fs::path file = new_path("-contradicts.h5");
    EXPECT_THROW(audit::open({.trace = run.trace(), .challenge = challenge, .out = file, .quiet = true}),
                 Error);
    EXPECT_FALSE(fs::exists(file));
  }
}

TEST(Evidence, AnyBitOfTheFileIsFound) {
  rows({36});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 2});
  const fs::path file = open_evidence(run, challenge, true);
  std::mt19937_64 random(7);
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t bit = random() % (8 * fs::file_size(file));
    flip_bit(file, bit);
    expect_only(audit::verify(options_for(file, challenge)), Code::kUnattributed);
    flip_bit(file, bit);
  }
  fs::resize_file(file, fs::file_size(file) - 1);
  expect_only(audit::verify(options_for(file, challenge)), Code::kUnattributed);
}

// Row 8 and 36: sizes that only the manifest claims, in a log of which nobody shows more.
TEST(Evidence, ClaimedSizesTakeNeitherTimeNorMemory) {
  rows({8, 36});
  const RecordedRun run = fresh_copy({});
  Forgery forgery(run);
  forgery.edit_manifest([](record::Manifest& m) {
    m.recipe.steps = std::int64_t{1} << 40;
    m.grid.steps_per_block = std::int64_t{1} << 20;
  });
  const std::string manifest = forgery.leaves()[0];
  const record::Grid grid = record::parse_manifest(manifest).grid;
  // A tree of 2^40 leaves whose first is the manifest: any hashes prove it, and the provider signs the root.
  const auto size = static_cast<std::uint64_t>(grid.log_size());
  std::vector<Digest> proof;
  Digest root = hash::leaf_hash(manifest);
  for (std::uint64_t last = size - 1; last > 0; last >>= 1) {
    proof.emplace_back();
    root = hash::node_hash(root, proof.back());
  }
  ASSERT_TRUE(hash::verify_inclusion(hash::leaf_hash(manifest), 0, size, proof, root));
  const std::string origin =
      seal::Checkpoint::parse(seal::Note::parse(challenge_of(run, {}).note).text).origin;
  audit::Challenge challenge = challenge_of(run, {.all = true});
  ForgedAnswer forged(open_evidence(run, challenge));
  challenge.note = forged.index.note = seal::sign_checkpoint({origin, size, root}, provider_key()).to_text();
  forged.index.leaves = {{0, manifest, proof}};
  expect_only(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kAbsent);
}

}  // namespace
}  // namespace aftune::attacks
