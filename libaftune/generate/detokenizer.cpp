#include "generate/detokenizer.h"

#include <algorithm>

namespace aftune::generate {

Detokenizer::Detokenizer(const tokenizer::Tokenizer& tokenizer, std::span<const std::int32_t> prompt)
    : tokenizer_(tokenizer), stream_(tokenizer.decoder()) {
  for (const std::int32_t id : prompt.last(std::min(prompt.size(), kContextTokens))) add(id);
  context_ = stream_.settled() + stream_.open();
}

void Detokenizer::add(std::int32_t token) {
  if (const std::string* decoded = tokenizer_.decoded_token(token, true)) stream_.add(*decoded);
}

std::size_t Detokenizer::shared(std::string_view decoded) const {
  const std::size_t most = std::min(decoded.size(), context_.size());
  std::size_t at = 0;
  while (at < most && decoded[at] == context_[at]) ++at;
  // Where both go on, they may differ inside a code point.
  const auto inside = [&](std::string_view text) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  while (inside(decoded) || inside(context_)) --at;
  return at;
}

std::string_view Detokenizer::settled() const {
  const std::string_view settled = stream_.settled();
  const std::size_t at = shared(settled);
  // With nothing settled beyond what is shared, more may turn out to be.
  if (at == settled.size()) return {};
  return settled.substr(at);
}

std::string Detokenizer::open() const {
  const std::string_view settled = stream_.settled();
  if (const std::size_t at = shared(settled); at < settled.size()) return stream_.open();
  const std::string decoded = std::string(settled) + stream_.open();
  return decoded.substr(shared(decoded));
}

std::string Detokenizer::text() const {
  return std::string(settled()) + open();
}

}  // namespace aftune::generate
