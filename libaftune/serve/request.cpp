#include "serve/request.h"

#include <algorithm>
#include <charconv>

#include "base/printable.h"
#include "chat/messages.h"

namespace aftune::serve {
namespace {

constexpr std::size_t kMaxName = 256;  // bytes of id, model, user and nonce
constexpr std::int64_t kMaxLogprobs = 20;
constexpr std::int64_t kCompletionTokens = 16;

Json parse_body(std::string_view raw, const Limits& limits) {
  // The JSON parser would skip the mark, and the request's bytes would not be what they seem.
  if (raw.starts_with("\xef\xbb\xbf")) throw RequestError("", "starts with a byte order mark");
  try {
    return parse_json(raw, {.max_bytes = limits.bytes, .max_depth = 8, .max_values = std::size_t{1} << 20});
  } catch (const Error& e) {
    throw RequestError("", e.what());  // the client's, not evidence against the provider
  }
}

/// Reads one request. `fields` are read one by one, and none may be left.
class Reader {
 public:
  Reader(const Json& body, Endpoint endpoint, const ModelFacts& facts)
      : fields_(body), endpoint_(endpoint), facts_(facts) {}
  Request read(const SeedSource& seed_if_none);

 private:
  // A setting of the same name, whose range generate::check knows.
  template <class T>
  void setting(const char* key, T generate::Sampling::*member, T value);
  void read_sampling();
  void read_logit_bias();
  void read_seed();
  void read_names();
  void read_stops();
  void read_tokens();
  void read_logprobs();
  void read_choices();
  void add_asks();
  std::vector<std::vector<std::int32_t>> prompts();
  std::vector<std::int32_t> ids_of(const Json& prompt) const;
  std::vector<std::int32_t> conversation(const Json& list) const;

  RequestFields fields_;
  Endpoint endpoint_;
  const ModelFacts& facts_;
  bool chats_ = false;  // the prompt is made of messages
  generate::Ask ask_;   // without its prompt and choice
  Request request_;
};

template <class T>
void Reader::setting(const char* key, T generate::Sampling::*member, T value) {
  generate::Sampling alone;
  alone.*member = std::move(value);
  try {
    generate::check(alone, facts_.vocab);
  } catch (const Error& e) {
    // "temperature is 0 or ..." or "logit_bias: no token ..."
    std::string_view why = e.what();
    if (why.starts_with(key)) why.remove_prefix(std::string_view(key).size());
    if (why.starts_with(": ")) throw RequestError(key, why.substr(2));
    throw RequestError(key, why.starts_with(" is ") ? cat("must be ", why.substr(4)) : std::string(why));
  }
  ask_.sampling.*member = std::move(alone.*member);
}

void Reader::read_sampling() {
  using generate::Sampling;
  const Sampling neutral;
  setting("temperature", &Sampling::temperature, fields_.real("temperature", neutral.temperature));
  setting("top_p", &Sampling::top_p, fields_.real("top_p", neutral.top_p));
  setting("top_k", &Sampling::top_k, fields_.integer("top_k", neutral.top_k, 0, (std::int64_t{1} << 31) - 1));
  setting("min_p", &Sampling::min_p, fields_.real("min_p", neutral.min_p));
  setting("repetition_penalty", &Sampling::repetition_penalty,
          fields_.real("repetition_penalty", neutral.repetition_penalty));
  setting("frequency_penalty", &Sampling::frequency_penalty,
          fields_.real("frequency_penalty", neutral.frequency_penalty));
  setting("presence_penalty", &Sampling::presence_penalty,
          fields_.real("presence_penalty", neutral.presence_penalty));
  read_logit_bias();
  if (!fields_.boolean("ignore_eos", false)) ask_.eos = facts_.eos;
}

void Reader::read_logit_bias() {
  const Json* given = fields_.find("logit_bias");
  if (given == nullptr) return;
  if (!given->is_object()) throw RequestError("logit_bias", "not an object");
  std::map<std::int32_t, double> biases;
  for (const auto& [key, bias] : given->items()) {
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    // One way to write an id: else it could stand twice.
    if (error != std::errc() || end != key.data() + key.size() || std::to_string(id) != key)
      throw RequestError("logit_bias", cat("\"", printable(key), "\" is not a token id"));
    if (!bias.is_number()) throw RequestError("logit_bias", cat("that of ", id, " is not a number"));
    biases[id] = bias.get<double>();
  }
  setting("logit_bias", &generate::Sampling::logit_bias, std::move(biases));
}

void Reader::read_seed() {
  const Json* seed = fields_.find("seed");
  if (seed == nullptr) return;
  if (!seed->is_number_integer()) throw RequestError("seed", "not an integer of 64 bits");
  request_.seed = seed->is_number_unsigned() ? seed->get<std::uint64_t>()
                                             : static_cast<std::uint64_t>(seed->get<std::int64_t>());
}

void Reader::read_names() {
  request_.nonce = fields_.text("nonce", kMaxName);
  if (endpoint_ == Endpoint::kBatch) {
    request_.id = fields_.text("id", kMaxName);
    return;
  }
  request_.model = fields_.text("model", kMaxName);
  fields_.text("user", kMaxName);
  request_.stream = fields_.boolean("stream", false);
  if (const Json* options = fields_.find("stream_options")) {
    if (!request_.stream) throw RequestError("stream_options", "only with \"stream\"");
    if (!options->is_object()) throw RequestError("stream_options", "not an object");
    RequestFields inner(*options);
    request_.include_usage = inner.boolean("include_usage", false);
    inner.done();
  }
}

void Reader::read_stops() {
  const Json* stop = fields_.find("stop");
  if (stop == nullptr) return;
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.size() > facts_.limits.stops)
    throw RequestError("stop", cat(list.size(), " strings, more than ", facts_.limits.stops));
  for (const Json& each : list) {
    if (!each.is_string()) throw RequestError("stop", "not a string or a list of strings");
    std::string text = each.get<std::string>();
    if (text.empty()) throw RequestError("stop", "an empty string");
    if (text.size() > facts_.limits.stop_bytes)
      throw RequestError("stop",
                         cat("a string of ", text.size(), " bytes, more than ", facts_.limits.stop_bytes));
    ask_.stop.push_back(std::move(text));
  }
}

void Reader::read_tokens() {
  const std::int64_t otherwise =
      endpoint_ == Endpoint::kCompletions ? kCompletionTokens : facts_.limits.default_tokens;
  ask_.max_tokens = fields_.integer("max_tokens", otherwise, 1, facts_.limits.tokens);
  if (endpoint_ != Endpoint::kChat || fields_.find("max_completion_tokens") == nullptr) return;
  if (fields_.find("max_tokens") != nullptr)
    throw RequestError("max_completion_tokens", "cannot stand beside max_tokens");
  ask_.max_tokens = fields_.integer("max_completion_tokens", otherwise, 1, facts_.limits.tokens);
}

void Reader::read_logprobs() {
  if (endpoint_ != Endpoint::kChat) {
    ask_.logprobs = fields_.find("logprobs") == nullptr
                        ? -1
                        : static_cast<int>(fields_.integer("logprobs", 0, 0, kMaxLogprobs));
    return;
  }
  const bool wanted = fields_.boolean("logprobs", false);
  const auto top = fields_.integer("top_logprobs", 0, 0, kMaxLogprobs);
  if (!wanted && top > 0) throw RequestError("top_logprobs", "only with \"logprobs\"");
  ask_.logprobs = wanted ? static_cast<int>(top) : -1;
}

void Reader::read_choices() {
  request_.choices = static_cast<int>(fields_.integer("n", 1, 1, facts_.limits.answers));
  if (endpoint_ != Endpoint::kCompletions) return;
  if (fields_.integer("best_of", request_.choices, 1, facts_.limits.answers) != request_.choices)
    throw RequestError("best_of", "only the same as \"n\" is supported");
  if (fields_.boolean("echo", false)) throw RequestError("echo", "not supported");
  if (fields_.find("suffix") != nullptr) throw RequestError("suffix", "not supported");
}

std::vector<std::int32_t> Reader::ids_of(const Json& prompt) const {
  if (prompt.is_string()) return facts_.tokenizer.encode(prompt.get_ref<const std::string&>(), true);
  std::vector<std::int32_t> ids;
  if (!prompt.is_array()) throw RequestError("prompt", "neither a string nor a list of token ids");
  for (const Json& id : prompt) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(facts_.vocab))
      throw RequestError("prompt", "neither a string nor a list of token ids below the vocabulary's " +
                                       std::to_string(facts_.vocab));
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

std::vector<std::int32_t> Reader::conversation(const Json& list) const {
  std::vector<chat::Message> messages;
  try {
    messages = chat::read_messages(list);
  } catch (const Error& e) {
    throw RequestError("messages", e.what());
  }
  return facts_.tokenizer.encode(facts_.chat_template.render(messages, true),
                                 facts_.chat_template.wants_specials());
}

std::vector<std::vector<std::int32_t>> Reader::prompts() {
  const bool may_chat = endpoint_ != Endpoint::kCompletions, may_prompt = endpoint_ != Endpoint::kChat;
  const Json* messages = may_chat ? fields_.find("messages") : nullptr;
  const Json* prompt = may_prompt ? fields_.find("prompt") : nullptr;
  fields_.done();
  if (messages != nullptr && prompt != nullptr) throw RequestError("messages", "cannot stand beside prompt");
  chats_ = messages != nullptr;
  if (chats_) return {conversation(*messages)};
  if (prompt == nullptr) throw RequestError(may_prompt ? "prompt" : "messages", "missing");
  const bool several = endpoint_ == Endpoint::kCompletions && prompt->is_array() && !prompt->empty() &&
                       !prompt->front().is_number();
  if (!several) return {ids_of(*prompt)};
  if (std::ssize(*prompt) > facts_.limits.answers / request_.choices)
    throw RequestError("prompt", cat(prompt->size(), " prompts of ", request_.choices, " answers, more than ",
                                     facts_.limits.answers, " in all"));
  std::vector<std::vector<std::int32_t>> list;
  for (const Json& each : *prompt) list.push_back(ids_of(each));
  return list;
}

// One ask for each choice of each prompt.
void Reader::add_asks() {
  try {
    for (std::vector<std::int32_t>& prompt : prompts()) {
      ask_.prompt = std::move(prompt);
      generate::check(ask_, facts_.vocab, facts_.max_position);
      for (ask_.choice = 0; ask_.choice < request_.choices; ++ask_.choice) request_.asks.push_back(ask_);
    }
  } catch (const RequestError&) {
    throw;
  } catch (const Error& e) {
    // What is wrong with the prompt, or what was made of the messages: "prompt: ...", "messages: ...".
    const std::string_view what = e.what();
    const std::size_t colon = what.find(": ");
    throw RequestError(chats_ ? "messages" : "prompt",
                       colon == std::string_view::npos ? what : what.substr(colon + 2));
  }
}

Request Reader::read(const SeedSource& seed_if_none) {
  read_names();
  read_sampling();
  read_seed();
  read_stops();
  read_tokens();
  read_logprobs();
  read_choices();
  add_asks();
  const std::uint64_t seed = request_.seed ? *request_.seed : seed_if_none(request_.nonce);
  for (generate::Ask& ask : request_.asks) ask.sampling.seed = seed;
  return std::move(request_);
}

}  // namespace

Request parse_request(std::string_view raw, Endpoint endpoint, const ModelFacts& facts,
                      const SeedSource& seed_if_none) {
  const Json body = parse_body(raw, facts.limits);
  return Reader(body, endpoint, facts).read(seed_if_none);
}

}  // namespace aftune::serve
