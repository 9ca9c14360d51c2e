#include "audit/op_list.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

seal::SecretKey key_named(const std::string& name, std::uint8_t seed) {
  std::array<std::uint8_t, 32> bytes{};
  bytes[0] = seed;
  return seal::SecretKey::from_seed(name, bytes);
}

OpList some_list() {
  OpList list{.cell = {2, 5}, .entries = {}, .signature = "a note\n"};
  for (int kind = 0; kind <= static_cast<int>(model::OpKind::kMeanLoss); ++kind)
    list.entries.push_back({.step = 10 + kind,
                            .row = kind % 4 - 1,
                            .kind = static_cast<model::OpKind>(kind),
                            .at = "model.norm.weight",
                            .tokens = 7,
                            .in = {hash::blake3("in"), hash::blake3(std::to_string(kind))},
                            .out = {hash::blake3("out")}});
  return list;
}

TEST(OpList, TextAndBack) {
  const OpList list = some_list();
  const OpList read = parse_op_list(to_text(list));
  EXPECT_EQ(read.cell, list.cell);
  EXPECT_EQ(read.entries, list.entries);
  EXPECT_EQ(read.signature, list.signature);
  EXPECT_EQ(read.head().root, list.head().root);
  for (const OpEntry& entry : list.entries) EXPECT_EQ(parse_op_entry(to_text(entry)), entry);
}

TEST(OpList, EveryOperationHasItsOwnName) {
  for (const OpEntry& entry : some_list().entries) EXPECT_EQ(op_kind_from_name(name(entry.kind)), entry.kind);
  EXPECT_THROW(op_kind_from_name("linear/1"), Error);
  EXPECT_THROW(op_kind_from_name(""), Error);
}

TEST(OpList, OnlyTheCanonicalTextIsRead) {
  const std::string text = to_text(some_list());
  const auto refuse = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    const std::size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    EXPECT_THROW(parse_op_list(changed), Error) << to;
  };
  refuse("{", "{ ");
  refuse("\n", "");
  refuse("\n", "\n\n");
  refuse("aftune-ops/1", "aftune-ops/2");
  refuse("\"cell\":[2,5]", "\"cell\":[2]");
  refuse("\"cell\":[2,5]", "\"cell\":[-2,5]");
  refuse("\"embedding\"", "\"embeding\"");
  refuse("\"row\":-1", "\"row\":-2");
  refuse("\"step\":10", "\"step\":1e1");
  refuse("\"tokens\":7", "\"token\":7");
  refuse("\"signature\":", "\"signed\":");
  EXPECT_THROW(parse_op_list(R"({"cell":[2,5],"ops":[],"signature":"","type":"aftune-ops/1"})"
                             "\n"),
               Error);
}

// What is signed is the cell of one log, the number of operations and each of them.
TEST(OpList, SignatureBindsAllOfIt) {
  const seal::SecretKey key = key_named("audit.example/acme", 1);
  const seal::Checkpoint checkpoint{"audit.example/acme/00", 9, hash::blake3("root")};
  const OpList list = some_list();
  const std::string note = sign_ops(list.head(), checkpoint, key);
  const auto holds = [&](const OpListHead& head, const seal::Checkpoint& log, const seal::PublicKey& by) {
    return is_ops_signature(note, head, log, by);
  };
  EXPECT_TRUE(holds(list.head(), checkpoint, key.public_key()));
  EXPECT_FALSE(holds(list.head(), checkpoint, key_named("audit.example/acme", 2).public_key()));
  for (const auto& [origin, size, root] : {std::tuple("audit.example/acme/01", 9, "root"),
                                           {"audit.example/acme/00", 10, "root"},
                                           {"audit.example/acme/00", 9, "another"}})
    EXPECT_FALSE(
        holds(list.head(), {origin, static_cast<std::uint64_t>(size), hash::blake3(root)}, key.public_key()));
  OpList changed = list;
  changed.cell.block = 3;
  EXPECT_FALSE(holds(changed.head(), checkpoint, key.public_key()));
  changed = list;
  changed.entries[3].out[0].bytes[31] ^= 1;
  EXPECT_FALSE(holds(changed.head(), checkpoint, key.public_key()));
  changed = list;
  std::swap(changed.entries[3], changed.entries[4]);
  EXPECT_FALSE(holds(changed.head(), checkpoint, key.public_key()));
  EXPECT_FALSE(is_ops_signature("", list.head(), checkpoint, key.public_key()));
}

}  // namespace
}  // namespace aftune::audit
