#include "audit/evidence_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "hash/blake3.h"
#include "scratch.h"

namespace aftune::audit {
namespace {

const std::string kOrigin = "audit.example/acme/00112233445566778899aabbccddeeff";

seal::SecretKey key() {
  return seal::SecretKey::from_seed("audit.example/acme", {1});
}

void add_text(trace::SegmentWriter& segment, const std::string& path, const std::string& text) {
  segment.add(path, DType::kU8, {std::ssize(text)}, as_bytes(text), trace::Packing::kRaw);
}

// Evidence of `named`, signed, with the datasets of `held`, each of zeros.
bool is_signed(const std::map<std::string, std::int64_t>& named,
               const std::map<std::string, std::int64_t>& held) {
  const testing_support::Scratch scratch("evidence");
  trace::SegmentWriter segment(scratch / "e.h5");
  EvidenceIndex index;
  for (const auto& [path, count] : named)
    index.datasets[path] = hash::blake3(ByteView(Bytes(static_cast<std::size_t>(count))));
  for (const auto& [path, count] : held)
    segment.add(path, DType::kU8, {count}, Bytes(static_cast<std::size_t>(count)), trace::Packing::kZstd);
  add_text(segment, kEvidenceIndex, to_text(index));
  add_text(segment, kEvidenceSignature, sign_evidence(to_text(index), kOrigin, key()));
  segment.commit();
  return EvidenceFile(scratch / "e.h5").is_signed_by(key().public_key(), kOrigin);
}

TEST(EvidenceFile, IsTheProvidersIfItHoldsWhatTheSignedIndexNames) {
  EXPECT_TRUE(is_signed({}, {}));
  EXPECT_TRUE(is_signed({{"/a", 5}, {"/b", 1 << 20}}, {{"/a", 5}, {"/b", 1 << 20}}));
  EXPECT_FALSE(is_signed({{"/a", 5}}, {{"/a", 6}}));
  EXPECT_FALSE(is_signed({{"/a", 5}}, {}));
  EXPECT_FALSE(is_signed({}, {{"/a", 5}}));
  EXPECT_FALSE(is_signed({{"/a", 5}}, {{"/b", 5}}));
}

// What no one can afford to hash is no one's. It used to be unpacked whole, before its name was looked at.
TEST(EvidenceFile, ASignedBombIsNobodys) {
  constexpr std::int64_t kBig = std::int64_t{64} << 20;
  EXPECT_FALSE(is_signed({{"/a", kBig}}, {{"/a", kBig}}));
}

// Whatever ends the process that parses the file, the file is what is wrong.
TEST(EvidenceFile, WhatEndsItsReaderIsOfNoForm) {
  const testing_support::Scratch scratch("evidence");
  trace::SegmentWriter segment(scratch / "e.h5");
  segment.add(evidence_state_dataset(0, "w"), DType::kF32, {2}, Bytes(8), trace::Packing::kZstd);
  add_text(segment, kEvidenceIndex, to_text(EvidenceIndex{}));
  segment.commit();
  EvidenceFile evidence(scratch / "e.h5");
  Bytes tensor(8);
  evidence.read_state(0, {"w", DType::kF32, {2}}, 0, tensor);
  std::ifstream children(cat("/proc/self/task/", ::gettid(), "/children"));
  pid_t child = -1, other = -1;
  ASSERT_TRUE(children >> child);
  ASSERT_FALSE(children >> other);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  for (int again = 0; again < 2; ++again) {
    try {
      evidence.read_state(0, {"w", DType::kF32, {2}}, 0, tensor);
      ADD_FAILURE() << "read";
    } catch (const Rejection& rejection) {
      EXPECT_EQ(rejection.reason.code, Code::kFormat);
      EXPECT_NE(rejection.reason.detail.find("the process that reads it was killed (SIGKILL)"),
                std::string::npos)
          << rejection.reason.detail;
    }
  }
  EXPECT_FALSE(evidence.is_signed_by(key().public_key(), kOrigin));
}

}  // namespace
}  // namespace aftune::audit
