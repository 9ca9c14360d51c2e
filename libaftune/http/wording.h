#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "http/answer_queue.h"
#include "serve/request.h"
#include "serve/service.h"
#include "tokenizer/tokenizer.h"

namespace aftune::http {

/// What an answer's response says of itself.
struct Heading {
  serve::Endpoint endpoint = serve::Endpoint::kCompletions;
  std::string id;  ///< without its prefix
  std::string model, fingerprint;
  std::int64_t created = 0;  ///< unix seconds
};

struct Usage {
  std::int64_t prompt_tokens = 0, answer_tokens = 0;
  Json to_json() const;
};

/// One request's answers in the shapes of OpenAI's API. A choice has four members more: its number among the
/// request's answers, "ask", the name of the "endpoint", its "tokens" and its "receipt", by which the client
/// can check it (docs/serving.http.md). In a stream the choice's last chunk has them.
class Wording {
 public:
  /// Keeps a reference to the tokenizer. `usage_follows` as by stream_options.include_usage.
  Wording(Heading heading, const tokenizer::Tokenizer& tokenizer, std::int64_t asks, bool usage_follows);

  /// A token of an answer that is not streamed: its logprobs are kept.
  void keep(const AnswerEvent& token);
  Json whole(const std::vector<serve::AnswerEnd>& ends, const Usage& usage) const;

  bool chats() const { return heading_.endpoint == serve::Endpoint::kChat; }
  /// What a chat's stream begins with.
  Json first_chunk(std::int64_t ask) const;
  Json chunk(const AnswerEvent& token);
  Json last_chunk(const serve::AnswerEnd& end) const;
  Json usage_chunk(const Usage& usage) const;

 private:
  Json object(bool streams) const;
  Json chunk_of(Json choice) const;
  Json logprobs_of(const AnswerEvent& token);
  Json completion_logprobs(const AnswerEvent& token, std::int64_t offset) const;
  Json chat_logprobs(const AnswerEvent& token) const;
  void add_proof(const serve::AnswerEnd& end, Json& choice) const;

  const Heading heading_;
  const tokenizer::Tokenizer& tokenizer_;
  const bool usage_follows_;
  std::vector<std::int64_t> characters_;  // of each answer, in the tokens that were told
  std::vector<Json> kept_;                // logprobs of each answer, or null
};

}  // namespace aftune::http
