#include "http/wording.h"

#include <algorithm>
#include <utility>

#include "base/shortest.h"
#include "serve/served.h"
#include "tokenizer/utf8.h"

namespace aftune::http {
namespace {

std::int64_t characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

Json numbers_of(std::string_view bytes) {
  Json list = Json::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return list;
}

// Appends the lists of one object to those of another.
void append_lists(Json& to, const Json& from) {
  if (to.is_null()) {
    to = from;
    return;
  }
  for (const auto& [key, list] : from.items())
    if (list.is_array()) to[key].insert(to[key].end(), list.begin(), list.end());
}

}  // namespace

Json Usage::to_json() const {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", answer_tokens},
          {"total_tokens", prompt_tokens + answer_tokens}};
}

Wording::Wording(Heading heading, const tokenizer::Tokenizer& tokenizer, std::int64_t asks,
                 bool usage_follows)
    : heading_(std::move(heading)),
      tokenizer_(tokenizer),
      usage_follows_(usage_follows),
      characters_(static_cast<std::size_t>(asks)),
      kept_(static_cast<std::size_t>(asks)) {}

Json Wording::object(bool streams) const {
  const char* kind = !chats() ? "text_completion" : streams ? "chat.completion.chunk" : "chat.completion";
  return {{"id", (chats() ? "chatcmpl-" : "cmpl-") + heading_.id},
          {"object", kind},
          {"created", heading_.created},
          {"model", heading_.model},
          {"system_fingerprint", heading_.fingerprint}};
}

Json Wording::completion_logprobs(const AnswerEvent& token, std::int64_t offset) const {
  const auto text = [&](std::int32_t id) { return tokenizer::replace_invalid(tokenizer_.bytes_of(id)); };
  const auto& [chosen, logprob] = token.logprobs.front();
  Json top = Json::object();
  for (std::size_t i = 1; i < token.logprobs.size(); ++i)
    // Two ids may read alike; the likelier is told.
    top.emplace(text(token.logprobs[i].id), shortest(token.logprobs[i].logprob));
  return {{"tokens", {text(chosen)}},
          {"token_logprobs", {shortest(logprob)}},
          {"top_logprobs", Json::array({std::move(top)})},
          {"text_offset", {offset}}};
}

Json Wording::chat_logprobs(const AnswerEvent& token) const {
  const auto entry = [&](const generate::TokenLogprob& one) {
    const std::string bytes = tokenizer_.bytes_of(one.id);
    return Json{{"token", tokenizer::replace_invalid(bytes)},
                {"bytes", numbers_of(bytes)},
                {"logprob", shortest(one.logprob)}};
  };
  Json content = entry(token.logprobs.front());
  content["top_logprobs"] = Json::array();
  for (std::size_t i = 1; i < token.logprobs.size(); ++i)
    content["top_logprobs"].push_back(entry(token.logprobs[i]));
  return {{"content", Json::array({std::move(content)})}, {"refusal", nullptr}};
}

Json Wording::logprobs_of(const AnswerEvent& token) {
  std::int64_t& told = characters_[static_cast<std::size_t>(token.ask)];
  const std::int64_t offset = std::exchange(told, told + characters(token.text));
  if (token.logprobs.empty()) return nullptr;
  return chats() ? chat_logprobs(token) : completion_logprobs(token, offset);
}

void Wording::keep(const AnswerEvent& token) {
  append_lists(kept_[static_cast<std::size_t>(token.ask)], logprobs_of(token));
}

void Wording::add_proof(const serve::AnswerEnd& end, Json& choice) const {
  choice["ask"] = end.ask;
  choice["endpoint"] = serve::name(heading_.endpoint);
  choice["tokens"] = end.answer.tokens;
  if (end.receipt) choice["receipt"] = end.receipt->to_json();
}

Json Wording::whole(const std::vector<serve::AnswerEnd>& ends, const Usage& usage) const {
  Json choices = Json::array();
  for (const serve::AnswerEnd& end : ends) {
    Json choice = {{"index", end.ask},
                   {"finish_reason", serve::name(end.answer.finish)},
                   {"logprobs", kept_[static_cast<std::size_t>(end.ask)]}};
    if (chats())
      choice["message"] = {{"role", "assistant"}, {"content", end.answer.text}, {"refusal", nullptr}};
    else
      choice["text"] = end.answer.text;
    add_proof(end, choice);
    choices.push_back(std::move(choice));
  }
  Json response = object(false);
  response["choices"] = std::move(choices);
  response["usage"] = usage.to_json();
  return response;
}

Json Wording::chunk_of(Json choice) const {
  Json chunk = object(true);
  chunk["choices"] = Json::array({std::move(choice)});
  if (usage_follows_) chunk["usage"] = nullptr;
  return chunk;
}

Json Wording::first_chunk(std::int64_t ask) const {
  return chunk_of({{"index", ask},
                   {"delta", {{"role", "assistant"}, {"content", ""}}},
                   {"logprobs", nullptr},
                   {"finish_reason", nullptr}});
}

Json Wording::chunk(const AnswerEvent& token) {
  Json choice = {{"index", token.ask}, {"logprobs", logprobs_of(token)}, {"finish_reason", nullptr}};
  if (chats())
    choice["delta"] = {{"content", token.text}};
  else
    choice["text"] = token.text;
  return chunk_of(std::move(choice));
}

Json Wording::last_chunk(const serve::AnswerEnd& end) const {
  Json choice = {
      {"index", end.ask}, {"logprobs", nullptr}, {"finish_reason", serve::name(end.answer.finish)}};
  if (chats())
    choice["delta"] = Json::object();
  else
    choice["text"] = "";
  add_proof(end, choice);
  return chunk_of(std::move(choice));
}

Json Wording::usage_chunk(const Usage& usage) const {
  Json chunk = object(true);
  chunk["choices"] = Json::array();
  chunk["usage"] = usage.to_json();
  return chunk;
}

}  // namespace aftune::http
