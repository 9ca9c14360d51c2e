#include "record/serving.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "digests.h"
#include "faults.h"
#include "hash/blake3.h"

namespace aftune::record {
namespace {

using testing_support::digest;
using testing_support::fault_of;
ServingManifest small_manifest() {
  ServingManifest m;
  m.run = "000102030405060708090a0b0c0d0e0f";
  m.created = 1700000000;
  m.software = "aftune 0.1.0";
  m.config = "{}";
  m.base = {DType::kBF16, {digest(1), digest(2)}, digest(3)};
  m.tokenizer = digest(4);
  m.template_ = "{{ x }}";
  m.eos = {2, 7};
  m.default_tokens = 256;
  m.most_tokens = 4096;
  m.layers_per_block = 2;
  m.profile = "i14";
  m.ops = {"add/1", "rmsnorm/1"};
  m.merge_delay = 60;
  m.hiding_key = digest(5);
  return m;
}

Exchange small_exchange() {
  return {.endpoint = "batch",
          .request = "{\"prompt\":\"Caf\xc3\xa9\"}",
          .ask = 1,
          .prompt = {1, 300},
          .tokens = {5, 2},
          .text = "a\n\xe2\x82\xac",
          .finish = "stop"};
}

TEST(ServingManifest, ReadsWhatItWrites) {
  ServingManifest m = small_manifest();
  EXPECT_EQ(to_leaf(parse_serving_manifest(to_leaf(m))), to_leaf(m));
  EXPECT_FALSE(parse_serving_manifest(to_leaf(m)).lineage);
  m.lineage = Lineage{"acme.example/00", 9, digest(6), 8};
  EXPECT_EQ(parse_serving_manifest(to_leaf(m)).lineage, m.lineage);
  EXPECT_EQ(kind_of_leaf(to_leaf(m)), "serving-manifest");
}

TEST(ServingManifest, RefusesWhatIsNotOne) {
  const Json whole = Json::parse(to_leaf(small_manifest()));
  for (const auto& [key, value] : whole.items()) {
    Json without = whole;
    without.erase(key);
    EXPECT_EQ(fault_of([&] { parse_serving_manifest(canonical_json(without)); }), Fault::kEvidence) << key;
    Json other = whole;
    other[key] = Json::array({-1});
    EXPECT_EQ(fault_of([&] { parse_serving_manifest(canonical_json(other)); }), Fault::kEvidence) << key;
  }
  Json extra = whole;
  extra["zzz"] = 1;
  EXPECT_EQ(fault_of([&] { parse_serving_manifest(canonical_json(extra)); }), Fault::kEvidence);
  Json eos = whole;
  eos["eos"] = {7, 2};
  EXPECT_EQ(fault_of([&] { parse_serving_manifest(canonical_json(eos)); }), Fault::kEvidence);
  Json defaults = whole;
  defaults["default_tokens"] = 5000;
  EXPECT_EQ(fault_of([&] { parse_serving_manifest(canonical_json(defaults)); }), Fault::kEvidence);
}

TEST(RequestLeaf, SaysNothingThatSaltsDoNotOpen) {
  const Exchange exchange = small_exchange();
  const SecretSalts salts(digest(9));
  const RequestLeaf leaf = publish(exchange, {digest(1), digest(2)}, 7, 1700000000, salts);
  const std::string text = to_leaf(leaf);
  EXPECT_EQ(to_leaf(parse_request(text, 2)), text);
  EXPECT_EQ(fault_of([&] { parse_request(text, 3); }), Fault::kEvidence);
  EXPECT_EQ(leaf.prompt_tokens, 2);
  EXPECT_EQ(leaf.answer_tokens, 2);
  EXPECT_EQ(text.find(to_hex(request_digest(exchange))), std::string::npos);
  EXPECT_EQ(leaf.request, hidden(salts.salt({7, Role::kRequest}), request_digest(exchange)));
  EXPECT_EQ(leaf.activations[1], hidden(salts.salt({7, Role::kActivation, 1}), digest(2)));
  // The same answer once more has another leaf.
  EXPECT_NE(publish(exchange, {digest(1)}, 8, 1700000000, salts).answer, leaf.answer);
}

TEST(Exchange, EveryPartDecidesItsDigest) {
  const Exchange whole = small_exchange();
  EXPECT_EQ(request_digest(whole), hash::blake3(whole.request));
  const auto differs = [&](auto&& change) {
    Exchange other = whole;
    change(other);
    return answer_digest(other) != answer_digest(whole);
  };
  EXPECT_TRUE(differs([](Exchange& e) { e.text += ' '; }));
  EXPECT_TRUE(differs([](Exchange& e) { e.tokens.back() = 3; }));
  EXPECT_TRUE(differs([](Exchange& e) { e.finish = "length"; }));
  EXPECT_TRUE(differs([](Exchange& e) { e.endpoint = "chat"; }));
  EXPECT_TRUE(differs([](Exchange& e) { e.ask = 0; }));
  EXPECT_EQ(to_journal(3, parse_journal(to_journal(3, whole)).exchange), to_journal(3, whole));
  EXPECT_EQ(fault_of([&] { parse_journal("{\"leaf\":1}"); }), Fault::kEvidence);
}

// docs/serving.md, "Receipts" and "Rows and answers"; an independent program made the digests.
TEST(Exchange, IsThatOfTheDocumentation) {
  const Exchange exchange{.endpoint = "batch",
                          .request = R"({"prompt":"row 1 of","max_tokens":6,"temperature":0})",
                          .ask = 0,
                          .prompt = {114, 111, 119, 32, 49, 32, 111, 102},
                          .tokens = {116, 104, 101, 32, 100},
                          .text = "the d",
                          .finish = "length"};
  Digest counting;
  for (std::size_t i = 0; i < counting.bytes.size(); ++i) counting.bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(to_hex(request_digest(exchange)),
            "cdb65560b94001a150888ba8fedc0e749ba1ae22af86e349594f4111de65c93a");
  EXPECT_EQ(to_hex(prompt_digest(exchange)),
            "f6320b5b2451f9a5bf78e3965632e20fab0479ea123bebc552430f12b4a88930");
  EXPECT_EQ(to_hex(answer_digest(exchange)),
            "acc8ac80c0e26a5d89512acb3e67df7cd1ef4f9b673db0086e6e1aa5846c39c9");
  const RequestLeaf leaf = publish(exchange, {}, 1, 0, SecretSalts(counting));
  EXPECT_EQ(to_hex(leaf.request), "5485553c8e256498533279869213a4d98d8c4daebac51f97a8379f59fdba8a24");
  EXPECT_EQ(to_hex(leaf.prompt), "4e9ce0d9a1fa0fa8a0cb1499f7181bbf9b0f68cefc4ae265c0bda4daa291fc87");
  EXPECT_EQ(to_hex(leaf.answer), "e69664ba14098ebb661d78130ce86fc81279038ee8a5de5578cb3ac36672ad85");
  EXPECT_EQ(seed_of_request(counting, request_digest(exchange)), 17955200766754730322u);
}

TEST(ServingFinal, ReadsWhatItWrites) {
  const ServingFinal f{.answers = 3, .prompt_tokens = 40, .answer_tokens = 50};
  EXPECT_EQ(to_leaf(parse_serving_final(to_leaf(f))), to_leaf(f));
}

TEST(SeedOfRequest, DependsOnBothSides) {
  const std::uint64_t seed = seed_of_request(digest(1), digest(2));
  EXPECT_NE(seed, seed_of_request(digest(1), digest(3)));
  EXPECT_NE(seed, seed_of_request(digest(3), digest(2)));
  EXPECT_EQ(seed, seed_of_request(digest(1), digest(2)));
}

}  // namespace
}  // namespace aftune::record
