#include "foreplan/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"

namespace foreplan {
namespace {

class ThreadPoolSizes : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, ThreadPoolSizes, ::testing::Values(1, 2, 8));

TEST_P(ThreadPoolSizes, RunEveryTaskOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const int count : {0, 1, 2, 7, 8, 9, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
    pool.ParallelFor(count, [&](int task, int) { ++runs[static_cast<size_t>(task)]; });
    for (const auto& run : runs) ASSERT_EQ(run, 1) << count;
  }
}

TEST_P(ThreadPoolSizes, SeeWhatTheCallerWroteAndAreSeenByIt) {
  ThreadPool pool(GetParam());
  std::vector<int> values(64, 0);  // plain memory: the pool must order the accesses
  for (int round = 1; round <= 2000; ++round) {
    pool.ParallelFor(64, [&](int task, int) { values[static_cast<size_t>(task)] += round; });
    ASSERT_EQ(values.front(), values.back());
    for (int& value : values) value -= round - 1;
  }
  for (const int value : values) EXPECT_EQ(value, 2000);
}

TEST_P(ThreadPoolSizes, GiveAWorkerToOneThreadAtATime) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> inside(static_cast<size_t>(pool.size()));
  std::atomic<int> clashes{0};
  for (int round = 0; round < 50; ++round) {
    pool.ParallelFor(200, [&](int, int worker) {
      std::atomic<int>& users = inside.at(static_cast<size_t>(worker));
      if (++users != 1) ++clashes;
      --users;
    });
  }
  EXPECT_EQ(clashes, 0);
}

TEST_P(ThreadPoolSizes, RethrowTheErrorOfTheLowestTaskAndStayUsable) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> finished{0};
    try {
      pool.ParallelFor(100, [&](int task, int) {
        if (task % 10 == 7) throw RunError("task " + std::to_string(task));
        ++finished;
      });
      FAIL() << "the error was lost";
    } catch (const RunError& error) {
      EXPECT_STREQ(error.what(), "task 7");
    }
    EXPECT_EQ(finished, 90);
    pool.ParallelFor(10, [&](int, int) { ++finished; });
    EXPECT_EQ(finished, 100);
  }
}

TEST_P(ThreadPoolSizes, AllocateNothingInParallelFor) {
  ThreadPool pool(GetParam());
  std::vector<double> sums(100, 0.0);
  const auto work = [&](int task, int worker) {
    sums[static_cast<size_t>(task)] += static_cast<double>(task) + 0.0 * worker;
  };
  pool.ParallelFor(100, work);
  EXPECT_EQ(testing::CountAllocations([&] {
              for (int round = 0; round < 100; ++round) pool.ParallelFor(100, work);
            }),
            0);
}

TEST(ThreadPool, KeepsNoErrorAliveAfterRethrowingIt) {
  ThreadPool pool(2);
  std::weak_ptr<int> watch;
  {
    auto held = std::make_shared<int>(1);
    watch = held;
    try {
      pool.ParallelFor(1, [&held](int, int) { throw std::shared_ptr<int>(held); });
    } catch (const std::shared_ptr<int>& caught) {
      EXPECT_EQ(caught, held);
    }
  }
  EXPECT_TRUE(watch.expired());
}

TEST(ThreadPool, RefusesLessThanOneThread) {
  for (const int threads : {0, -3}) {
    try {
      ThreadPool pool(threads);
      FAIL();
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()),
                "threads: found " + std::to_string(threads) + ", expected at least 1");
    }
  }
}

}  // namespace
}  // namespace foreplan
