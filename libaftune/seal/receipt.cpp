#include "seal/receipt.h"

#include <cstring>

#include "base/error.h"
#include "seal/note.h"

namespace aftune::seal {
namespace {

constexpr std::string_view kHeader = "aftune-receipt/1";
constexpr std::size_t kMaxLineBytes = 1024;

Signature signature_from(std::string_view text) {
  const Bytes bytes = within("signature", [&] { return from_base64(text); });
  Signature signature;
  if (bytes.size() != signature.size()) fail(Fault::kEvidence, "receipt: signature: not 64 bytes");
  std::memcpy(signature.data(), bytes.data(), bytes.size());
  return signature;
}

}  // namespace

std::string Receipt::to_text() const {
  return cat(kHeader, '\n', origin, '\n', index, '\n', to_hex(leaf), '\n', to_hex(model), '\n',
             to_hex(request), '\n', to_hex(answer), '\n', time, '\n', merge_by, '\n');
}

Json SignedReceipt::to_json() const {
  return {{"answer", to_hex(receipt.answer)},
          {"index", receipt.index},
          {"key", key},
          {"key_id", id},
          {"leaf", to_hex(receipt.leaf)},
          {"merge_by", receipt.merge_by},
          {"model", to_hex(receipt.model)},
          {"origin", receipt.origin},
          {"request", to_hex(receipt.request)},
          {"signature", to_base64(std::as_bytes(std::span(signature)))},
          {"time", receipt.time}};
}

SignedReceipt SignedReceipt::from_json(const Json& json) {
  Fields fields(json, "receipt");
  SignedReceipt out;
  out.receipt = {.origin = fields.text("origin", kMaxLineBytes),
                 .index = static_cast<std::uint64_t>(fields.integer("index", 1)),
                 .leaf = fields.digest("leaf"),
                 .model = fields.digest("model"),
                 .request = fields.digest("request"),
                 .answer = fields.digest("answer"),
                 .time = fields.integer("time", 0),
                 .merge_by = fields.integer("merge_by", 0)};
  // The signed text is cut into lines.
  if (out.receipt.origin.find('\n') != std::string::npos)
    fail(Fault::kEvidence, "receipt: origin: not one line");
  out.key = fields.text("key", kMaxLineBytes);
  out.id = static_cast<std::uint32_t>(fields.integer("key_id", 0, 0xffffffff));
  out.signature = signature_from(fields.text("signature", 88));
  fields.done();
  return out;
}

bool SignedReceipt::verify(const PublicKey& by) const {
  return key == by.name() && id == by.id() && by.verify(as_bytes(receipt.to_text()), signature);
}

SignedReceipt sign_receipt(const Receipt& receipt, const SecretKey& key) {
  require_use(key.public_key(), KeyUse::kLog);
  return {.receipt = receipt,
          .key = key.public_key().name(),
          .id = key.public_key().id(),
          .signature = key.sign(as_bytes(receipt.to_text()))};
}

}  // namespace aftune::seal
