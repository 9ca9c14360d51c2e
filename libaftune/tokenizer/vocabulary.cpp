#include "tokenizer/vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"

namespace aftune::tokenizer {
namespace {

std::int32_t checked_id(const std::string& token, const Json& id) {
  if (!id.is_number_integer())
    fail(Fault::kEvidence, "vocab: the id of \"", printable(token), "\" is not an integer");
  const auto value = id.is_number_unsigned() ? id.get<std::uint64_t>() : ~std::uint64_t{0};
  if (value >= static_cast<std::uint64_t>(kMaxTokens))
    fail(Fault::kEvidence, "vocab: the id of \"", printable(token), "\" is not within 0 and ",
         kMaxTokens - 1);
  return static_cast<std::int32_t>(value);
}

// The first eight bytes as a number: of two texts the one with the smaller number is the smaller one.
std::uint64_t head_of(std::string_view text) {
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < 8; ++i)
    head = head << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
  return head;
}

}  // namespace

Vocabulary Vocabulary::from_json(const Json& vocab) {
  if (!vocab.is_object()) fail(Fault::kEvidence, "vocab: not a JSON object");
  Vocabulary out;
  std::vector<bool> used;
  out.sorted_.reserve(vocab.size());
  // The members of a JSON object come sorted by their UTF-8 bytes, which is the order of std::string.
  for (const auto& [token, value] : vocab.items()) {
    const std::int32_t id = checked_id(token, value);
    const auto at = static_cast<std::size_t>(id);
    if (at >= used.size()) {
      used.resize(at + 1);
      out.tokens_.resize(at + 1);
    }
    if (used[at]) fail(Fault::kEvidence, "vocab: id ", id, " stands twice");
    if (token.empty()) fail(Fault::kEvidence, "vocab: id ", id, " is an empty token");
    used[at] = true;
    out.tokens_[at] = token;
    out.sorted_.push_back({head_of(token), id});
  }
  return out;
}

std::int32_t Vocabulary::id_of(std::string_view token) const {
  const std::uint64_t head = head_of(token);
  const auto text = [this](const Entry& entry) -> std::string_view {
    return tokens_[static_cast<std::size_t>(entry.id)];
  };
  const auto before = [&](const Entry& entry) {
    return entry.head != head ? entry.head < head : text(entry) < token;
  };
  const auto found = std::ranges::partition_point(sorted_, before);
  return found != sorted_.end() && text(*found) == token ? found->id : -1;
}

const std::string* Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= end_id()) return nullptr;
  const std::string& token = tokens_[static_cast<std::size_t>(id)];
  return token.empty() ? nullptr : &token;
}

}  // namespace aftune::tokenizer
