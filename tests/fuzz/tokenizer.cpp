// tokenizer.json, and a short text through what it describes: fixed ones, or what follows a NUL in the input.
#include "tokenizer/tokenizer.h"

#include "fuzz/json_input.h"

namespace aftune {
namespace {

void encode(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text, true);
  for (const std::int32_t id : ids) AFTUNE_CHECK(id >= 0 && id < tokenizer.size());
  static_cast<void>(tokenizer.decode(ids, false));
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string_view input = fuzz::text_of(data, size);
  const std::size_t end = input.find('\0');
  fuzz::takes([&] {
    const auto tokenizer = tokenizer::Tokenizer::parse(input.substr(0, end));
    for (const char* text : {"", "It's 2 cats,\n  caf\xc3\xa9 \xf0\x9f\x98\x80</s>", "\xff\xc3"})
      encode(tokenizer, text);
    encode(tokenizer, std::string(200, 'a'));
    if (end != input.npos) encode(tokenizer, input.substr(end + 1, 512));
  });
  return 0;
}
