#include "record/salts.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::record {
namespace {

RunSecret secret_of(std::string_view text) {
  return hash::blake3(text);
}

BlockState frozen_block(const std::string& first, const std::string& second) {
  const Digest weights = hash::blake3("the same weights"), zeros = hash::blake3("zeros");
  return {{{first, DType::kF32, {2}}, {second, DType::kF32, {2}}},
          {weights, weights},
          {{first + ".exp_avg", DType::kF32, {2}}, {second + ".exp_avg", DType::kF32, {2}}},
          {zeros, zeros}};
}

// The layout of docs/trace.md, "Hiding", written once more by hand.
TEST(Salts, AreKeyedHashesOfLeafRoleIndexAndName) {
  const RunSecret secret = secret_of("secret");
  const std::string text("\x05\x01\0\0\0\0\0\0parameter\0\x02\0\0\0\0\0\0\0w.1", 29);
  ASSERT_EQ(text.size(), 8u + 9 + 1 + 8 + 3);
  const Digest salt = SecretSalts(secret).salt({0x105, Role::kParameter, 2, "w.1"});
  EXPECT_EQ(salt, hash::blake3_keyed(secret, as_bytes(text)));
  std::string material = "aftune/hide/1";
  for (const Digest& part : {salt, secret}) material += as_text(as_bytes(part));
  EXPECT_EQ(hidden(salt, secret), hash::blake3(material));
}

// The worked example there.
TEST(Salts, AreThoseOfTheDocument) {
  RunSecret secret;
  for (std::size_t i = 0; i < secret.bytes.size(); ++i) secret.bytes[i] = static_cast<std::uint8_t>(i);
  const Digest w = digest_from_hex("54847fa2028a3457068a78ba8e6a086cccf672def025d7e4cb2761b538edbf3f");
  const SecretSalts salts(secret);
  const SaltName name{5, Role::kParameter, 2, "w"};
  EXPECT_EQ(to_hex(salts.salt(name)), "a3cc0dfc6ce52ca2a1aa4df2543e9d199cc6b5f6ca5689b312d1b18843349949");
  EXPECT_EQ(to_hex(published(&salts, name, w)),
            "e25d3335c2c0716d9270afb7210fd145062a1349cc21e12e04923ed61e0e848a");
  EXPECT_EQ(to_hex(secret_check(secret)), "f917ce1fa0e25060074ac8925974993ddb0c2eab7085cfb89e83fc1a72898106");
}

TEST(Salts, DifferInEachOfTheirParts) {
  const SecretSalts salts(secret_of("a")), others(secret_of("b"));
  std::set<Digest> seen = {others.salt({1, Role::kTokens})};
  std::size_t count = 1;
  for (const std::int64_t leaf : {0, 1, 256})
    for (int role = 0; role <= static_cast<int>(Role::kFile); ++role)
      for (const std::int64_t index : {0, 1})
        for (const char* name : {"", "w", "w1"}) {
          seen.insert(salts.salt({leaf, static_cast<Role>(role), index, name}));
          ++count;
        }
  EXPECT_EQ(seen.size(), count);
}

TEST(Salts, WithoutThemADigestIsPublishedAsItIs) {
  const Digest digest = hash::blake3("x");
  EXPECT_EQ(published(nullptr, {3, Role::kLabels}, digest), digest);
  const SecretSalts salts(secret_of("a"));
  EXPECT_NE(published(&salts, {3, Role::kLabels}, digest), digest);
  const BlockState block = frozen_block("v", "w");
  EXPECT_EQ(publish_block(block, nullptr, 9, 0).digest, block_digest(block));
}

// Frozen weights, zero moments, and a second run: nothing that is published says so.
TEST(Salts, EqualTensorsHaveNoEqualPublishedValues) {
  std::set<Digest> seen;
  std::size_t count = 0;
  const auto see = [&](const Digest& digest) {
    seen.insert(digest);
    ++count;
  };
  for (const char* run : {"one", "two"}) {
    const SecretSalts salts(secret_of(run));
    for (const std::int64_t leaf : {4, 7})
      for (const int block : {0, 1}) {
        const PublishedBlock p = publish_block(frozen_block("v", "w"), &salts, leaf, block);
        for (const Digest& parameter : p.parameters) see(parameter);
        see(p.moments);
        see(p.digest);
      }
  }
  EXPECT_EQ(seen.size(), count);
}

// So that base and state 0, export and last state can be compared in the log alone.
TEST(Salts, AreNotUsedForStateZeroAndLieInsideABlocksDigest) {
  const SecretSalts salts(secret_of("a"));
  const BlockState block = frozen_block("v", "w");
  EXPECT_EQ(publish_block(block, &salts, 1, 0).digest, block_digest(block));
  const PublishedBlock p = publish_block(block, &salts, 9, 0);
  EXPECT_EQ(p.digest, block_digest(list_digest(block.parameter_specs, p.parameters), p.moments));
}

TEST(Salts, HaveNamesThatAreReadStrictly) {
  EXPECT_EQ(to_text({12, Role::kActivation, 3}), "12/activation/3/");
  EXPECT_EQ(to_text({12, Role::kFile, 0, "a/b"}), "12/file/0/a/b");
  for (const char* good :
       {"0/data/0/", "12/activation/3/", "9/parameter/0/model.norm.weight", "9/file/0/a/b"})
    EXPECT_TRUE(is_salt_name(good)) << good;
  for (const char* bad :
       {"", "/", "0", "0/data", "0/data/", "0/data/0", "00/data/0/", "-1/data/0/", "0/rows/0/", "0/data/01/",
        "x/data/0/", " 0/data/0/", "0//0/", "99999999999999999999/data/0/"})
    EXPECT_FALSE(is_salt_name(bad)) << bad;
}

TEST(Salts, TheManifestNamesTheSecretWithoutGivingItAway) {
  const RunSecret secret = secret_of("secret");
  EXPECT_EQ(secret_check(secret), hash::blake3_derive_key("aftune/hiding-key/1", as_bytes(secret)));
  EXPECT_NE(secret_check(secret), secret_check(secret_of("other")));
}

}  // namespace
}  // namespace aftune::record
