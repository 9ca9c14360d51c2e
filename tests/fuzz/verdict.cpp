// Verdict files, signed statements of them, and everything that is shown of one.
#include "audit/verdict.h"

#include <span>

#include "audit/former_verdict.h"
#include "fuzz/json_input.h"
#include "report/attestation.h"
#include "report/junit.h"
#include "report/page.h"

namespace aftune {
namespace {

void show(const audit::Verdict& verdict) {
  const std::string text = audit::describe(verdict);
  for (const char c : text) AFTUNE_CHECK(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
  AFTUNE_CHECK(!report::junit(verdict).empty());
  AFTUNE_CHECK(!report::page({.verdict = verdict}).empty());
}

// The payload is what anybody wrote, whose key is trusted or not: the signature is made right.
std::string envelope_around(std::string_view payload, const seal::SecretKey& key) {
  const auto signature =
      key.sign(as_bytes(report::pre_authentication_encoding(report::kPayloadType, payload)));
  return json_text({{"payload", to_base64(as_bytes(payload))},
                    {"payloadType", report::kPayloadType},
                    {"signatures", {{{"sig", to_base64(std::as_bytes(std::span(signature)))}}}}});
}

void read_verdict(std::string_view text, const seal::SecretKey& key) {
  const audit::Verdict verdict = audit::parse_verdict(text);
  const std::string again = json_text(audit::to_json(verdict));
  AFTUNE_CHECK(json_text(audit::to_json(audit::parse_verdict(again))) == again);
  show(verdict);
  fuzz::takes([&] { audit::unanswered_in(text, verdict.origin); });
  fuzz::takes([&] {
    const audit::Verdict opened = report::open_attestation(report::attest(verdict, key), key.public_key());
    AFTUNE_CHECK(json_text(audit::to_json(opened)) == again);
  });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  static const seal::SecretKey key = seal::SecretKey::from_seed("audit.example/auditor", {2});
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::takes([&] { read_verdict(text, key); });
  fuzz::takes([&] { report::open_attestation(text, key.public_key()); });
  fuzz::takes([&] { show(report::open_attestation(envelope_around(text, key), key.public_key())); });
  return 0;
}
