// Op lists and their entries, as canonical JSON. What is read is written again as it was.
#include "audit/op_list.h"

#include "fuzz/json_input.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string text = fuzz::canonical_or_same(fuzz::text_of(data, size));
  fuzz::takes([&] { AFTUNE_CHECK(audit::to_text(audit::parse_op_entry(text)) == text); });
  fuzz::takes([&] {
    const audit::OpList list = audit::parse_op_list(text + '\n');
    AFTUNE_CHECK(audit::to_text(list) == text + '\n');
    for (const audit::OpEntry& entry : list.entries)
      AFTUNE_CHECK(audit::parse_op_entry(audit::to_text(entry)) == entry);
    AFTUNE_CHECK(list.head().count == std::ssize(list.entries));
    AFTUNE_CHECK(
        !audit::is_ops_signature(list.signature, list.head(), {"audit.example/acme/00", 4, {}},
                                 seal::SecretKey::from_seed("audit.example/acme", {1}).public_key()));
  });
  return 0;
}
