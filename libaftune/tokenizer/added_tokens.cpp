#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

// A search looks at up to this many bytes from each place of the text: a bound on its time.
constexpr std::size_t kMaxContent = 512;

bool starts_with_word(std::string_view text) {
  std::size_t at = 0;
  return !text.empty() && (classes_of(next_code_point(text, at)) & kWord) != 0;
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && starts_with_word(text.substr(previous_code_point(text, text.size())));
}

std::size_t without_trailing_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t before = previous_code_point(text, end);
    std::size_t at = before;
    if ((classes_of(next_code_point(text, at)) & kSpace) == 0) break;
    end = before;
  }
  return end;
}

std::size_t leading_space(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t at = end;
    if ((classes_of(next_code_point(text, at)) & kSpace) == 0) break;
    end = at;
  }
  return end;
}

AddedToken read_token(const Json& json, const Normalizer& normalizer) {
  Fields fields(json, "entry");
  AddedToken token;
  token.id = static_cast<std::int32_t>(fields.integer("id", 0, kMaxTokens - 1));
  token.content = fields.text("content", kMaxContent);
  token.single_word = fields.boolean("single_word");
  token.lstrip = fields.boolean("lstrip");
  token.rstrip = fields.boolean("rstrip");
  token.normalized = fields.boolean("normalized");
  token.special = fields.boolean("special");
  fields.done();
  if (token.content.empty()) fail(Fault::kEvidence, "\"content\" is empty");
  token.searched = token.normalized ? normalizer.apply(token.content) : token.content;
  if (token.searched.empty()) fail(Fault::kEvidence, "\"content\" is empty once it is normalised");
  return token;
}

}  // namespace

AddedTokenSearch::AddedTokenSearch() : nodes_(1) {}

void AddedTokenSearch::add(const AddedToken& token) {
  std::uint32_t node = 0;
  for (const char c : token.searched) {
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    const auto [child, fresh] = nodes_[node].children.try_emplace(static_cast<unsigned char>(c), next);
    node = child->second;
    if (fresh) nodes_.emplace_back();
  }
  if (nodes_[node].token >= 0) return;
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
  first_bytes_[static_cast<unsigned char>(token.searched.front())] = true;
}

AddedTokenSearch::Match AddedTokenSearch::longest_at(std::string_view text, std::size_t at) const {
  Match match;
  if (!first_bytes_[static_cast<unsigned char>(text[at])]) return match;
  std::uint32_t node = 0;
  for (; at < text.size(); ++at) {
    const auto& children = nodes_[node].children;
    const auto child = children.find(static_cast<unsigned char>(text[at]));
    if (child == children.end()) break;
    node = child->second;
    if (const std::int32_t token = nodes_[node].token; token >= 0)
      match = {&tokens_[static_cast<std::size_t>(token)], at + 1};
  }
  return match;
}

// Follows Hugging Face's find_matches step by step, also where white space that one token has swallowed is
// itself an added token: both are then emitted.
std::vector<Segment> AddedTokenSearch::split(std::string_view text) const {
  if (tokens_.empty()) return {{text}};
  std::vector<Segment> out;
  std::size_t done = 0;
  std::size_t space_end = 0;  // of the white space that was last swallowed, so that none is walked over twice
  for (std::size_t at = 0; at < text.size();) {
    const Match match = longest_at(text, at);
    if (match.token == nullptr) {
      ++at;
      continue;
    }
    std::size_t start = at;
    std::size_t stop = at = match.end;
    const AddedToken& token = *match.token;
    if (token.single_word && (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(stop))))
      continue;
    if (token.lstrip)
      start = done < start ? done + without_trailing_space(text.substr(done, start - done)) : done;
    if (token.rstrip)
      stop = space_end = stop < space_end ? space_end : stop + leading_space(text.substr(stop));
    if (done < start) out.push_back({text.substr(done, start - done)});
    out.push_back({{}, token.id});
    done = stop;
  }
  if (done != text.size()) out.push_back({text.substr(done)});
  return out;
}

void AddedTokens::add(AddedToken token, const Vocabulary& vocabulary) {
  const std::int32_t known = vocabulary.id_of(token.content);
  // A new token is numbered after the model's own and after the added ones that lie beyond them.
  const auto count = static_cast<std::int32_t>(vocabulary.count());
  const std::int32_t expected = known >= 0 ? known : std::max(count, end_id());
  if (token.id != expected)
    fail(Fault::kEvidence, '"', printable(token.content), "\" has id ", token.id, ", not ", expected);
  if (known < 0 && vocabulary.token(token.id) != nullptr)
    fail(Fault::kEvidence, '"', printable(token.content), "\" has the id of another token, ", token.id);
  if (!ids_.emplace(token.content, token.id).second)
    fail(Fault::kEvidence, '"', printable(token.content), "\" stands twice");
  by_id_.emplace(token.id, std::move(token));
}

AddedTokens AddedTokens::from_json(const Json& list, const Vocabulary& vocabulary,
                                   const Normalizer& normalizer) {
  if (!list.is_array()) fail(Fault::kEvidence, "not a JSON array");
  AddedTokens out;
  for (std::size_t i = 0; i < list.size(); ++i)
    within(cat("entry ", i), [&] { out.add(read_token(list[i], normalizer), vocabulary); });
  // Where two normalise to one text, special ones come first.
  for (const bool special : {true, false})
    for (const auto& [id, token] : out.by_id_)
      if (token.special == special) (token.normalized ? out.normalized_ : out.raw_).add(token);
  return out;
}

const AddedToken* AddedTokens::by_id(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const AddedToken* AddedTokens::by_content(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? nullptr : by_id(found->second);
}

}  // namespace aftune::tokenizer
