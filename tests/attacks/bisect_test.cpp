// A cell that two parties disagree on, taken apart operation by operation (protocol: a false operation is
// found, and its proof convinces anyone; nothing a courier does to a list or a proof accuses the provider).

#include "audit/bisect.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/op_proof.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "seal/note.h"
#include "trace/segment.h"

namespace aftune::attacks {
namespace {

using audit::Bisection;
using audit::Cell;
using audit::Code;
using audit::OpEntry;
using audit::OpList;
using audit::Outcome;
using model::OpKind;
using Result = audit::Bisection::Result;

// All cells of one run, opened once, with the op lists of some.
class Dispute {
 public:
  explicit Dispute(const RunShape& shape = {}) : Dispute(fresh_copy(shape), {.all = true}) {}
  Dispute(const RecordedRun& recorded, const audit::Plan& plan, const std::vector<Cell>& must = {})
      : run(recorded), challenge(challenge_of(run, plan)) {
    challenge.must = must;
    evidence = open_evidence(run, challenge);
  }

  OpList list(const Cell& cell) const {
    const seal::SecretKey key = provider_key();
    return audit::sign_op_list({.trace = run.trace(),
                                .challenge = challenge,
                                .cell = cell,
                                .key = key,
                                .scratch = new_path("-scratch.h5"),
                                .quiet = true,
                                .model = base_of(run)});
  }
  // The provider is the liar: it signs whatever it says.
  OpList sign(OpList list) const {
    list.signature = audit::sign_ops(
        list.head(), seal::Checkpoint::parse(seal::Note::parse(challenge.note).text), provider_key());
    return list;
  }
  Bisection bisect(const OpList& list, const fs::path& proof, std::uint64_t max_memory = 0) const {
    // The text is what travels.
    return audit::bisect({.list = audit::parse_op_list(to_text(list)),
                          .evidence = evidence,
                          .challenge = challenge,
                          .key = provider_key().public_key(),
                          .proof = proof,
                          .max_memory = max_memory,
                          .model = base_of(run)});
  }

  RecordedRun run;
  audit::Challenge challenge;
  fs::path evidence;
};

audit::Verdict check(const fs::path& proof, std::uint64_t max_memory = 0) {
  return audit::check_op_proof(
      {.proof = proof, .key = provider_key().public_key(), .max_memory = max_memory});
}

// The consistent lie: from operation `i` on, everything that was made of its result says the false digest.
void forge(OpList& list, std::size_t i, std::size_t output = 0) {
  const Digest right = list.entries[i].out.at(output);
  Digest wrong = right;
  wrong.bytes[0] ^= 1;
  list.entries[i].out[output] = wrong;
  for (std::size_t j = i + 1; j < list.entries.size(); ++j)
    for (Digest& digest : list.entries[j].in)
      if (digest == right) digest = wrong;
}

// One of this kind whose results are no ends of the cell, if it has one.
std::optional<std::size_t> place_of(const OpList& list, OpKind kind) {
  const bool early = kind == OpKind::kUpdate || kind == OpKind::kSumSquares;
  for (std::size_t i = early ? 0 : list.entries.size() / 2; i < list.entries.size(); ++i)
    if (list.entries[i].kind == kind) return i;
  return std::nullopt;
}

const Cell kTied{0, 1}, kLayer{1, 1};

TEST(Bisect, AnHonestListAgrees) {
  for (const RunShape& shape : {RunShape{}, RunShape{.tied = false, .packing = true},
                                RunShape{.layers_per_block = 2}, RunShape{.numerics = "f32"}}) {
    const Dispute dispute(shape);
    const int blocks = (shape.tied ? 1 : 2) + 2 / shape.layers_per_block;
    for (int block = 0; block < blocks; ++block) {
      const OpList list = dispute.list({block, 1});
      const fs::path proof = new_path("-proof.h5");
      const Bisection result = dispute.bisect(list, proof);
      EXPECT_EQ(result.result, Result::kAgrees) << result.where << ": " << result.detail;
      EXPECT_EQ(result.agreed, std::ssize(list.entries));
      EXPECT_FALSE(fs::exists(proof));
    }
  }
}

// Whatever stores boundaries or not, one cell has one list.
TEST(Bisect, TheListDoesNotDependOnHowItWasMade) {
  rows({33});
  const Dispute made_again, stored({.store_boundaries = true});
  EXPECT_EQ(made_again.list(kLayer).entries, stored.list(kLayer).entries);
}

// Each kind of operation, forged once, in the middle of the cell that has it.
TEST(Bisect, AForgedOperationIsFoundAndItsProofIsAccepted) {
  rows({17, 18, 19});
  const Dispute dispute;
  std::set<OpKind> forged;
  for (const Cell& cell : {kLayer, kTied}) {
    const OpList honest = dispute.list(cell);
    std::set<OpKind> kinds;
    for (const OpEntry& entry : honest.entries) kinds.insert(entry.kind);
    kinds.erase(OpKind::kJoin), kinds.erase(OpKind::kMeanLoss);  // ends, below
    for (const OpKind kind : kinds) {
      if (!forged.insert(kind).second) continue;
      const std::size_t at = place_of(honest, kind).value();
      OpList list = honest;
      forge(list, at, list.entries[at].out.size() - 1);
      const fs::path proof = new_path("-proof.h5");
      const Bisection result = dispute.bisect(dispute.sign(list), proof);
      ASSERT_EQ(result.result, Result::kDiffers) << audit::name(kind) << result.where << result.detail;
      EXPECT_EQ(result.agreed, static_cast<std::int64_t>(at));
      EXPECT_EQ(result.where, where(cell, honest.entries[at]));
      expect_only(check(proof), Code::kOp, result.where);
    }
  }
  EXPECT_EQ(forged.size(), 23u);
}

// Operations that only other families have, or have elsewhere.
TEST(Bisect, AForgedOperationOfAnotherFamilyIsFound) {
  rows({17, 18, 19});
  const auto expect_found = [](const Dispute& dispute, OpKind kind, const std::string& at,
                               const Cell& cell = kLayer) {
    OpList list = dispute.list(cell);
    std::size_t i = 0;
    while (list.entries.at(i).kind != kind || !list.entries[i].at.ends_with(at)) ++i;
    forge(list, i, list.entries[i].out.size() - 1);
    const fs::path proof = new_path("-proof.h5");
    const Bisection result = dispute.bisect(dispute.sign(list), proof);
    ASSERT_EQ(result.result, Result::kDiffers) << audit::name(kind) << result.where << result.detail;
    EXPECT_EQ(result.agreed, static_cast<std::int64_t>(i));
    expect_only(check(proof), Code::kOp, result.where);
  };
  const Dispute qwen2({.family = "qwen2"}), qwen3({.family = "qwen3"});
  const Dispute lora({.family = "qwen2", .init = false, .lora = "q,o,down", .lora_dropout = 0.2});
  for (const char* target : {"q_proj", "o_proj", "down_proj"}) {
    for (const OpKind kind : {OpKind::kDropout, OpKind::kLinear, OpKind::kLinearGradWeight,
                              OpKind::kLinearGradInput, OpKind::kAdd, OpKind::kSumSquares, OpKind::kUpdate})
      if (kind != OpKind::kSumSquares || target != std::string("down_proj"))  // that is an end
        expect_found(lora, kind, cat(target, ".lora_A.weight"));
    for (const OpKind kind : {OpKind::kScale, OpKind::kAddScaled, OpKind::kLinear, OpKind::kLinearGradWeight,
                              OpKind::kLinearGradInput})
      expect_found(lora, kind, cat(target, ".lora_B.weight"));
  }
  for (const char* bias : {"q_proj.bias", "k_proj.bias", "v_proj.bias"})
    for (const OpKind kind : {OpKind::kAddBias, OpKind::kBiasGrad}) expect_found(qwen2, kind, bias);
  for (const char* norm : {"q_norm.weight", "k_norm.weight"})
    for (const OpKind kind :
         {OpKind::kRmsNorm, OpKind::kRmsNormGradWeight, OpKind::kRmsNormGradInput, OpKind::kUpdate})
      expect_found(qwen3, kind, norm);
  const Dispute gpt2({.family = "gpt2"}), untied({.family = "gpt2", .tied = false, .numerics = "f32"});
  for (const char* product : {"c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"}) {
    for (const OpKind kind : {OpKind::kLinear, OpKind::kLinearGradWeight, OpKind::kLinearGradInput})
      for (const Dispute* dispute : {&gpt2, &untied}) expect_found(*dispute, kind, cat(product, ".weight"));
    for (const OpKind kind : {OpKind::kAddBias, OpKind::kBiasGrad})
      expect_found(gpt2, kind, cat(product, ".bias"));
  }
  for (const OpKind kind : {OpKind::kSplit, OpKind::kSplitGrad}) expect_found(gpt2, kind, "c_attn.weight");
  for (const OpKind kind : {OpKind::kGelu, OpKind::kGeluGrad}) expect_found(gpt2, kind, "mlp.c_proj.weight");
  for (const char* norm : {"ln_1.weight", "ln_2.weight"})
    for (const OpKind kind :
         {OpKind::kLayerNorm, OpKind::kLayerNormGradWeight, OpKind::kLayerNormGradInput, OpKind::kUpdate})
      expect_found(gpt2, kind, norm);
  for (const char* table : {"wte.weight", "wpe.weight"})
    for (const OpKind kind : {OpKind::kEmbedding, OpKind::kEmbeddingGrad})
      expect_found(gpt2, kind, table, kTied);
  expect_found(gpt2, OpKind::kAdd, "wpe.weight", kTied);
  expect_found(gpt2, OpKind::kLayerNorm, "ln_f.weight", kTied);
  const Dispute gpt2_lora({.family = "gpt2", .init = false, .lora = "o,up,qkv", .lora_dropout = 0.2});
  for (const char* target : {"attn.c_proj", "c_fc", "c_attn"})
    for (const OpKind kind : {OpKind::kDropout, OpKind::kLinear, OpKind::kLinearGradWeight,
                              OpKind::kLinearGradInput, OpKind::kAdd, OpKind::kUpdate})
      expect_found(gpt2_lora, kind, cat(target, ".lora_A.weight"));
  for (const Dispute* dispute : {&qwen2, &qwen3, &lora, &gpt2, &untied, &gpt2_lora})
    for (const Cell& cell : {kLayer, kTied})
      EXPECT_EQ(dispute->bisect(dispute->list(cell), new_path("-proof.h5")).result, Result::kAgrees);
}

// What the log commits to is forged, and the list leads there by a lie in its last operation.
TEST(Bisect, AForgedEndIsTheOperationThatMakesIt) {
  rows({17, 18, 21});
  const Dispute honest({.store_boundaries = true});
  const auto expect_found = [&](const Cell& cell, OpKind kind, const Digest& lie,
                                const std::function<void(record::Step&)>& edit) {
    OpList list = honest.list(cell);
    std::size_t at = 0;
    while (list.entries[at].kind != kind || list.entries[at].step != 2 ||
           (kind == OpKind::kSumSquares && list.entries[at + 1].kind == kind))
      ++at;
    list.entries[at].out[0] = lie;
    Forgery forgery(fresh_copy({.store_boundaries = true}));
    forgery.edit_step(2, edit);
    const Dispute dispute(forgery.seal(), {}, {cell});
    const fs::path proof = new_path("-proof.h5");
    const Bisection result = dispute.bisect(dispute.sign(list), proof);
    ASSERT_EQ(result.result, Result::kDiffers) << audit::name(kind) << result.where << result.detail;
    EXPECT_EQ(result.agreed, static_cast<std::int64_t>(at));
    expect_only(check(proof), Code::kOp, std::string(audit::name(kind)));
  };
  const auto digest_of = [](auto value) { return hash::blake3(std::as_bytes(std::span(&value, 1))); };
  const Digest lie = hash::blake3("a lie");
  expect_found(kLayer, OpKind::kJoin, lie, [&](record::Step& step) { step.activations[1] = lie; });
  expect_found(kTied, OpKind::kMeanLoss, digest_of(0.25f), [](record::Step& step) { step.loss = 0.25f; });
  expect_found(kLayer, OpKind::kSumSquares, digest_of(0.25), [](record::Step& step) { step.sums[1] = 0.25; });
}

// Of one that has every kind of operation, where each takes ten times as long.
std::vector<const char*> image_families() {
#if defined(__SANITIZE_ADDRESS__)
  return {"dinov2-swiglu"};
#else
  return {"vit", "dinov2", "dinov2-swiglu"};
#endif
}

// Each kind of operation of each cell of a classifier of images: its list holds, and a lie in it is found.
TEST(Bisect, AForgedOperationOnImagesIsFound) {
  rows({17, 18, 19});
  std::set<OpKind> forged;
  const auto expect_found = [&](const Dispute& dispute, const Cell& cell) {
    const OpList honest = dispute.list(cell);
    EXPECT_EQ(dispute.bisect(honest, new_path("-proof.h5")).result, Result::kAgrees);
    std::set<OpKind> kinds;
    for (const OpEntry& entry : honest.entries) kinds.insert(entry.kind);
    kinds.erase(OpKind::kJoin), kinds.erase(OpKind::kMeanLoss);  // ends, above
    forged.insert(kinds.begin(), kinds.end());
    for (const OpKind kind : kinds) {
      const std::size_t at = place_of(honest, kind).value();
      OpList list = honest;
      forge(list, at, list.entries[at].out.size() - 1);
      const fs::path proof = new_path("-proof.h5");
      const Bisection result = dispute.bisect(dispute.sign(list), proof);
      ASSERT_EQ(result.result, Result::kDiffers) << audit::name(kind) << result.where << result.detail;
      EXPECT_EQ(result.agreed, static_cast<std::int64_t>(at));
      expect_only(check(proof), Code::kOp, result.where);
    }
  };
  for (const char* family : image_families()) {
    const Dispute dispute({.family = family});
    for (int block = 0; block <= 3; ++block) expect_found(dispute, {block, 1});
    const Dispute lora({.family = family, .init = false, .lora = "q,o,down", .lora_dropout = 0.2});
    for (int block = 1; block <= 3; ++block) expect_found(lora, {block, 1});
  }
  for (const OpKind kind :
       {OpKind::kPatches, OpKind::kClassToken, OpKind::kClassTokenGrad, OpKind::kClassMean,
        OpKind::kClassMeanGrad, OpKind::kLayerScale, OpKind::kLayerScaleGradWeight, OpKind::kLayerNorm})
    EXPECT_TRUE(forged.contains(kind)) << audit::name(kind);
}

OpEntry& last_of(OpList& list, OpKind kind) {
  for (std::size_t i = list.entries.size(); i-- > 0;)
    if (list.entries[i].kind == kind) return list.entries[i];
  throw std::logic_error("none");
}

// The provider signs of an end what its log does not commit to: two signed digests of one thing.
TEST(Bisect, AListThatContradictsTheLogConvictsWhoSignedIt) {
  rows({17});
  const Dispute dispute;
  const auto contradiction = [&](const char* what, const Cell& cell, bool has_proof,
                                 const std::function<void(OpList&)>& lie) {
    OpList list = dispute.list(cell);
    lie(list);
    const fs::path proof = new_path("-proof.h5");
    const Bisection result = dispute.bisect(dispute.sign(list), proof);
    EXPECT_EQ(result.result, Result::kContradicts) << what;
    EXPECT_NE(result.detail.find("the log commits to"), std::string::npos) << what << ": " << result.detail;
    EXPECT_EQ(fs::exists(proof), has_proof) << what;
    if (has_proof) expect_only(check(proof), Code::kOp, cat("cell ", cell.block, ",", cell.step_block));
    // Unsigned, it is nobody's.
    const fs::path none = new_path("-proof.h5");
    EXPECT_EQ(dispute.bisect(list, none).result, Result::kRefused) << what;
    EXPECT_FALSE(fs::exists(none));
    return proof;
  };
  const auto flip = [](Digest& digest) { digest.bytes[3] ^= 1; };
  contradiction("an output", kLayer, true, [&](OpList& l) { flip(last_of(l, OpKind::kJoin).out[0]); });
  contradiction("an input", kLayer, true, [&](OpList& l) { flip(last_of(l, OpKind::kCut).in[1]); });
  contradiction("a layout", kLayer, true, [&](OpList& l) { flip(l.entries[0].in[0]); });
  contradiction("tokens", kTied, true, [&](OpList& l) { flip(l.entries[1].in[1]); });
  contradiction("a loss", kTied, true, [&](OpList& l) { flip(last_of(l, OpKind::kMeanLoss).out[0]); });
  contradiction("a sum", kLayer, true, [&](OpList& l) { flip(last_of(l, OpKind::kSumSquares).out[0]); });
  contradiction("the state after", kLayer, false,
                [&](OpList& l) { flip(last_of(l, OpKind::kUpdate).out[1]); });
  contradiction("the state before", kLayer, false,
                [&](OpList& l) { flip(l.entries[place_of(l, OpKind::kUpdate).value()].in[0]); });
}

// What is not the end that was signed, in the leaf that it is of, convicts no one.
TEST(Bisect, AProofOfAnEndIsCheckedToTheLastBit) {
  rows({12, 17});
  const Dispute dispute;
  OpList list = dispute.list(kLayer);
  const OpList honest = list;
  last_of(list, OpKind::kJoin).out[0].bytes[3] ^= 1;
  const fs::path file = new_path("-proof.h5");
  ASSERT_EQ(dispute.bisect(dispute.sign(list), file).result, Result::kContradicts);
  const trace::SegmentReader reader(file);
  const audit::OpProof proof = audit::parse_op_proof(reader.read_text(audit::kProofIndex, 1 << 24));
  const auto expect_nothing = [&](const std::function<void(audit::OpProof&)>& lie) {
    audit::OpProof forged = proof;
    lie(forged);
    const fs::path path = new_path("-forged.h5");
    audit::write_op_proof(path, forged, {}, {});
    expect_only(check(path), Code::kUnattributed, "proof");
  };
  expect_nothing([](audit::OpProof& p) { p.entry[p.entry.find("\"out\":[\"") + 10] ^= 1; });
  expect_nothing([](audit::OpProof& p) { p.signature[p.signature.size() - 5] ^= 1; });
  expect_nothing([](audit::OpProof& p) { p.leaves.pop_back(); });
  expect_nothing([](audit::OpProof& p) { p.head.cell.step_block = 0; });
  expect_nothing([](audit::OpProof& p) { p.path[0].bytes[0] ^= 1; });
  expect_nothing([](audit::OpProof& p) { p.leaves[1].text[p.leaves[1].text.find("\"loss\"") + 8] ^= 1; });
  // Of the honest list: an end that is as committed.
  const OpList right = dispute.sign(honest);
  const hash::MerkleTree tree = right.tree();
  expect_nothing([&](audit::OpProof& p) {
    p.head = right.head();
    p.signature = right.signature;
    p.entry = to_text(right.entries[static_cast<std::size_t>(p.index)]);
    p.path = tree.inclusion(static_cast<std::uint64_t>(p.index), tree.size());
  });
}

// A list that is none of the cell is none that the provider answers with.
TEST(Bisect, AListThatIsNotTheCellsIsRefused) {
  rows({10, 17});
  const Dispute dispute;
  const OpList honest = dispute.list(kLayer);
  const auto expect_refused = [&](const char* what, const std::string& why,
                                  const std::function<void(OpList&)>& lie) {
    OpList list = honest;
    lie(list);
    const fs::path proof = new_path("-proof.h5");
    const Bisection result = dispute.bisect(dispute.sign(list), proof);
    EXPECT_EQ(result.result, Result::kRefused) << what;
    EXPECT_NE(result.detail.find(why), std::string::npos) << what << ": " << result.detail;
    EXPECT_FALSE(fs::exists(proof));
    cheat(result.result == Result::kRefused);
  };
  const std::string wired = "with the inputs that those before it give";
  expect_refused("an input that no operation made", wired,
                 [&](OpList& l) { l.entries[9].in[0].bytes[3] ^= 1; });
  expect_refused("two that changed places", wired, [](OpList& l) { std::swap(l.entries[6], l.entries[7]); });
  expect_refused("one left out", wired, [](OpList& l) { l.entries.erase(l.entries.begin() + 8); });
  expect_refused("one too many", wired,
                 [](OpList& l) { l.entries.insert(l.entries.begin() + 8, l.entries[8]); });
  expect_refused("another row", wired, [](OpList& l) { l.entries[8].row = 7; });
  expect_refused("another number of tokens", wired, [](OpList& l) { l.entries[8].tokens += 1; });
  expect_refused("one more result", wired, [](OpList& l) { l.entries[8].out.emplace_back(); });
  expect_refused("another step", "another cell", [](OpList& l) { l.entries[8].step = 0; });
  expect_refused("more at the end", "has ", [](OpList& l) { l.entries.push_back(l.entries[8]); });
  expect_refused("another cell", "", [](OpList& l) { l.cell = {2, 1}; });
  expect_refused("a cell that is none", "does not have", [](OpList& l) { l.cell = {9, 1}; });
}

TEST(Bisect, AListThatTheProviderDidNotSignIsRefused) {
  rows({10, 12});
  const Dispute dispute;
  OpList list = dispute.list(kLayer);
  forge(list, 40);
  const fs::path proof = new_path("-proof.h5");
  const Bisection courier = dispute.bisect(list, proof);
  EXPECT_EQ(courier.result, Result::kRefused);
  EXPECT_NE(courier.detail.find("not signed"), std::string::npos);
  EXPECT_FALSE(fs::exists(proof));
  // Signed, but for another run of the same key.
  const Dispute other(RunShape{.seed = 8});
  EXPECT_EQ(dispute.bisect(other.list(kLayer), proof).result, Result::kRefused);
  EXPECT_FALSE(fs::exists(proof));
}

TEST(Bisect, NeedsTheCellItself) {
  const Dispute dispute;
  const OpList list = dispute.list(kLayer);
  Dispute elsewhere(dispute.run, {}, {{2, 1}});
  EXPECT_EQ(elsewhere.bisect(list, new_path("-proof.h5")).result, Result::kRefused);
  ForgedAnswer damaged(dispute.evidence);
  damaged.flip("/steps/2/activations/0", 100);
  elsewhere.challenge = dispute.challenge;
  elsewhere.evidence = damaged.write(ForgedAnswer::By::kCourier);
  const Bisection result = elsewhere.bisect(list, new_path("-proof.h5"));
  EXPECT_EQ(result.result, Result::kRefused);
  EXPECT_NE(result.where.find("/steps/2/activations/0"), std::string::npos) << result.where;
  EXPECT_EQ(dispute.bisect(list, new_path("-proof.h5"), 1 << 12).result, Result::kRefused);
}

// An honest program signs nothing that the log contradicts, and nothing that was not asked for.
TEST(Bisect, TheProviderSignsWhatHoldsAndWasAskedFor) {
  const Dispute dispute({.store_boundaries = true});
  const Dispute one(dispute.run, {}, {kTied});
  EXPECT_NO_THROW(one.list(kTied));
  EXPECT_THROW(one.list(kLayer), Error);
  EXPECT_THROW(dispute.list({9, 1}), Error);
  Forgery forgery(fresh_copy({.store_boundaries = true}));
  forgery.edit_step(2, [](record::Step& step) { step.activations[1].bytes[0] ^= 1; });
  const Dispute forged(forgery.seal(), {}, {kLayer});
  EXPECT_THROW(forged.list(kLayer), Error);
}

// A proof file in memory, to be changed and written again in the right form, as a courier can.
struct ProofFile {
  audit::OpProof proof;
  std::vector<Bytes> inputs;
  std::vector<TensorSpec> specs;

  explicit ProofFile(const fs::path& path) {
    const trace::SegmentReader reader(path);
    proof = audit::parse_op_proof(reader.read_text(audit::kProofIndex, 1 << 24));
    for (std::size_t i = 0; reader.has(audit::proof_input_dataset(i)); ++i)
      for (const auto& entry : reader.entries())
        if (entry.path == audit::proof_input_dataset(i)) {
          inputs.push_back(reader.read(entry.path, entry.dtype, entry.shape));
          specs.push_back({"", entry.dtype, entry.shape});
        }
  }
  fs::path write() const {
    const fs::path path = new_path("-changed.h5");
    write_op_proof(path, proof, inputs, specs);
    return path;
  }
};

// A true proof of a false operation, of the kind that has most to say: lists, matrices, numbers of the step.
fs::path true_proof(const Dispute& dispute, const Cell& cell, OpKind kind) {
  OpList list = dispute.list(cell);
  forge(list, place_of(list, kind).value());
  const fs::path proof = new_path("-proof.h5");
  EXPECT_EQ(dispute.bisect(dispute.sign(list), proof).result, Result::kDiffers);
  return proof;
}

TEST(OpProof, AnyBitThatChangesIsNoProof) {
  rows({10});
  const Dispute dispute;
  const fs::path proof = true_proof(dispute, kLayer, OpKind::kAttention);
  expect_only(check(proof), Code::kOp);
  std::mt19937_64 random(7);
  const std::uint64_t size = fs::file_size(proof);
  for (int i = 0; i < 150; ++i) {
    const std::uint64_t bit = random() % (8 * size);
    flip_bit(proof, bit);
    expect_only(check(proof), Code::kUnattributed);
    flip_bit(proof, bit);
  }
  fs::resize_file(proof, size - 1);
  expect_only(check(proof), Code::kUnattributed);
}

// In the right form again, so that the file's own digest does not stop it.
TEST(OpProof, WhatACourierWritesIsNoProof) {
  rows({4, 10});
  const Dispute dispute, other(RunShape{.seed = 8});
  const ProofFile honest(true_proof(dispute, kTied, OpKind::kCrossEntropy));
  const auto expect_nothing = [&](const char* what, const std::function<void(ProofFile&)>& lie) {
    ProofFile changed = honest;
    lie(changed);
    const audit::Verdict verdict = check(changed.write());
    EXPECT_EQ(verdict.outcome, Outcome::kIncomplete) << what << describe(verdict);
    expect_only(verdict, Code::kUnattributed);
  };
  std::mt19937_64 random(9);
  for (std::size_t i = 0; i < honest.inputs.size(); ++i)
    expect_nothing("an input",
                   [&](ProofFile& p) { p.inputs[i][random() % p.inputs[i].size()] ^= std::byte{4}; });
  expect_nothing("an input less", [](ProofFile& p) { p.inputs.pop_back(), p.specs.pop_back(); });
  expect_nothing("a shape", [](ProofFile& p) { std::swap(p.specs[1].shape[0], p.specs[1].shape[1]); });
  expect_nothing("a type", [](ProofFile& p) { p.specs[0].dtype = DType::kF32; });
  expect_nothing("an output", [](ProofFile& p) {
    char& digit = p.proof.entry[p.proof.entry.find("\"out\":[\"") + 8];
    digit = digit == 'f' ? '0' : 'f';
  });
  expect_nothing("the tokens",
                 [](ProofFile& p) { p.proof.entry.insert(p.proof.entry.find("\"tokens\":") + 9, "1"); });
  expect_nothing("the index", [](ProofFile& p) { p.proof.index += 1; });
  expect_nothing("the count", [](ProofFile& p) { p.proof.head.count += 1; });
  expect_nothing("the cell", [](ProofFile& p) { p.proof.head.cell.block = 1; });
  expect_nothing("the root", [](ProofFile& p) { p.proof.head.root.bytes[0] ^= 1; });
  expect_nothing("the path", [](ProofFile& p) { p.proof.path[1].bytes[0] ^= 1; });
  expect_nothing("a leaf", [](ProofFile& p) { p.proof.leaves[1].text[40] ^= 1; });
  expect_nothing("a leaf's proof", [](ProofFile& p) { p.proof.leaves[0].proof[0].bytes[0] ^= 1; });
  expect_nothing("no step", [](ProofFile& p) { p.proof.leaves.pop_back(); });
  expect_nothing("no manifest", [](ProofFile& p) { p.proof.leaves.erase(p.proof.leaves.begin()); });
  expect_nothing("another step", [&](ProofFile& p) { p.proof.leaves[1].index += 1; });
  expect_nothing("another run's note", [&](ProofFile& p) { p.proof.note = other.challenge.note; });
  expect_nothing("another run's signature",
                 [&](ProofFile& p) { p.proof.signature = other.list(kTied).signature; });
  expect_nothing("the note's own signature", [&](ProofFile& p) { p.proof.signature = p.proof.note; });
}

// The proof that a courier makes of an honest list, once for each operation of a kind that the cell has.
void expect_no_proof(const Dispute& dispute, const Cell& cell) {
  const OpList honest = dispute.list(cell);
  std::set<OpKind> kinds;
  for (const OpEntry& entry : honest.entries) kinds.insert(entry.kind);
  for (const OpKind kind : kinds) {
    const std::size_t place = place_of(honest, kind).value();
    OpList false_list = honest;
    forge(false_list, place);
    const fs::path proof = new_path("-proof.h5");
    if (dispute.bisect(dispute.sign(false_list), proof).result != Result::kDiffers) continue;  // an end
    ProofFile courier(proof);
    const auto tree = honest.tree();
    courier.proof.head = honest.head();
    courier.proof.signature = honest.signature;
    courier.proof.entry = to_text(honest.entries[place]);
    courier.proof.path = tree.inclusion(place, tree.size());
    const audit::Verdict verdict = check(courier.write());
    expect_only(verdict, Code::kUnattributed);
    EXPECT_NE(verdict.reasons.at(0).detail.find("what is signed is what it gives"), std::string::npos)
        << verdict.reasons.at(0).detail;
  }
}

TEST(OpProof, OfAnHonestOperationIsNoProof) {
  rows({10});
  const Dispute tied, packed({.tied = false, .packing = true});
  for (const Cell& cell : {kLayer, kTied}) expect_no_proof(tied, cell);
  for (const int block : {0, 1, 3}) expect_no_proof(packed, {block, 1});
}

TEST(OpProof, TakesNoMoreMemoryThanItMay) {
  const Dispute dispute;
  const fs::path proof = true_proof(dispute, kLayer, OpKind::kLinear);
  expect_only(check(proof, 1 << 20), Code::kOp);
  const audit::Verdict verdict = check(proof, 1 << 8);
  expect_only(verdict, Code::kUnattributed);
  EXPECT_NE(verdict.reasons.at(0).detail.find("more than 256 bytes"), std::string::npos);
}

// A provider that signs what no operation can be of harms no one, its auditors included.
TEST(OpProof, ClaimedSizesTakeNothing) {
  rows({36});
  const Dispute dispute;
  // Of a matrix that is not square, so that no other operation fits the inputs.
  OpList lie = dispute.list(kLayer);
  std::size_t at = lie.entries.size() / 2;
  while (lie.entries[at].kind != OpKind::kLinear || !lie.entries[at].at.ends_with("up_proj.weight")) ++at;
  forge(lie, at);
  const fs::path proof = new_path("-proof.h5");
  ASSERT_EQ(dispute.bisect(dispute.sign(lie), proof).result, Result::kDiffers);
  const ProofFile honest(proof);
  const auto expect_nothing = [&](const std::function<void(OpEntry&)>& claim) {
    ProofFile changed = honest;
    OpList list{.cell = kLayer, .entries = {audit::parse_op_entry(honest.proof.entry)}, .signature = ""};
    claim(list.entries[0]);
    list = dispute.sign(list);
    changed.proof.head = list.head();
    changed.proof.signature = list.signature;
    changed.proof.index = 0;
    changed.proof.entry = to_text(list.entries[0]);
    changed.proof.path = {};
    expect_only(check(changed.write()), Code::kUnattributed);
  };
  expect_nothing([](OpEntry& e) { e.tokens = kMaxJsonInteger; });
  expect_nothing([](OpEntry& e) { e.tokens = 0; });
  expect_nothing([](OpEntry& e) { e.step = kMaxJsonInteger; });
  expect_nothing([](OpEntry& e) { e.at = "model.norm.weight"; });
  expect_nothing([](OpEntry& e) { e.at = "no.such.weight"; });
  expect_nothing([](OpEntry& e) { e.in.clear(); });
  expect_nothing([](OpEntry& e) { e.out.clear(); });
  expect_nothing([](OpEntry& e) { e.in.resize(3); });
  for (int kind = 0; kind <= static_cast<int>(OpKind::kMeanLoss); ++kind)
    if (static_cast<OpKind>(kind) != OpKind::kLinear)
      expect_nothing([kind](OpEntry& e) { e.kind = static_cast<OpKind>(kind); });
}

}  // namespace
}  // namespace aftune::attacks
