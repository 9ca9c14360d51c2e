// Rows of the client's data that come with the cells: what a provider or a courier can do to them.
#include <gtest/gtest.h>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/disclosure.h"
#include "base/error.h"
#include "data/dataset.h"
#include "data/order.h"
#include "data/rows.h"
#include "hash/merkle.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using By = ForgedAnswer::By;

constexpr audit::Plan kInputs{.inputs = 2};

std::string text_of(std::int64_t row) {
  return audit::evidence_row_dataset(row);
}
std::string proof_of(std::int64_t row) {
  return audit::evidence_row_proof_dataset(row);
}

std::vector<std::int64_t> shown_in(const ForgedAnswer& answer) {
  std::vector<std::int64_t> rows;
  for (const auto& [path, d] : answer.datasets)
    if (path.ends_with("/text")) rows.push_back(*audit::row_of_dataset(path));
  return rows;
}

hash::MerkleTree tree_of(const data::Dataset& dataset) {
  hash::MerkleTree tree;
  for (std::int64_t i = 0; i < dataset.rows(); ++i) tree.append(hash::leaf_hash(dataset.row(i)));
  return tree;
}

// Puts row `from` of a data set, with its proof, where the answer has row `to`.
void put_row(ForgedAnswer& answer, std::int64_t to, const data::Dataset& dataset, std::int64_t from) {
  const std::string row = dataset.row(from);
  const ByteView text = as_bytes(row);
  const hash::MerkleTree tree = tree_of(dataset);
  Bytes proof;
  for (const Digest& hash : tree.inclusion(static_cast<std::uint64_t>(from), tree.size()))
    proof.insert(proof.end(), as_bytes(hash).begin(), as_bytes(hash).end());
  answer.datasets[text_of(to)] = {DType::kU8, {std::ssize(text)}, {text.begin(), text.end()}};
  answer.datasets[proof_of(to)] = {DType::kU8, {std::ssize(proof)}, proof};
}

audit::Policy pinning(const RecordedRun& run) {
  const data::Dataset dataset = data::Dataset::read(run.data());
  return audit::parse_policy(cat(R"({"version":1,"data_root":")", to_hex(dataset.root()), R"("})"));
}

// Damage that the provider signed is REJECT at `where`; the same by a courier is nobody's.
void expect_damage(const ForgedAnswer& forged, const audit::Challenge& challenge, Code code,
                   const std::string& where) {
  const audit::Verdict by_provider = audit::verify(options_for(forged.write(By::kProvider), challenge));
  expect_among(by_provider, code, where);
  expect_only(audit::verify(options_for(forged.write(By::kCourier), challenge)), Code::kUnattributed);
}

TEST(ShownRows, AloneEstablishWhatTheTokensAreOf) {
  for (const bool tied : {true, false})
    for (const bool packing : {true, false})
      for (const char* secret : {"", "a"}) {
        RunShape shape;
        shape.tied = tied;
        shape.packing = packing;
        if (*secret != '\0') shape.secret = std::string(64, *secret);
        const RecordedRun run = fresh_copy(shape);
        const audit::Challenge challenge = challenge_of(run, {.all = true});
        audit::VerifyOptions options = options_for(open_with_rows(run, challenge), challenge);
        options.policy = pinning(run);
        const audit::Verdict verdict = audit::verify(options);
        EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
        EXPECT_FALSE(leaves_open(verdict, "data:")) << describe(verdict);
        // Layout, tokens and labels of every step, and its counts.
        EXPECT_GE(verdict.checks.at(audit::Check::kData).done, 4 * shape.steps);
        // With the client's own as well.
        options.data = run.data();
        options.model = run.model();
        EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept);
      }
}

TEST(ShownRows, AreSaidToBeOfSomeSteps) {
  const RecordedRun run = fresh_copy({.steps = 9});
  const audit::Challenge challenge = challenge_of(run, kInputs);
  const audit::Verdict verdict = audit::verify(options_for(open_with_rows(run, challenge), challenge));
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
  EXPECT_TRUE(leaves_open(verdict, "data: no --data with --model; rows were shown of")) << describe(verdict);
}

TEST(ShownRows, ComeWithNoCellThatSeesNoText) {
  const RecordedRun run = fresh_copy({.tied = false, .steps = 9});
  audit::Challenge challenge = challenge_of(run, {});
  challenge.must = {{1, 2}, {3, 1}};
  const ForgedAnswer answer(open_with_rows(run, challenge));
  EXPECT_TRUE(shown_in(answer).empty());
  EXPECT_EQ(answer.datasets.count(audit::kEvidenceTokenizer), 0u);
}

TEST(ShownRows, PartsMakeTheVerdictOfTheWhole) {
  rows({42});
  const RecordedRun run = fresh_copy({.steps = 9});
  const audit::Challenge challenge = challenge_of(run, {.uniform = 3, .inputs = 2});
  audit::VerifyOptions options = options_for(open_with_rows(run, challenge), challenge);
  options.policy = pinning(run);
  options.jobs = 3;
  options.threads = 3;
  const audit::Verdict whole = audit::verify(options);
  EXPECT_EQ(whole.outcome, Outcome::kAccept) << describe(whole);
  for (std::int64_t i = 0; i < whole.asked; ++i) {
    audit::VerifyOptions some = options;
    some.parts.clear();
    some.only = {i};
    options.parts.push_back(audit::verdict_from_json(to_json(audit::verify(some))));
  }
  EXPECT_EQ(to_json(audit::verify(options)), to_json(whole));
}

TEST(ShownRows, OfAnotherRowOrAnotherRootAreNotTheRow) {
  rows({10, 15});
  const RecordedRun run = fresh_copy({}), other = fresh_copy({.data_rows = 8});
  const data::Dataset own = data::Dataset::read(run.data()), theirs = data::Dataset::read(other.data());
  const audit::Challenge challenge = challenge_of(run, kInputs);
  const ForgedAnswer honest(open_with_rows(run, challenge));
  const std::vector<std::int64_t> shown = shown_in(honest);
  ASSERT_GE(shown.size(), 2u);
  const std::int64_t row = shown[0];
  const auto with = [&](const std::function<void(ForgedAnswer&)>& lie) {
    ForgedAnswer forged = honest;
    lie(forged);
    return forged;
  };
  const std::string where = "evidence " + text_of(row);
  // Another row's bytes under this row's proof; another row with its own right proof; of another data set.
  expect_damage(with([&](ForgedAnswer& f) { f.datasets[text_of(row)] = f.datasets[text_of(shown[1])]; }),
                challenge, Code::kEvidence, where);
  expect_damage(with([&](ForgedAnswer& f) { put_row(f, row, own, shown[1]); }), challenge, Code::kEvidence,
                where);
  expect_damage(with([&](ForgedAnswer& f) { put_row(f, row, theirs, row); }), challenge, Code::kEvidence,
                where);
  // A proof too short, too long, of part of a hash, and of none.
  for (const int by : {-32, 32, -1}) {
    const ForgedAnswer forged = with([&](ForgedAnswer& f) {
      Bytes& proof = f.datasets[proof_of(row)].bytes;
      proof.resize(proof.size() + static_cast<std::size_t>(by));
      f.datasets[proof_of(row)].shape = {std::ssize(proof)};
    });
    expect_damage(forged, challenge, by == -1 ? Code::kFormat : Code::kEvidence, "evidence /rows/");
  }
  expect_damage(with([&](ForgedAnswer& f) { f.datasets.erase(proof_of(row)); }), challenge, Code::kEvidence,
                where);
  // One byte of each.
  for (const std::string& path : {text_of(row), proof_of(row)})
    expect_damage(with([&](ForgedAnswer& f) { f.flip(path, 9); }), challenge, Code::kEvidence, where);
}

TEST(ShownRows, MissingOrTooMany) {
  rows({10, 24});
  const RecordedRun run = fresh_copy({.steps = 2, .data_rows = 40});
  const data::Dataset dataset = data::Dataset::read(run.data());
  const audit::Challenge challenge = challenge_of(run, kInputs);
  const ForgedAnswer honest(open_with_rows(run, challenge));
  const std::vector<std::int64_t> shown = shown_in(honest);
  ASSERT_EQ(shown.size(), 4u);
  for (const std::int64_t row : shown) {
    ForgedAnswer forged = honest;
    forged.datasets.erase(text_of(row));
    const audit::Verdict verdict = audit::verify(options_for(forged.write(By::kProvider), challenge));
    expect_only(verdict, Code::kAbsent, text_of(row));
    EXPECT_EQ(verdict.checked, 0);
    // Who has the data needs no rows from anyone.
    audit::VerifyOptions options = options_for(forged.write(By::kProvider), challenge);
    options.data = run.data();
    options.model = run.model();
    options.policy = pinning(run);
    EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept) << describe(audit::verify(options));
  }
  std::int64_t unused = 0;
  while (honest.datasets.count(text_of(unused)) != 0) ++unused;
  ForgedAnswer forged = honest;
  put_row(forged, unused, dataset, unused);
  expect_damage(forged, challenge, Code::kFormat, "evidence " + text_of(unused));
  for (const char* name : {"/rows/01/text", "/rows/1/texts", "/rows/-1/text", "/rows/x"}) {
    ForgedAnswer named = honest;
    named.datasets[name] = honest.datasets.at(text_of(shown[0]));
    expect_damage(named, challenge, Code::kFormat, name);
  }
}

TEST(ShownRows, ThatDoNotComeAreAbsentIfThePolicyPinsTheData) {
  rows({10, 15});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, kInputs);
  audit::VerifyOptions options = options_for(open_evidence(run, challenge, true), challenge);
  EXPECT_EQ(audit::verify(options).outcome, Outcome::kAccept);
  EXPECT_TRUE(leaves_open(audit::verify(options), "data: no --data;"));
  options.policy = pinning(run);
  expect_only(audit::verify(options), Code::kAbsent, "evidence rows");
  // A cell that sees no text owes none.
  audit::Challenge middle = challenge_of(run, {});
  middle.must = {{1, 1}};
  audit::VerifyOptions without_text = options_for(open_evidence(run, middle), middle);
  without_text.policy = options.policy;
  EXPECT_EQ(audit::verify(without_text).outcome, Outcome::kAccept);
  // Nor does a cell that is wrong get away with it.
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  forgery.edit_floats(2, "/state/model.embed_tokens.weight", [](std::span<float> w) { w[7] += 1e-3f; });
  forgery.rehash_state(2);
  const audit::Challenge all = challenge_of(forgery.seal(), {.all = true});
  audit::VerifyOptions wrong = options_for(open_evidence(forgery.run(), all, true), all);
  wrong.policy = options.policy;
  expect_among(audit::verify(wrong), Code::kUpdate, "cell 0,1");
}

TEST(ShownRows, ATokenizerOfAnotherKind) {
  rows({15});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, kInputs);
  const ForgedAnswer honest(open_with_rows(run, challenge));
  ForgedAnswer forged = honest;
  forged.flip(audit::kEvidenceTokenizer, 8 * 40);
  expect_damage(forged, challenge, Code::kEvidence, "evidence /tokenizer");
  forged = honest;
  forged.datasets.erase(audit::kEvidenceTokenizer);
  expect_only(audit::verify(options_for(forged.write(By::kProvider), challenge)), Code::kAbsent,
              "/tokenizer");
}

// The provider trains on other rows and claims the client's: the true ones do not give its tokens, and those
// that do are not in the root.
TEST(ShownRows, OfARunOnOtherRowsConvictItWhicheverAreShown) {
  rows({15});
  const RecordedRun honest = fresh_copy({});
  const record::Manifest agreed = record::parse_manifest(Forgery(honest).leaves()[0]);
  const RecordedRun trained = fresh_copy({.data_rows = 8});
  const data::Dataset true_rows = data::Dataset::read(honest.data());
  const data::Dataset used_rows = data::Dataset::read(trained.data());
  Forgery forgery(trained);
  forgery.edit_manifest([&](record::Manifest& m) {
    m.data_root = agreed.data_root;
    m.data_rows = agreed.data_rows;
  });
  const RecordedRun& lied = forgery.seal();
  const audit::Challenge challenge = challenge_of(lied, {.all = true});
  EXPECT_THROW(open_with_rows(lied, challenge), Error);
  const ForgedAnswer bare(open_evidence(lied, challenge, true));
  const std::string tokenizer = read_file(lied.model() / "tokenizer.json", 1 << 20);
  const auto with_rows = [&](const data::Dataset& dataset) {
    ForgedAnswer answer = bare;
    answer.datasets[audit::kEvidenceTokenizer] = {
        DType::kU8, {std::ssize(tokenizer)}, {as_bytes(tokenizer).begin(), as_bytes(tokenizer).end()}};
    for (std::int64_t row = 0; row < true_rows.rows(); ++row) put_row(answer, row, dataset, row);
    return answer;
  };
  expect_among(audit::verify(options_for(with_rows(true_rows).write(By::kProvider), challenge)), Code::kData,
               "cell 0,");
  // Rows in the root contradict what is signed, whoever brought them.
  expect_among(audit::verify(options_for(with_rows(true_rows).write(By::kCourier), challenge)), Code::kData,
               "cell 0,");
  expect_among(audit::verify(options_for(with_rows(used_rows).write(By::kProvider), challenge)),
               Code::kEvidence, "evidence /rows/");
}

TEST(ShownRows, ARootThatIsSaltedNeedsItsSalt) {
  rows({10});
  RunShape shape;
  shape.secret = std::string(64, 'a');
  const RecordedRun run = fresh_copy(shape);
  const audit::Challenge challenge = challenge_of(run, kInputs);
  const ForgedAnswer honest(open_with_rows(run, challenge));
  ForgedAnswer wrong = honest, without = honest;
  wrong.index.salts.at("0/data/0/").bytes[3] ^= 1;
  without.index.salts.erase("0/data/0/");
  expect_damage(wrong, challenge, Code::kEvidence, "evidence /rows/");
  expect_only(audit::verify(options_for(without.write(By::kProvider), challenge)), Code::kAbsent,
              "0/data/0/");
}

// What only the manifest or a leaf claims takes no memory.
TEST(ShownRows, ClaimedSizesAreComparedWithTheBound) {
  rows({8, 36});
  const RecordedRun run = fresh_copy({});
  const audit::Challenge honest = challenge_of(run, {.all = true});
  for (const std::int64_t claimed : {std::int64_t{1} << 32, (std::int64_t{1} << 32) + 1}) {
    ForgedAnswer answer(open_with_rows(run, honest));
    Forgery forgery(fresh_copy({}));
    forgery.edit_manifest([&](record::Manifest& m) { m.data_rows = claimed; });
    const audit::Challenge challenge = challenge_of(forgery.seal(), {.all = true});
    ForgedAnswer bare(open_evidence(forgery.run(), challenge, true));
    for (const auto& [path, d] : answer.datasets)
      if (path.starts_with("/rows/") || path == audit::kEvidenceTokenizer) bare.datasets[path] = d;
    audit::VerifyOptions options = options_for(bare.write(By::kProvider), challenge);
    options.max_memory = std::uint64_t{1} << 30;
    const audit::Verdict verdict = audit::verify(options);
    EXPECT_NE(verdict.outcome, Outcome::kAccept);
    EXPECT_NE(find_reason(verdict, claimed > data::kMaxRows ? Code::kOrder : Code::kTooLarge), nullptr)
        << describe(verdict);
  }
}

TEST(ShownRows, AreCountedAsDisclosed) {
  const RecordedRun run = fresh_copy({});
  const trace::Layout layout{run.trace()};
  open_evidence(run, challenge_of(run, kInputs));
  EXPECT_EQ(audit::disclosure_of_trace(layout)->rows, 0);
  std::set<std::int64_t> rows;
  std::uint64_t bytes = 0;
  for (int seed = 1; seed <= 3; ++seed) {
    const ForgedAnswer answer(open_with_rows(run, challenge_of(run, {.inputs = 1}, seed)));
    for (const std::int64_t row : shown_in(answer))
      if (rows.insert(row).second) bytes += answer.datasets.at(text_of(row)).bytes.size();
    EXPECT_EQ(audit::disclosure_of_trace(layout)->rows, std::ssize(rows));
    EXPECT_EQ(audit::disclosure_of_trace(layout)->row_bytes, bytes);
  }
}

TEST(ShownRows, AreNotOpenedFromOtherDataThanTheRuns) {
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, kInputs);
  write_file(run.data(), read_file(run.data(), 1 << 20) + "{\"text\":\"one more\"}\n");
  EXPECT_THROW(open_with_rows(run, challenge), Error);
}

}  // namespace
}  // namespace aftune::attacks
