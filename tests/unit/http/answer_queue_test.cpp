#include "http/answer_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace aftune::http {
namespace {

using std::chrono_literals::operator""ms;

/// A queue, and what it cancelled.
struct Queued {
  explicit Queued(std::size_t most_bytes)
      : queue(std::make_shared<AnswerQueue>(most_bytes, [this](const auto& ids) {
          cancelled.insert(cancelled.end(), ids.begin(), ids.end());
        })) {}
  std::vector<generate::AskId> cancelled;
  std::shared_ptr<AnswerQueue> queue;
};

serve::AnswerEnd end_of(std::int64_t ask) {
  serve::AnswerEnd end;
  end.ask = ask;
  return end;
}

TEST(AnswerQueueTest, GivesEventsInTheirOrder) {
  Queued q(1 << 20);
  const serve::AnswerListener listener = q.queue->listener(true);
  q.queue->started({7});
  std::thread engine([&] {
    for (int i = 0; i < 1000; ++i) listener.on_token(0, std::to_string(i), nullptr);
    listener.on_end(end_of(0));
  });
  for (int i = 0; i < 1000; ++i) {
    std::optional<AnswerEvent> event;
    while (!event) event = q.queue->next(10ms);
    EXPECT_EQ(event->text, std::to_string(i));
  }
  std::optional<AnswerEvent> event;
  while (!event) event = q.queue->next(10ms);
  EXPECT_TRUE(event->end);
  EXPECT_FALSE(q.queue->next(0ms));
  engine.join();
  q.queue->abandon();
  EXPECT_TRUE(q.cancelled.empty());  // all had ended
}

TEST(AnswerQueueTest, TellsNothingOfATokenThatSettlesNoText) {
  Queued q(1 << 20);
  const serve::AnswerListener listener = q.queue->listener(true);
  listener.on_token(0, "", nullptr);
  EXPECT_FALSE(q.queue->next(0ms));
  const std::vector<generate::TokenLogprob> logprobs{{3, -1.0f}};
  listener.on_token(0, "", &logprobs);
  EXPECT_TRUE(q.queue->next(0ms));
  EXPECT_FALSE(q.queue->listener(false).on_token);
}

TEST(AnswerQueueTest, GivesUpAClientWhoFetchesNothing) {
  Queued q(1000);
  const serve::AnswerListener listener = q.queue->listener(true);
  q.queue->started({7, 8});
  for (int i = 0; i < 100 && !q.queue->abandoned(); ++i) listener.on_token(0, std::string(50, 'x'), nullptr);
  EXPECT_TRUE(q.queue->abandoned());
  EXPECT_EQ(q.cancelled, (std::vector<generate::AskId>{7, 8}));
  listener.on_token(0, "more", nullptr);
  EXPECT_FALSE(q.queue->next(0ms));
  listener.on_end(end_of(0));  // an end arrives all the same
  EXPECT_TRUE(q.queue->next(0ms));
}

TEST(AnswerQueueTest, CancelsWhatStartsTooLate) {
  Queued q(1000);
  q.queue->abandon();
  q.queue->started({5});
  EXPECT_EQ(q.cancelled, std::vector<generate::AskId>{5});
}

}  // namespace
}  // namespace aftune::http
