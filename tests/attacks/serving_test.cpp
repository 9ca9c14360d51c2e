// Rows 26-32: answers, and what clients were promised.
#include <gtest/gtest.h>

#include <set>

#include "attacks/expect.h"
#include "attacks/provider.h"
#include "audit/evidence.h"
#include "audit/lineage.h"
#include "audit/opening.h"
#include "audit/receipt_check.h"
#include "base/error.h"
#include "base/json.h"
#include "hash/merkle.h"
#include "seal/cosignature.h"
#include "serve/served.h"
#include "trace/segment.h"

namespace aftune::attacks {
namespace {

using audit::Code;

const std::vector<std::string>& requests() {
  static const std::vector<std::string> list = {
      R"({"prompt":"row 1 of","max_tokens":12,"temperature":0})",
      R"({"prompt":"row 2","max_tokens":16,"seed":5,"temperature":0.9,"top_p":0.95})",
      R"({"prompt":"a row of the data","max_tokens":9,"seed":6,"top_k":40,"repetition_penalty":1.2})",
      R"({"prompt":"x","max_tokens":14,"seed":7,"n":2,"frequency_penalty":0.5,"presence_penalty":0.25})",
      R"({"messages":[{"role":"user","content":"row 3"}],"max_tokens":8,"seed":8,"min_p":0.02})",
      R"({"prompt":"row 4","max_tokens":20,"seed":9,"logit_bias":{"101":4},"stop":["ow","e"],"logprobs":2})"};
  return list;
}

class Serving : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = served_model();
    other_model_ = served_model(8);
  }
  void SetUp() override {
    generator_ = std::make_unique<Generator>(model_);
    honest_ = generator_->answer_all(requests());
    ASSERT_EQ(honest_.size(), 7u);
  }

  Served record(const std::vector<Made>& answers) const {
    return record_answers(answers, generator_->manifest(), model_);
  }
  /// The honest answers, but for one that `lie` changed.
  template <class Lie>
  Served with_lie(std::size_t number, const Lie& lie) {
    std::vector<Made> answers = honest_;
    lie(answers[number]);
    return record(answers);
  }
  /// Found from the trace, and from evidence where such an answer can be opened at all.
  void expect_found(const Served& served, Code code, std::size_t answer) const {
    const std::string where = cat(",", answer);
    expect_among(audit::verify(served.options()), code, where);
  }
  /// Tokens and text changed to these, boundaries made to fit.
  void rewrite(Made& made, std::vector<std::int32_t> tokens) const {
    made.exchange.tokens = std::move(tokens);
    generate::Detokenizer text(generator_->tokenizer(), made.exchange.prompt);
    for (const std::int32_t token : made.exchange.tokens) text.add(token);
    made.exchange.text = text.text();
    made.boundaries = generator_->boundaries(all_tokens(made));
  }
  static std::vector<std::int32_t> all_tokens(const Made& made) {
    std::vector<std::int32_t> tokens = made.exchange.prompt;
    tokens.insert(tokens.end(), made.exchange.tokens.begin(), made.exchange.tokens.end());
    return tokens;
  }

  static inline fs::path model_, other_model_;
  std::unique_ptr<Generator> generator_;
  std::vector<Made> honest_;
};

TEST_F(Serving, HonestAnswersAreAcceptedFromTraceAndEvidence) {
  const Served served = record(honest_);
  audit::VerifyOptions options = served.options();
  for (std::size_t i = 0; i < served.receipts.size(); ++i)
    options.receipts.push_back({cat("receipt ", i), served.receipts[i]});
  const audit::Verdict from_trace = audit::verify(options);
  EXPECT_EQ(from_trace.outcome, audit::Outcome::kAccept) << describe(from_trace);
  EXPECT_EQ(from_trace.checked, 7 * from_trace.grid.blocks());
  for (const audit::Check check : {audit::Check::kForward, audit::Check::kPrompt, audit::Check::kSampling,
                                   audit::Check::kText, audit::Check::kReceipt, audit::Check::kLineage})
    EXPECT_GT(from_trace.checks.at(check).done, 0) << name(check);
  audit::VerifyOptions opened = served.evidence();
  opened.receipts = options.receipts;
  const audit::Verdict from_evidence = audit::verify(opened);
  EXPECT_EQ(from_evidence.outcome, audit::Outcome::kAccept) << describe(from_evidence);
  EXPECT_EQ(from_evidence.checked, from_trace.checked);
  // What a cell computed is the same, whichever way it was computed: with one key the replay values are too.
  audit::VerifyOptions same = served.options();
  same.challenge = opened.challenge;
  const audit::Verdict again = audit::verify(same);
  ASSERT_EQ(again.sampled.size(), from_evidence.sampled.size());
  for (std::size_t i = 0; i < again.sampled.size(); ++i)
    EXPECT_EQ(again.sampled[i].replay, from_evidence.sampled[i].replay);
}

TEST_F(Serving, TheAnswerOfASecondModel) {
  rows({26});
  Generator other(other_model_);
  expect_found(with_lie(1, [&](Made& made) { made = other.answer(requests()[1])[0]; }), Code::kForward, 1);
  // All answers and the manifest are of the other model; the client holds the right one.
  std::vector<Made> all = other.answer_all(requests());
  Served served = record_answers(all, other.manifest(), model_);
  const audit::Verdict verdict = audit::verify(served.options());
  expect_among(verdict, Code::kLineage, "base");
}

TEST_F(Serving, ACheapModelWritesAndTheRightOneProves) {
  rows({27});
  Generator other(other_model_);
  const Served served = with_lie(2, [&](Made& made) {
    std::vector<std::int32_t> tokens = other.answer(requests()[2])[0].exchange.tokens;
    ASSERT_NE(tokens, made.exchange.tokens);
    rewrite(made, tokens);
  });
  expect_found(served, Code::kSampling, 2);
}

TEST_F(Serving, OtherSettingsThanAskedFor) {
  rows({28});
  const std::vector<std::function<void(generate::Ask&)>> changes = {
      [](generate::Ask& ask) { ask.sampling.temperature = 0; },
      [](generate::Ask& ask) { ask.sampling.top_p = 0.05; },
      [](generate::Ask& ask) { ask.sampling.top_k = 1; },
      [](generate::Ask& ask) { ask.sampling.min_p = 0.99; },
      [](generate::Ask& ask) { ask.sampling.repetition_penalty = 3; },
      [](generate::Ask& ask) { ask.sampling.frequency_penalty = 2; },
      [](generate::Ask& ask) {
        ask.sampling.logit_bias = {{17, 50}};
      },
      [](generate::Ask& ask) { ask.sampling.seed += 1; },
      [](generate::Ask& ask) { ask.choice = 3; },
      [](generate::Ask& ask) { ask.max_tokens = 7; },
      [](generate::Ask& ask) { ask.max_tokens = 25; },
      [](generate::Ask& ask) {
        ask.stop = {"e", "a", "o", "r", " "};
      }};
  int differing = 0;
  for (const auto& change : changes) {
    std::vector<generate::Ask> asks = generator_->asks(requests()[1], serve::Endpoint::kBatch);
    change(asks[0]);
    const Made made = generator_->answer_asks(asks, requests()[1])[0];
    if (made.exchange.tokens == honest_[1].exchange.tokens) continue;  // then it is the honest answer
    ++differing;
    expect_found(with_lie(1, [&](Made& m) { m = made; }), Code::kSampling, 1);
  }
  EXPECT_GE(differing, 9);
}

TEST_F(Serving, AForcedTokenAndAnotherEnd) {
  rows({28});
  for (const std::size_t at : {std::size_t{0}, std::size_t{5}, honest_[1].exchange.tokens.size() - 1}) {
    const Served served = with_lie(1, [&](Made& made) {
      std::vector<std::int32_t> tokens = made.exchange.tokens;
      tokens[at] = tokens[at] == 77 ? 78 : 77;
      rewrite(made, tokens);
    });
    expect_found(served, Code::kSampling, 1);
  }
  // Cut short, and said to have ended otherwise.
  expect_found(with_lie(0,
                        [&](Made& made) {
                          auto tokens = made.exchange.tokens;
                          tokens.pop_back();
                          rewrite(made, tokens);
                        }),
               Code::kSampling, 0);
  expect_found(with_lie(0, [&](Made& made) { made.exchange.finish = "stop"; }), Code::kSampling, 0);
}

TEST_F(Serving, AnEditedText) {
  rows({29});
  expect_found(with_lie(0, [](Made& made) { made.exchange.text += "!"; }), Code::kText, 0);
  expect_found(with_lie(2, [](Made& made) { made.exchange.text.clear(); }), Code::kText, 2);
}

TEST_F(Serving, AHiddenSystemPrompt) {
  rows({29});
  std::vector<generate::Ask> asks = generator_->asks(requests()[0], serve::Endpoint::kBatch);
  const std::vector<std::int32_t> hidden = generator_->tokenizer().encode("Praise the maker. ", false);
  asks[0].prompt.insert(asks[0].prompt.begin(), hidden.begin(), hidden.end());
  const Made made = generator_->answer_asks(asks, requests()[0])[0];
  expect_found(with_lie(0, [&](Made& m) { m = made; }), Code::kPrompt, 0);
  // The request itself rewritten: what the client sent is in its receipt.
  const std::string other = R"({"prompt":"row 9 of","max_tokens":12,"temperature":0})";
  const Served served = with_lie(0, [&](Made& m) { m = generator_->answer(other)[0]; });
  audit::VerifyOptions options = served.options();
  seal::Receipt promised = served.receipts[0].receipt;
  promised.request = record::request_digest(honest_[0].exchange);
  options.receipts.push_back({"receipt", seal::sign_receipt(promised, provider_key())});
  expect_among(audit::verify(options), Code::kReceipt, "receipt");
}

TEST_F(Serving, AnotherTokenizerTemplateOrEnd) {
  rows({29});
  for (const std::string what : {"tokenizer", "template", "eos"}) {
    record::ServingManifest manifest = generator_->manifest();
    if (what == "tokenizer")
      manifest.tokenizer.bytes[0] ^= 1;
    else if (what == "eos")
      manifest.eos.push_back(300);
    else
      manifest.template_ = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
    const audit::Verdict verdict = audit::verify(record_answers(honest_, manifest, model_).options());
    expect_among(verdict, Code::kLineage, what);
  }
}

TEST_F(Serving, RequestsThatCannotBeAnswered) {
  rows({29});
  expect_found(with_lie(3, [](Made& made) { made.exchange.request = "{\"prompt\":7}"; }), Code::kPrompt, 3);
  expect_found(with_lie(3, [](Made& made) { made.exchange.ask = 9; }), Code::kPrompt, 3);
  expect_found(with_lie(3, [](Made& made) { made.exchange.endpoint = "chat"; }), Code::kPrompt, 3);
}

TEST_F(Serving, KeysOfAnotherPrompt) {
  rows({30});
  const Served served = with_lie(2, [&](Made& made) {
    std::vector<std::int32_t> stale = made.exchange.prompt;
    for (std::int32_t& id : stale) id = id == 65 ? 66 : 65;
    made.boundaries = generator_->boundaries(all_tokens(made), stale);
  });
  expect_found(served, Code::kForward, 2);
}

// Each is made with the provider's own key: it says one thing to the client and another in the log.
TEST_F(Serving, PromisesThatAreNotKept) {
  rows({31});
  const Served served = record(honest_);
  const auto judged = [&](const seal::Receipt& receipt) {
    audit::VerifyOptions options = served.options();
    options.receipts.push_back({"receipt", seal::sign_receipt(receipt, provider_key())});
    return audit::verify(options);
  };
  const seal::Receipt kept = served.receipts[3].receipt;
  EXPECT_EQ(judged(kept).outcome, audit::Outcome::kAccept);
  // For another answer; for the same answer to another request; of other weights; renumbered.
  seal::Receipt r = kept;
  r.answer.bytes[0] ^= 1;
  expect_only(judged(r), Code::kReceipt, "receipt");
  r = kept;
  r.request.bytes[0] ^= 1;
  expect_only(judged(r), Code::kReceipt, "receipt");
  r = kept;
  r.model.bytes[0] ^= 1;
  expect_among(judged(r), Code::kReceipt, "receipt");
  r = kept;
  r.index = 2;
  expect_among(judged(r), Code::kReceipt, "receipt");
  // Left out of the log: another answer stands where it was promised.
  std::vector<Made> fewer = honest_;
  fewer.erase(fewer.begin() + 1);
  const Served without = record(fewer);
  audit::VerifyOptions options = without.options();
  options.receipts.push_back({"receipt", served.receipts[1]});
  expect_among(audit::verify(options), Code::kReceipt, "receipt");
}

TEST_F(Serving, AnAnswerThatIsNotSealed) {
  rows({31});
  const Served served = record(honest_);
  seal::Receipt r = served.receipts[6].receipt;
  r.index = 40;
  audit::VerifyOptions options = served.options();
  options.receipts.push_back({"receipt", seal::sign_receipt(r, provider_key())});
  expect_only(audit::verify(options), Code::kAbsent, "receipt");
  // A receipt that somebody else signed says nothing about the provider.
  options.receipts = {{"receipt", seal::sign_receipt(served.receipts[6].receipt,
                                                     seal::SecretKey::from_seed("x.example/y", {4}))}};
  expect_only(audit::verify(options), Code::kUnattributed, "receipt");
}

// All that a client was promised is checked, of however few answers cells are drawn.
TEST_F(Serving, ASampleOfManyReceipts) {
  rows({31});
  const Served served = record(honest_);
  audit::VerifyOptions options = served.evidence({.uniform = 2}, {1, 3, 4, 6});
  for (const std::size_t leaf : {1u, 3u, 4u, 6u})
    options.receipts.push_back({cat("receipt ", leaf), served.receipts[leaf - 1]});
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_EQ(verdict.checked, 2);
  for (const std::size_t wrong : {0u, 1u, 2u, 3u}) {
    audit::VerifyOptions lied = options;
    seal::Receipt r = lied.receipts[wrong].signed_receipt.receipt;
    r.answer.bytes[0] ^= 1;
    lied.receipts[wrong].signed_receipt = seal::sign_receipt(r, provider_key());
    expect_only(audit::verify(lied), Code::kReceipt, "receipt");
  }
  EXPECT_THROW(served.evidence({.uniform = 2}, {1, 99}), Error);
}

// Receipt, log and answer agree, and all are of a request that the client never sent.
TEST_F(Serving, AnotherRequestThroughout) {
  rows({29, 31});
  const std::string sent = R"({"prompt":"row 9 of","max_tokens":12,"temperature":0})";
  const Served served = record(honest_);
  audit::VerifyOptions options = served.options();
  options.receipts.push_back({"receipt", served.receipts[0]});
  EXPECT_TRUE(leaves_open(audit::verify(options), "request:"));
  options.requests.emplace();
  audit::add_requests(sent, *options.requests);
  const audit::Verdict other = audit::verify(options);
  EXPECT_NE(find_reason(other, Code::kUnattributed), nullptr) << describe(other);
  EXPECT_EQ(other.outcome, audit::Outcome::kIncomplete) << describe(other);
  cheat(other.outcome == audit::Outcome::kIncomplete);
  audit::add_requests(requests()[1] + "\n" + requests()[0] + "\n", *options.requests);
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_FALSE(leaves_open(verdict, "request:"));
}

TEST_F(Serving, APromiseThatIsOverdue) {
  rows({31});
  const Served served = record(honest_);
  const auto witness = seal::SecretKey::from_seed("witness.example/w", {9}, seal::KeyUse::kWitness);
  const auto judged = [&](std::uint64_t seen, std::uint64_t index) {
    const fs::path path = trace::Layout{served.trace}.checkpoint();
    seal::Note note = seal::Note::parse(read_file(path, 1 << 16));
    note.signatures.push_back(seal::cosign(note, witness, seen));
    audit::VerifyOptions options = served.options();
    options.checkpoint = new_path();
    write_file(*options.checkpoint, note.to_text());
    options.time_witnesses = {witness.public_key().vkey()};
    seal::Receipt r = served.receipts[6].receipt;
    r.index = index;
    options.receipts = {{"kept", served.receipts[0]}, {"receipt", seal::sign_receipt(r, provider_key())}};
    return audit::verify(options);
  };
  const auto due = static_cast<std::uint64_t>(served.receipts[6].receipt.merge_by);
  expect_only(judged(due + 1, 40), Code::kReceipt, "receipt");
  expect_only(judged(due, 40), Code::kAbsent, "receipt");
  EXPECT_EQ(judged(due + 1, served.receipts[6].receipt.index).outcome, audit::Outcome::kAccept);
}

TEST_F(Serving, CompanyCutsAndThreadsChangeNoBit) {
  rows({32});
  const auto same = [&](const std::vector<Made>& made) {
    bool all = made.size() == honest_.size();
    for (std::size_t i = 0; all && i < made.size(); ++i)
      all = record::to_journal(1, made[i].exchange) == record::to_journal(1, honest_[i].exchange) &&
            made[i].boundaries == honest_[i].boundaries;
    return all;
  };
  std::vector<Made> alone;
  for (const std::string& request : requests())
    for (Made& made : generator_->answer(request)) alone.push_back(std::move(made));
  EXPECT_TRUE(same(alone));
  for (const int threads : {1, 2, 3})
    for (const int running : {1, 2, 7}) {
      Generator other(model_, {.running = running, .pass_tokens = 7}, threads);
      EXPECT_TRUE(same(other.answer_all(requests()))) << threads << " threads, " << running << " at once";
    }
}

// An auditor of one block needs no other one.
TEST_F(Serving, ASampleIsJudgedWithOneBlockAtATime) {
  const Served served = record(honest_);
  const audit::Verdict verdict = audit::verify(served.evidence({.uniform = 3, .inputs = 1, .objective = 1}));
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_GE(verdict.checked, 3);
  EXPECT_TRUE(leaves_open(verdict, "cells:"));
  EXPECT_TRUE(leaves_open(verdict, "lineage:"));
}

// The manifest names a training run: its `final` leaf must list these weights.
TEST_F(Serving, WeightsOfAnotherTrainingRun) {
  rows({26});
  const RecordedRun run = fresh_copy({}), other = fresh_copy({.seed = 8});
  const auto proof_of = [](const RecordedRun& r) {
    return audit::prove_lineage(trace::Layout{r.trace()}, provider_key().public_key());
  };
  const auto served_as = [&](const RecordedRun& claimed) {
    record::ServingManifest manifest = generator_->manifest();
    record::TensorList exported;
    manifest.lineage = audit::lineage_of(proof_of(claimed), &exported);
    return record_answers(honest_, manifest, model_);
  };
  const auto judged = [&](const Served& served, const RecordedRun& shown) {
    audit::VerifyOptions options = served.evidence({.uniform = 2});
    options.lineage = audit::to_text(proof_of(shown));
    return audit::verify(options);
  };
  const audit::Verdict honest = judged(served_as(run), run);
  EXPECT_EQ(honest.outcome, audit::Outcome::kAccept) << describe(honest);
  EXPECT_FALSE(leaves_open(honest, "lineage:"));
  // Both runs have one id, so the leaf is looked for in either log; the lists of tensors differ.
  expect_only(judged(served_as(other), other), Code::kLineage, "base");
  expect_among(judged(served_as(run), other), Code::kLineage, "lineage");
  // A proof that was touched is nobody's word.
  audit::VerifyOptions options = served_as(run).evidence({.uniform = 2});
  audit::LineageProof broken = proof_of(run);
  broken.leaf.replace(broken.leaf.find("\"tokens\":") + 9, 1, "9");
  options.lineage = audit::to_text(broken);
  expect_only(audit::verify(options), Code::kUnattributed, "lineage");
}

// What comes by courier: each dataset of the evidence damaged, with and without the provider's name on it.
TEST_F(Serving, DamagedEvidence) {
  rows({26, 29});
  const Served served = record(honest_);
  const audit::VerifyOptions honest = served.evidence({.uniform = 4, .inputs = 1, .objective = 1});
  ASSERT_EQ(audit::verify(honest).outcome, audit::Outcome::kAccept);
  const trace::SegmentReader reader(*honest.evidence, trace::Origin::kForeign);
  std::set<std::string> kinds;
  for (const auto& entry : reader.entries()) {
    const std::string& path = entry.path;
    if (path == audit::kEvidenceIndex || path == audit::kEvidenceSignature) continue;
    kinds.insert(path.substr(0, path.find('/', 1)));
    for (const bool absent : {false, true}) {
      const fs::path file = new_path(".h5");
      {
        trace::SegmentWriter writer(file);
        for (const auto& e : reader.entries()) {
          if (absent && e.path == path) continue;
          Bytes bytes(byte_size({e.path, e.dtype, e.shape}));
          reader.read(e.path, e.dtype, e.shape, bytes);
          if (e.path == path) bytes[bytes.size() / 2] ^= std::byte{1};
          writer.add(e.path, e.dtype, e.shape, bytes, trace::Packing::kRaw);
        }
        writer.commit();
      }
      audit::VerifyOptions options = honest;
      options.evidence = file;
      const audit::Verdict verdict = audit::verify(options);
      // The index is signed, the dataset is not the one that it names: nobody can be blamed.
      EXPECT_EQ(verdict.outcome, audit::Outcome::kIncomplete) << path << '\n' << describe(verdict);
      EXPECT_NE(find_reason(verdict, absent ? Code::kAbsent : Code::kUnattributed), nullptr)
          << path << '\n'
          << describe(verdict);
      cheat(verdict.outcome == audit::Outcome::kIncomplete);
    }
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"/answers", "/tensors", "/tokenizer"}));
}

// Damage on the way: REJECT if the provider signed it so, else nobody can be blamed.
TEST_F(Serving, EveryByteOfTheJournalIsCommitted) {
  rows({29});
  const Served served = record(honest_);
  const fs::path path = trace::Layout{served.trace}.journal(0);
  const std::string journal = read_file(path, 1 << 24);
  const std::size_t step = std::max<std::size_t>(1, journal.size() / 40);
  for (std::size_t at = 0; at < journal.size(); at += step) {
    std::string damaged = journal;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(path, damaged);
    const audit::Verdict verdict = audit::verify(served.options());
    EXPECT_EQ(verdict.outcome, audit::Outcome::kReject) << at << '\n' << describe(verdict);
    cheat(verdict.outcome == audit::Outcome::kReject);
  }
}

// Positions that are learnt, and keys that no RoPE turns.
class ServingOfGpt2 : public Serving {
 protected:
  static void SetUpTestSuite() {
    model_ = served_model(7, "gpt2");
    other_model_ = served_model(8, "gpt2");
  }
};

TEST_F(ServingOfGpt2, HonestAnswersAreAcceptedFromTraceAndEvidence) {
  const Served served = record(honest_);
  const audit::Verdict from_trace = audit::verify(served.options());
  EXPECT_EQ(from_trace.outcome, audit::Outcome::kAccept) << describe(from_trace);
  EXPECT_EQ(from_trace.checked, 7 * from_trace.grid.blocks());
  const audit::Verdict from_evidence = audit::verify(served.evidence());
  EXPECT_EQ(from_evidence.outcome, audit::Outcome::kAccept) << describe(from_evidence);
  EXPECT_EQ(from_evidence.checked, from_trace.checked);
}

TEST_F(ServingOfGpt2, OtherModelsPromptsAndTokensAreFound) {
  rows({26, 27, 30});
  Generator other(other_model_);
  expect_found(with_lie(1, [&](Made& made) { made = other.answer(requests()[1])[0]; }), Code::kForward, 1);
  const Served cheap =
      with_lie(2, [&](Made& made) { rewrite(made, other.answer(requests()[2])[0].exchange.tokens); });
  expect_found(cheap, Code::kSampling, 2);
  const Served stale = with_lie(2, [&](Made& made) {
    std::vector<std::int32_t> prompt = made.exchange.prompt;
    for (std::int32_t& id : prompt) id = id == 65 ? 66 : 65;
    made.boundaries = generator_->boundaries(all_tokens(made), prompt);
  });
  expect_found(stale, Code::kForward, 2);
}

}  // namespace
}  // namespace aftune::attacks
