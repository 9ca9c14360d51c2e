#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/detokenizer.h"
#include "generate/sampler.h"
#include "tokenizer/tokenizer.h"

namespace aftune::generate {

/// What is asked of the model, in tokens: one answer.
struct Ask {
  std::vector<std::int32_t> prompt;
  std::int64_t max_tokens = 0;
  Sampling sampling = {};
  std::int64_t choice = 0;
  std::vector<std::string> stop = {};  ///< the answer ends before the first of them
  std::set<std::int32_t> eos = {};     ///< and with one of these ids
  int logprobs = -1;                   ///< how many of the likeliest ids are told of each token; -1: nothing
};

/// Throws Error{kUsage} that names what is wrong: no prompt, ids beyond the vocabulary, settings out of
/// range, an empty stop string, or a prompt that leaves no room in the model's `max_position` positions.
void check(const Ask& ask, std::int64_t vocab, std::int64_t max_position);

enum class Finish {
  kStop,   ///< an id of eos, or a stop string
  kLength  ///< max_tokens, or the model's last position
};

struct Answer {
  std::vector<std::int32_t> tokens;  ///< all that were drawn; an id of eos is the last
  std::string text;                  ///< of tokens without eos, cut before the stop string
  Finish finish = Finish::kLength;
  std::vector<std::vector<TokenLogprob>> logprobs;  ///< of each token, as generate::logprobs; or empty
};

/// The one rule by which an answer grows and ends; whoever replays it uses it too. Each token is drawn by
/// Sampler and appended. If it is in eos, the answer ends (kStop). Else if the text has a stop string, it
/// ends (kStop), and its text before the earliest one. Else if there are max_tokens, or prompt and answer
/// have as many tokens as the model has positions, it ends (kLength).
class Answering {
 public:
  /// Keeps a reference to the tokenizer. Throws as check(ask), except for what needs the vocabulary.
  Answering(const Ask& ask, const tokenizer::Tokenizer& tokenizer, std::int64_t max_position);

  /// Draws a token from the raw logits [vocab] that follow what there is; true when the answer has ended.
  /// Throws Error{kUsage} if a logit is not finite. Must not be called after the end.
  bool next(std::span<const float> logits);
  /// The same with a token that is known from elsewhere, without logprobs.
  bool accept(std::int32_t token);

  bool finished() const { return finished_; }
  /// The last token drawn. Requires one.
  std::int32_t last() const { return answer_.tokens.back(); }
  /// The front of the answer's text that is certain: neither later tokens nor a stop string that may be
  /// complete by then change it. Only grows, and is all of the text when the answer has ended.
  std::string_view settled() const;
  /// As it is so far, but for its text, which is there when it has ended.
  const Answer& answer() const { return answer_; }
  Answer take() { return std::move(answer_); }

 private:
  bool grow(std::int32_t token);
  bool has_stop();
  void finish(Finish how);

  std::set<std::int32_t> eos_;
  std::vector<std::string> stop_;
  std::size_t longest_stop_ = 0;
  std::int64_t most_tokens_;
  int logprobs_;
  Sampler sampler_;
  Detokenizer detokenizer_;
  std::size_t searched_ = 0;  // bytes of settled text that were looked at for stop strings
  Answer answer_;
  bool finished_ = false;
};

}  // namespace aftune::generate
