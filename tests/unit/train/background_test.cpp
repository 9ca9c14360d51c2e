#include "train/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace aftune::train {
namespace {

/// Holds the thread until it is opened.
struct Gate {
  std::atomic<bool> open = false;
  void pass() const { open.wait(false); }
  void unlock() {
    open = true;
    open.notify_all();
  }
};

TEST(Background, DoesJobsInOrder) {
  std::vector<int> done;
  Background background;
  for (int i = 0; i < 50; ++i) background.post([&done, i] { done.push_back(i); });
  background.wait();
  ASSERT_EQ(done.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
}

TEST(Background, OneJobMayWaitWithoutTheCaller) {
  Gate gate;
  Background background;
  std::atomic<bool> begun = false;
  background.post([&] {
    begun = true;
    begun.notify_all();
    gate.pass();
  });
  begun.wait(false);
  background.post([] {});  // returns though the first is held
  EXPECT_LT(background.waited(), 0.1);
  gate.unlock();
  background.wait();
}

TEST(Background, CountsWhatACallerThatIsFurtherAheadWaits) {
  Gate gate;
  Background background;
  for (int i = 0; i < 2; ++i) background.post([&gate] { gate.pass(); });
  std::thread opener([&gate] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    gate.unlock();
  });
  background.post([] {});
  EXPECT_GE(background.waited(), 0.2);
  opener.join();
  background.wait();
}

TEST(Background, AfterAnErrorNothingIsDone) {
  Background background;
  bool done = false;
  background.post([] { throw std::runtime_error("first"); });
  EXPECT_THROW(background.wait(), std::runtime_error);
  EXPECT_THROW(background.post([&done] { done = true; }), std::runtime_error);
  EXPECT_FALSE(done);
}

}  // namespace
}  // namespace aftune::train
