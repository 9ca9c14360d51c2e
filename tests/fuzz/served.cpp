// What a serving trace and its clients hold: leaves, journal lines, receipts and answers, lineage.
#include "audit/lineage.h"
#include "audit/receipt_check.h"
#include "fuzz/json_input.h"
#include "record/serving.h"
#include "seal/receipt.h"

namespace aftune {
namespace {

// What is taken is the one text of its content.
template <class Parse>
void inverse(const std::string& leaf, Parse&& parse) {
  fuzz::takes([&] { AFTUNE_CHECK(to_leaf(parse(leaf)) == leaf); });
}

void read_leaf(const std::string& leaf) {
  inverse(leaf, [](std::string_view text) { return record::parse_serving_manifest(text); });
  inverse(leaf, [](std::string_view text) { return record::parse_request(text); });
  inverse(leaf, [](std::string_view text) { return record::parse_serving_final(text); });
  fuzz::takes([&] {
    const record::JournalLine line = record::parse_journal(leaf);
    AFTUNE_CHECK(to_journal(line.leaf, line.exchange) == leaf);
    static_cast<void>(record::answer_digest(line.exchange));
  });
}

void read_receipt(std::string_view text) {
  static const seal::PublicKey key = seal::SecretKey::from_seed("audit.example/acme", {1}).public_key();
  fuzz::takes([&] {
    const seal::SignedReceipt receipt = seal::SignedReceipt::from_json(parse_json(text));
    AFTUNE_CHECK(seal::SignedReceipt::from_json(receipt.to_json()).receipt == receipt.receipt);
    static_cast<void>(receipt.verify(key));
  });
  fuzz::takes([&] { audit::read_receipts("answers", text); });
  fuzz::takes([&] {
    const audit::LineageProof proof = audit::parse_lineage(text);
    record::TensorList exported;
    static_cast<void>(audit::lineage_of(proof, &exported));
  });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string text(fuzz::text_of(data, size));
  read_leaf(fuzz::canonical_or_same(text));
  read_receipt(text);
  return 0;
}
