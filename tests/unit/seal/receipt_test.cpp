#include "seal/receipt.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "digests.h"
#include "seal/note.h"

namespace aftune::seal {
namespace {

using testing_support::digest;
SecretKey key() {
  return SecretKey::from_seed("audit.example/acme", {1, 2, 3});
}

Receipt small_receipt() {
  return {.origin = "audit.example/acme/00",
          .index = 12,
          .leaf = digest(1),
          .model = digest(2),
          .request = digest(3),
          .answer = digest(4),
          .time = 1700000000,
          .merge_by = 1700000060};
}

TEST(Receipt, IsWhatItsKeySigned) {
  const SignedReceipt made = sign_receipt(small_receipt(), key());
  EXPECT_TRUE(made.verify(key().public_key()));
  EXPECT_FALSE(made.verify(SecretKey::from_seed("audit.example/acme", {9}).public_key()));
  EXPECT_FALSE(made.verify(SecretKey::from_seed("audit.example/other", {1, 2, 3}).public_key()));
  const SignedReceipt read = SignedReceipt::from_json(made.to_json());
  EXPECT_EQ(read.receipt, made.receipt);
  EXPECT_TRUE(read.verify(key().public_key()));
}

TEST(Receipt, EveryFieldIsSigned) {
  const SignedReceipt made = sign_receipt(small_receipt(), key());
  const std::vector<std::function<void(Receipt&)>> changes = {
      [](Receipt& r) { r.origin = "audit.example/acme/01"; },
      [](Receipt& r) { r.index = 13; },
      [](Receipt& r) { r.leaf = digest(9); },
      [](Receipt& r) { r.model = digest(9); },
      [](Receipt& r) { r.request = digest(9); },
      [](Receipt& r) { r.answer = digest(9); },
      [](Receipt& r) { r.time = 1; },
      [](Receipt& r) { r.merge_by = 1; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SignedReceipt changed = made;
    changes[i](changed.receipt);
    EXPECT_FALSE(changed.verify(key().public_key())) << i;
  }
}

TEST(Receipt, IsNoCheckpointAndNoOtherJson) {
  EXPECT_THROW(Checkpoint::parse(small_receipt().to_text()), Error);
  const Json whole = sign_receipt(small_receipt(), key()).to_json();
  for (const auto& [name, value] : whole.items()) {
    Json without = whole;
    without.erase(name);
    EXPECT_THROW(SignedReceipt::from_json(without), Error) << name;
  }
  Json lines = whole;
  lines["origin"] = "a\nb";
  EXPECT_THROW(SignedReceipt::from_json(lines), Error);
}

}  // namespace
}  // namespace aftune::seal
