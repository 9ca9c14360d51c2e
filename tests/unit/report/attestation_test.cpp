#include "report/attestation.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "unit/report/verdicts.h"

namespace aftune::report {
namespace {

seal::SecretKey key_of(std::uint8_t first) {
  std::array<std::uint8_t, 32> seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(first + i);
  return seal::SecretKey::from_seed("audit.example/jane", seed);
}

// The example of the DSSE protocol, and a signature over "{}" made by another implementation, with seed
// 00..1f.
TEST(Dsse, EncodesAndSignsAsPublished) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  const auto key = key_of(0);
  const seal::Signature signature = key.sign(as_bytes(pre_authentication_encoding(kPayloadType, "{}")));
  EXPECT_EQ(to_base64(std::as_bytes(std::span(signature))),
            "dWG98CPWh3lAzt/mxzJ7Nc6Avgf2tjap4msM5gNmMV9Lpu+TWkZMk3lP/u6Su450zcqkLQw21MTZfwU07XgjCw==");
}

TEST(Attestation, OpensToTheSameVerdict) {
  const auto key = key_of(1);
  const std::string envelope = attest(rejected_verdict(), key);
  EXPECT_EQ(envelope, attest(rejected_verdict(), key));
  EXPECT_EQ(to_json(open_attestation(envelope, key.public_key())), to_json(rejected_verdict()));
}

TEST(Attestation, IsOfNoUnsignedLog) {
  audit::Verdict verdict = rejected_verdict();
  verdict.root.clear();
  EXPECT_THROW(attest(verdict, key_of(1)), Error);
}

/// An envelope around this statement, signed for real.
std::string signed_statement(const Json& statement, std::string_view type = kPayloadType) {
  const std::string payload = json_text(statement);
  const auto signature = key_of(1).sign(as_bytes(pre_authentication_encoding(type, payload)));
  return json_text(
      {{"payload", to_base64(as_bytes(payload))},
       {"payloadType", type},
       {"signatures", Json::array({{{"sig", to_base64(std::as_bytes(std::span(signature)))}}})}});
}

Json statement() {
  const Json envelope = parse_json(attest(rejected_verdict(), key_of(1)));
  const Bytes payload = from_base64(envelope["payload"].get<std::string>());
  return parse_json(as_text(payload));
}

std::string refusal(const std::string& envelope) {
  try {
    (void)open_attestation(envelope, key_of(1).public_key());
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "";
}

TEST(Attestation, IsRefusedWhereAnyPartIsAnother) {
  EXPECT_EQ(refusal(signed_statement(statement())), "");
  EXPECT_NE(refusal(attest(rejected_verdict(), key_of(2))), "");
  EXPECT_NE(refusal(signed_statement(statement(), "application/json")), "");
  const std::pair<const char*, Json> kChanges[] = {
      {"/_type", "https://in-toto.io/Statement/v0.1"},
      {"/predicateType", "https://aftune.example/attestation/verdict/v2"},
      {"/subject/0/name", "audit.example/acme/another"},
      {"/subject/0/digest/sha256", std::string(64, 'c')},
      {"/subject", Json::array()},
      {"/predicate/verdict", "ACCEPT"},
      {"/surplus", 1}};
  for (const auto& [where, value] : kChanges) {
    Json changed = statement();
    changed[Json::json_pointer(where)] = value;
    EXPECT_NE(refusal(signed_statement(changed)), "") << where;
  }
}

TEST(Attestation, IsRefusedWithAnyByteOfTheSignedPartsChanged) {
  const Json envelope = parse_json(attest(rejected_verdict(), key_of(1)));
  for (const char* part : {"/payload", "/payloadType", "/signatures/0/sig"}) {
    const std::string good = envelope[Json::json_pointer(part)];
    for (std::size_t i = 0; i < good.size(); i += 7) {
      std::string text = good;
      text[i] = text[i] == 'A' ? 'B' : 'A';
      Json changed = envelope;
      changed[Json::json_pointer(part)] = text;
      EXPECT_NE(refusal(json_text(changed)), "") << part << ' ' << i;
    }
  }
  Json unsigned_envelope = envelope;
  unsigned_envelope["signatures"] = Json::array();
  EXPECT_NE(refusal(json_text(unsigned_envelope)), "");
}

TEST(Attestation, TakesUrlSafeBase64AndOtherSignersBesides) {
  Json envelope = parse_json(attest(rejected_verdict(), key_of(1)));
  std::string sig = envelope["signatures"][0]["sig"];
  for (char& c : sig) c = c == '+' ? '-' : c == '/' ? '_' : c;
  envelope["signatures"][0]["sig"] = sig;
  envelope["signatures"].push_back({{"keyid", "someone"}, {"sig", "AAAA"}});
  EXPECT_EQ(refusal(json_text(envelope)), "");
}

}  // namespace
}  // namespace aftune::report
