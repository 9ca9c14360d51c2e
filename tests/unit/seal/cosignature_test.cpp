#include "seal/cosignature.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "faults.h"
#include "hash/merkle.h"

namespace aftune::seal {
namespace {

using testing_support::usage;

// The vector of the key with seed 00..1f over the 8-leaf checkpoint at 1700000000.
constexpr std::string_view kVkey = "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
constexpr std::string_view kNote =
    "example.com/log\n"
    "8\n"
    "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
    "\n"
    "— example.com/log "
    "1FXFIQghEbt48JV0nbbvyoj51oOGWi8PWVu51z3js1zWy2qLhh2zcvy6M2X+e8pEVRpGR/9z7MVVru29jIzLkdPuEwg=\n";
constexpr std::string_view kLine =
    "— witness.example/w1 "
    "519lMgAAAABlU/EAfStwSUVx3/ravawXTb4/"
    "XL+GUjg0vFCezhd86mvh9E5Q34cl6+cGbzffgN2zd6N+3KIa/2cCA813+YS8cqUUAw==\n";
constexpr std::uint64_t kTime = 1700000000;

SecretKey witness_key(std::uint8_t first = 0, std::string name = "witness.example/w1") {
  std::array<std::uint8_t, 32> seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  seed[0] = first;
  return SecretKey::from_seed(std::move(name), seed, KeyUse::kWitness);
}

Note cosigned() {
  return Note::parse(cat(kNote, kLine));
}

TEST(Cosignature, Vector) {
  const SecretKey key = witness_key();
  EXPECT_EQ(key.public_key().vkey(), kVkey);
  EXPECT_EQ(PublicKey::parse(kVkey, KeyUse::kWitness).vkey(), kVkey);
  Note note = Note::parse(kNote);
  note.signatures.push_back(cosign(note, key, kTime));
  EXPECT_EQ(note.to_text(), cat(kNote, kLine));
  const std::vector<Cosignature> seen = check_cosignatures(note, {key.public_key()});
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].name, "witness.example/w1");
  EXPECT_EQ(seen[0].time, kTime);
  EXPECT_TRUE(seen[0].valid);
  EXPECT_EQ(count_witnesses(note, {key.public_key()}), 1);
}

TEST(Cosignature, EveryBitOfDamageFailsToVerify) {
  const std::vector<PublicKey> witnesses{witness_key().public_key()};
  for (std::size_t bit = 0; bit < 72 * 8; ++bit) {
    Note note = cosigned();
    note.signatures[1].signature[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto seen = check_cosignatures(note, witnesses);
    ASSERT_EQ(seen.size(), 1u);
    ASSERT_FALSE(seen[0].valid) << bit;
    ASSERT_EQ(count_witnesses(note, witnesses), 0);
  }
  Note note = cosigned();
  note.text[0] ^= 1;
  EXPECT_FALSE(check_cosignatures(note, witnesses)[0].valid);
}

TEST(Cosignature, LinesOfAnotherLengthAreListedAndNotCounted) {
  const std::vector<PublicKey> witnesses{witness_key().public_key()};
  for (const int change : {-72 + 1, -64, -8, -1, 1, 64}) {
    Note note = cosigned();
    auto& blob = note.signatures[1].signature;
    blob.resize(static_cast<std::size_t>(static_cast<int>(blob.size()) + change));
    const auto seen = check_cosignatures(note, witnesses);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_FALSE(seen[0].valid) << change;
    EXPECT_EQ(seen[0].time, 0u);
  }
}

TEST(Cosignature, OneWitnessCountsOnce) {
  const SecretKey one = witness_key(), two = witness_key(1, "witness.example/w2");
  const std::vector<PublicKey> both{one.public_key(), two.public_key()};
  Note note = cosigned();
  for (std::uint64_t time : {kTime, kTime + 1, std::uint64_t{0}, kLatestTime})
    note.signatures.push_back(cosign(note, one, time));
  EXPECT_EQ(check_cosignatures(note, both).size(), 5u);
  EXPECT_EQ(count_witnesses(note, both), 1);
  note.signatures.push_back(cosign(note, two, kTime));
  EXPECT_EQ(count_witnesses(note, both), 2);
  // A line that fails beside one that holds does not take the witness away: anyone can add one.
  note.signatures.push_back(note.signatures.back());
  note.signatures.back().signature[20] ^= std::byte{1};
  EXPECT_EQ(check_cosignatures(note, both).size(), 7u);
  EXPECT_FALSE(check_cosignatures(note, both).back().valid);
  EXPECT_EQ(count_witnesses(note, both), 2);
  // Only who was asked about counts.
  EXPECT_EQ(count_witnesses(note, {two.public_key()}), 1);
  EXPECT_EQ(count_witnesses(note, {}), 0);
}

// The signed message does not say the name: under a second name of the same key the signature verifies too.
TEST(Cosignature, OneKeyUnderTwoNamesIsOneWitness) {
  const SecretKey one = witness_key(), alias = witness_key(0, "witness.example/alias");
  Note note = cosigned();
  note.signatures.push_back(note.signatures[1]);
  note.signatures[2].name = alias.public_key().name();
  note.signatures[2].id = alias.public_key().id();
  const std::vector<PublicKey> both{one.public_key(), alias.public_key()};
  EXPECT_TRUE(check_cosignatures(note, both)[1].valid);
  EXPECT_EQ(count_witnesses(note, both), 1);
  EXPECT_EQ(usage([&] {
              parse_witnesses({one.public_key().vkey(), alias.public_key().vkey()});
            }),
            "witnesses witness.example/w1 and witness.example/alias have one key");
}

// The key ID covers the use: neither signature can be passed off as the other.
TEST(Cosignature, ALogsKeyIsNoWitnesss) {
  std::array<std::uint8_t, 32> seed{};
  const SecretKey log = SecretKey::from_seed("example.com/log", seed);
  const SecretKey same = SecretKey::from_seed("example.com/log", seed, KeyUse::kWitness);
  EXPECT_NE(log.public_key().id(), same.public_key().id());
  const Note note = Note::parse(kNote);
  EXPECT_EQ(usage([&] { cosign(note, log, 1); }),
            "the key of example.com/log is a log's and cosigns nothing");
  EXPECT_EQ(usage([&] { sign_checkpoint(Checkpoint::parse(note.text), same); }),
            "the key of example.com/log is a witness's and seals no log");
  EXPECT_EQ(usage([&] { parse_witnesses({log.public_key().vkey()}); }),
            "witness: the key of example.com/log is a log's, not a witness's");
  EXPECT_THROW(PublicKey::parse(same.public_key().vkey()), Error);
  EXPECT_EQ(check_note(sign_checkpoint(Checkpoint::parse(note.text), log), same.public_key()),
            NoteCheck::kNoSignature);
  Note cosigned = note;
  cosigned.signatures.push_back(cosign(note, same, 1));
  EXPECT_EQ(count_witnesses(cosigned, {log.public_key()}), 0);
}

TEST(Cosignature, WhatAWitnessDoesNotSign) {
  const SecretKey key = witness_key();
  Note note = Note::parse(kNote);
  EXPECT_EQ(usage([&] { cosign(note, key, kLatestTime + 1); }), "a cosignature's time is after 2^63 - 1");
  note.text += "extension\n";
  EXPECT_THROW(cosign(note, key, 1), Error);
}

TEST(Cosignature, SecretKeysKeepTheirUse) {
  const auto passphrase = [] { return std::string("p"); };
  const SecretKey key = witness_key();
  EXPECT_EQ(SecretKey::parse(key.to_text(""), passphrase).public_key().vkey(), kVkey);
  EXPECT_EQ(SecretKey::parse(key.to_text("p"), passphrase).public_key().vkey(), kVkey);
  EXPECT_EQ(key.to_text("").substr(0, 41), "PRIVATE+KEY+witness.example/w1+e75f6532+B");
}

}  // namespace
}  // namespace aftune::seal
