#include "http/answer_queue.h"

#include <utility>

namespace aftune::http {
namespace {

// An end is not counted: there is one of each answer, and it must arrive.
std::size_t bytes_of(const AnswerEvent& event) {
  if (event.end) return 0;
  return sizeof(event) + event.text.size() + event.logprobs.size() * sizeof(generate::TokenLogprob);
}

}  // namespace

AnswerQueue::AnswerQueue(std::size_t most_bytes,
                         std::function<void(const std::vector<generate::AskId>&)> cancel)
    : most_bytes_(most_bytes), cancel_(std::move(cancel)) {}

serve::AnswerListener AnswerQueue::listener(bool tokens) {
  serve::AnswerListener listener;
  if (tokens)
    listener.on_token = [self = shared_from_this()](std::int64_t ask, std::string_view text,
                                                    const std::vector<generate::TokenLogprob>* logprobs) {
      if (text.empty() && logprobs == nullptr) return;
      AnswerEvent event{.ask = ask, .text = std::string(text), .logprobs = {}, .end = {}};
      if (logprobs != nullptr) event.logprobs = *logprobs;
      self->push(std::move(event));
    };
  listener.on_end = [self = shared_from_this()](serve::AnswerEnd end) {
    self->push({.ask = end.ask, .text = "", .logprobs = {}, .end = std::move(end)});
  };
  return listener;
}

void AnswerQueue::push(AnswerEvent event) {
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_ && !event.end) return;
    bytes_ += bytes_of(event);
    if (event.end) ++ends_;
    full = bytes_ > most_bytes_;
    events_.push_back(std::move(event));
  }
  if (full) return abandon();
  wake_.notify_one();
}

void AnswerQueue::started(std::vector<generate::AskId> ids) {
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    ids_ = std::move(ids);
    late = abandoned_;
  }
  if (late) cancel_(ids_);
}

void AnswerQueue::abandon() {
  std::vector<generate::AskId> ids;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    if (ends_ == ids_.size()) return;
    std::erase_if(events_, [](const AnswerEvent& event) { return !event.end; });
    bytes_ = 0;
    ids = ids_;
  }
  cancel_(ids);
  wake_.notify_one();
}

bool AnswerQueue::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

std::optional<AnswerEvent> AnswerQueue::next(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  if (!wake_.wait_for(lock, time, [&] { return !events_.empty(); })) return std::nullopt;
  AnswerEvent event = std::move(events_.front());
  events_.pop_front();
  bytes_ -= bytes_of(event);
  return event;
}

}  // namespace aftune::http
