#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "generate/answer.h"
#include "serve/request_fields.h"
#include "tokenizer/tokenizer.h"

namespace aftune::serve {

enum class Endpoint {
  kBatch,        ///< a row of a JSONL file
  kCompletions,  ///< OpenAI's POST /v1/completions
  kChat          ///< OpenAI's POST /v1/chat/completions
};

/// What a request may ask for. The first is a default of chats and rows; the rest are bounds.
struct Limits {
  std::int64_t default_tokens = 256;  ///< max_tokens if none is given; completions have OpenAI's 16
  std::int64_t tokens = std::int64_t{1} << 20;
  std::int64_t answers = 128;  ///< prompts * n
  std::size_t stops = 16, stop_bytes = 1024;
  std::size_t bytes = std::size_t{4} << 20;  ///< of the request
};

/// What a request's meaning depends on besides its bytes.
struct ModelFacts {
  const tokenizer::Tokenizer& tokenizer;
  const chat::ChatTemplate& chat_template;
  std::int64_t vocab = 0, max_position = 0;
  std::set<std::int32_t> eos = {};
  Limits limits = {};
};

struct Request {
  std::string id;     ///< of a row; may be ""
  std::string model;  ///< as named by the client; may be ""
  std::string nonce;
  bool stream = false;
  bool include_usage = false;
  std::optional<std::uint64_t> seed;  ///< as given; the asks have the one in use
  std::vector<generate::Ask> asks;    ///< the choices of the first prompt, then those of the next
  int choices = 1;                    ///< of each prompt
};

/// The seed of a request that has none.
using SeedSource = std::function<std::uint64_t(std::string_view nonce)>;

/// What the bytes of a request ask of a model: a pure function of its arguments, so that whoever replays a
/// request gets the same asks. Throws RequestError.
///
/// All endpoints: max_tokens, temperature, top_p, top_k, min_p, repetition_penalty, frequency_penalty,
/// presence_penalty, logit_bias, n, seed (-2^63 to 2^64 - 1, modulo 2^64), stop (a string or a list), nonce,
/// ignore_eos. Settings have the ranges of generate::check; temperature is 1 if not given.
/// - kBatch: id; prompt (a string or a list of ids) or messages; logprobs (0 to 20).
/// - kCompletions: prompt (a string, a list of ids, or a list of either), model, stream, stream_options,
/// user,
///   logprobs (0 to 20); best_of may be n, echo may be false.
/// - kChat: messages, model, stream, stream_options, user, logprobs (a boolean) with top_logprobs (0 to 20),
///   max_completion_tokens for max_tokens.
///
/// A text prompt is encoded with the tokenizer's special tokens around it, messages as their template has
/// them. The content of a message is a string, or a list of {"type":"text","text":...}, which are joined by
/// newlines. An answer may be shorter than max_tokens because the model has no more positions, but a prompt
/// that leaves room for none is refused.
Request parse_request(std::string_view raw, Endpoint endpoint, const ModelFacts& facts,
                      const SeedSource& seed_if_none);

}  // namespace aftune::serve
