#include "report/attestation.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/printable.h"

namespace aftune::report {
namespace {

constexpr std::size_t kMaxSignatures = 64;
constexpr std::size_t kMaxKeyId = 1024;

/// As in a note's signature line and a vkey: name and key ID. A hint: nothing is decided by it.
std::string key_id(const seal::PublicKey& key) {
  const std::string vkey = key.vkey();
  return vkey.substr(0, vkey.find('+', vkey.find('+') + 1));  // no name has a '+'
}

Json statement_of(const audit::Verdict& verdict) {
  return {{"_type", kStatementType},
          {"subject", Json::array({{{"name", verdict.origin}, {"digest", {{"sha256", verdict.root}}}}})},
          {"predicateType", kPredicateType},
          {"predicate", to_json(verdict)}};
}

/// Standard or URL-safe, as DSSE asks of a verifier.
Bytes from_either_base64(std::string text) {
  if (text.find_first_of("+/") == text.npos) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
  }
  return from_base64(text);
}

bool verifies(const Json& json, std::string_view message, const seal::PublicKey& key) {
  Fields fields(json, "signature");
  const Bytes raw = within("signature", [&] { return from_either_base64(fields.text("sig", kMaxKeyId)); });
  if (fields.has("keyid")) fields.text("keyid", kMaxKeyId);
  fields.done();
  seal::Signature signature;
  if (raw.size() != signature.size()) return false;
  std::memcpy(signature.data(), raw.data(), raw.size());
  return key.verify(as_bytes(message), signature);
}

void require_signed(const Json& signatures, std::string_view payload, const seal::PublicKey& key) {
  if (signatures.size() > kMaxSignatures)
    fail(Fault::kEvidence, "envelope: more than ", kMaxSignatures, " signatures");
  const std::string message = pre_authentication_encoding(kPayloadType, payload);
  bool good = false;
  for (const Json& signature : signatures) good = verifies(signature, message, key) || good;
  if (!good) fail(Fault::kEvidence, "envelope: no signature by ", key.name(), " holds");
}

void require_text(Fields& fields, std::string_view key, std::string_view wanted) {
  if (const std::string found = fields.text(key, 1024); found != wanted)
    fail(Fault::kEvidence, "\"", key, "\" is \"", printable(found), "\", not \"", wanted, '"');
}

/// What is named must be what the verdict speaks of: consumers match a statement by its subject alone.
void require_subject(const Json& subject, const audit::Verdict& verdict) {
  if (subject != statement_of(verdict)["subject"])
    fail(Fault::kEvidence, "statement: the subject is not the log that the verdict is of");
}

audit::Verdict open_statement(std::string_view payload) {
  const Json json = parse_json(
      payload, {.max_bytes = kMaxEnvelopeBytes, .max_depth = 8, .max_values = audit::kMaxVerdictValues});
  Fields fields(json, "statement");
  require_text(fields, "_type", kStatementType);
  require_text(fields, "predicateType", kPredicateType);
  audit::Verdict verdict = audit::verdict_from_json(fields.object("predicate"));
  require_subject(fields.array("subject"), verdict);
  fields.done();
  return verdict;
}

}  // namespace

std::string pre_authentication_encoding(std::string_view type, std::string_view body) {
  return cat("DSSEv1 ", type.size(), ' ', type, ' ', body.size(), ' ', body);
}

std::string attest(const audit::Verdict& verdict, const seal::SecretKey& key) {
  if (verdict.root.empty() || verdict.origin.empty())
    fail(Fault::kUsage, "the verdict is of no signed log: there is nothing to attest to");
  const std::string payload = json_text(statement_of(verdict));
  const seal::Signature signature = key.sign(as_bytes(pre_authentication_encoding(kPayloadType, payload)));
  const Json envelope = {
      {"payload", to_base64(as_bytes(payload))},
      {"payloadType", kPayloadType},
      {"signatures", Json::array({{{"keyid", key_id(key.public_key())},
                                   {"sig", to_base64(std::as_bytes(std::span(signature)))}}})}};
  return json_text(envelope) + '\n';
}

audit::Verdict open_attestation(std::string_view envelope, const seal::PublicKey& key) {
  if (envelope.ends_with('\n')) envelope.remove_suffix(1);
  const Json json =
      parse_json(envelope, {.max_bytes = kMaxEnvelopeBytes, .max_depth = 4, .max_values = 1024});
  Fields fields(json, "envelope");
  require_text(fields, "payloadType", kPayloadType);
  const Bytes payload =
      within("payload", [&] { return from_either_base64(fields.text("payload", kMaxEnvelopeBytes)); });
  require_signed(fields.array("signatures"), as_text(payload), key);
  fields.done();
  return open_statement(as_text(payload));
}

}  // namespace aftune::report
