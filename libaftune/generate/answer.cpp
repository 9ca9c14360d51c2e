#include "generate/answer.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::generate {
namespace {

void check_shape(const Ask& ask, std::int64_t max_position) {
  if (ask.prompt.empty()) fail(Fault::kUsage, "prompt: no tokens");
  if (std::ssize(ask.prompt) >= max_position)
    fail(Fault::kUsage, "prompt: ", ask.prompt.size(), " tokens leave no room in the ", max_position,
         " positions of this model");
  if (ask.max_tokens < 1) fail(Fault::kUsage, "max_tokens: ", ask.max_tokens, " is less than 1");
  if (std::ranges::any_of(ask.stop, &std::string::empty)) fail(Fault::kUsage, "stop: an empty string");
}

// The longest end of `text` that a stop string begins with.
std::size_t begun_stop(std::string_view text, const std::vector<std::string>& stop) {
  std::size_t longest = 0;
  for (const std::string& each : stop)
    for (std::size_t length = std::min(each.size() - 1, text.size()); length > longest; --length)
      if (text.ends_with(std::string_view(each).substr(0, length))) longest = length;
  return longest;
}

}  // namespace

void check(const Ask& ask, std::int64_t vocab, std::int64_t max_position) {
  check_shape(ask, max_position);
  for (const std::int32_t id : ask.prompt)
    if (id < 0 || id >= vocab)
      fail(Fault::kUsage, "prompt: token ", id, " is beyond the model's vocabulary of ", vocab);
  check(ask.sampling, vocab);
}

Answering::Answering(const Ask& ask, const tokenizer::Tokenizer& tokenizer, std::int64_t max_position)
    : eos_(ask.eos),
      stop_(ask.stop),
      most_tokens_(std::min(ask.max_tokens, max_position - std::ssize(ask.prompt))),
      logprobs_(ask.logprobs),
      sampler_(ask.sampling, ask.choice, ask.prompt),
      detokenizer_(tokenizer, ask.prompt) {
  check_shape(ask, max_position);
  for (const std::string& each : stop_) longest_stop_ = std::max(longest_stop_, each.size());
}

bool Answering::next(std::span<const float> logits) {
  AFTUNE_CHECK(!finished_);
  const std::int32_t token = sampler_.next(logits);
  if (logprobs_ >= 0) answer_.logprobs.push_back(logprobs(logits, token, logprobs_));
  return grow(token);
}

bool Answering::accept(std::int32_t token) {
  AFTUNE_CHECK(!finished_);
  sampler_.take(token);
  return grow(token);
}

bool Answering::grow(std::int32_t token) {
  answer_.tokens.push_back(token);
  if (eos_.contains(token)) {
    finish(Finish::kStop);
    return true;
  }
  detokenizer_.add(token);
  if (!has_stop() && std::ssize(answer_.tokens) == most_tokens_) finish(Finish::kLength);
  return finished_;
}

// Looks at what is new: the text that was settled before, up to the length of a stop string, has none.
bool Answering::has_stop() {
  if (stop_.empty()) return false;
  const std::string_view settled = detokenizer_.settled();
  const std::size_t from = searched_ - std::min(searched_, longest_stop_ - 1);
  const std::string tail = std::string(settled.substr(from)) + detokenizer_.open();
  std::size_t first = std::string::npos;
  for (const std::string& each : stop_) first = std::min(first, tail.find(each));
  searched_ = settled.size();
  if (first == std::string::npos) return false;
  finish(Finish::kStop);
  answer_.text.resize(from + first);
  return true;
}

void Answering::finish(Finish how) {
  answer_.finish = how;
  answer_.text = detokenizer_.text();
  finished_ = true;
}

std::string_view Answering::settled() const {
  if (finished_) return answer_.text;
  std::string_view settled = detokenizer_.settled();
  settled.remove_suffix(stop_.empty() ? 0 : begun_stop(settled, stop_));
  return settled;
}

}  // namespace aftune::generate
