#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serve/service.h"

namespace aftune::http {

/// What happened to one of a request's answers: a token was drawn, or it has ended.
struct AnswerEvent {
  std::int64_t ask = 0;
  std::string text;                              ///< what the token settled
  std::vector<generate::TokenLogprob> logprobs;  ///< of the token, if asked for
  std::optional<serve::AnswerEnd> end;           ///< then the rest is empty
};

/// Between the engine, which must never wait, and a client, who may take his time: events lie here until the
/// connection's thread fetches them. When more of them lie here than it bears, the client is given up, and
/// his answers are cancelled.
class AnswerQueue : public std::enable_shared_from_this<AnswerQueue> {
 public:
  /// `cancel` is called from any thread, with what started() was given. Make it with make_shared.
  AnswerQueue(std::size_t most_bytes, std::function<void(const std::vector<generate::AskId>&)> cancel);

  /// Keeps the queue alive as long as it is in use. `tokens` as they come, or the ends alone.
  serve::AnswerListener listener(bool tokens);
  void started(std::vector<generate::AskId> ids);
  /// The next event, if one comes in time.
  std::optional<AnswerEvent> next(std::chrono::milliseconds time);
  /// The client is given up: what has not ended is cancelled, and no token is told any more.
  void abandon();
  bool abandoned() const;

 private:
  void push(AnswerEvent event);

  const std::size_t most_bytes_;
  const std::function<void(const std::vector<generate::AskId>&)> cancel_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<AnswerEvent> events_;
  std::size_t bytes_ = 0;
  std::vector<generate::AskId> ids_;
  std::size_t ends_ = 0;  // of them
  bool abandoned_ = false;
};

}  // namespace aftune::http
