#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <set>
#include <stdexcept>

#include "base/error.h"

namespace aftune {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<int> runs(static_cast<std::size_t>(count));  // one element a task: no races by design
      pool.run(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), count);
    }
  }
}

// The results of one run are visible to its caller and to the tasks of the next.
TEST(ThreadPool, ManyShortRunsInARow) {
  ThreadPool pool(3);
  std::vector<std::int64_t> values(16, 0);
  for (int round = 0; round < 20000; ++round)
    pool.run(16, [&](std::int64_t i) { values[static_cast<std::size_t>((i + round) % 16)] += i; });
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), std::int64_t{0}), 20000 * 120);
}

TEST(ThreadPool, NegativeCountsDoNothing) {
  ThreadPool pool(2);
  pool.run(-5, [](std::int64_t) { FAIL(); });
}

TEST(ThreadPool, AnExceptionReachesTheCaller) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const std::int64_t thrower : {0, 1, 50, 99})
      EXPECT_THROW(pool.run(100,
                            [&](std::int64_t i) {
                              if (i == thrower) throw std::runtime_error("task");
                            }),
                   std::runtime_error);
    std::atomic<int> runs = 0;
    pool.run(100, [&](std::int64_t) { ++runs; });  // the pool is whole afterwards
    EXPECT_EQ(runs, 100);
  }
}

TEST(ThreadPool, OfManyExceptionsOneArrivesAndTheRestIsNotStarted) {
  ThreadPool pool(3);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> started = 0;
    EXPECT_THROW(pool.run(1000000,
                          [&](std::int64_t) {
                            ++started;
                            fail(Fault::kSystem, "task");
                          }),
                 Error);
    EXPECT_LE(started, 3);
  }
}

TEST(ThreadPool, NothingOfATaskIsUsedAfterRunReturns) {
  ThreadPool pool(3);
  for (int round = 0; round < 2000; ++round) {
    auto owned = std::make_unique<std::atomic<int>>(0);
    pool.run(5, [&](std::int64_t) { ++*owned; });
    EXPECT_EQ(*owned, 5);
    owned.reset();  // sanitizers would tell of a late task
  }
}

TEST(ThreadPool, ComesAndGoesWithoutWork) {
  for (int i = 0; i < 200; ++i) const ThreadPool pool(1 + i % 4);
}

TEST(ThreadPool, SeveralPoolsMayWorkAtOnce) {
  ThreadPool outer(2);
  std::atomic<int> runs = 0;
  outer.run(2, [&](std::int64_t) {
    ThreadPool inner(2);
    for (int i = 0; i < 100; ++i) inner.run(10, [&](std::int64_t) { ++runs; });
  });
  EXPECT_EQ(runs, 2000);
}

TEST(ThreadPoolDeathTest, RunInsideATaskIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ThreadPool pool(2);
        pool.run(2, [&](std::int64_t) { pool.run(2, [](std::int64_t) {}); });
      },
      "internal error");
}

TEST(Machine, HasAtLeastOneThreadAndRoundsToNearest) {
  EXPECT_GE(available_threads(), 1);
  check_float_mode();
}

}  // namespace
}  // namespace aftune
