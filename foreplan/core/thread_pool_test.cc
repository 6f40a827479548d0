#include "foreplan/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
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

TEST_P(ThreadPoolSizes, WaitForTheSlowestTask) {
  ThreadPool pool(GetParam());
  std::atomic<bool> others_work{pool.size() == 1};
  std::atomic<int> done{0};
  pool.ParallelFor(2, [&](int, int worker) {
    if (worker == 0) {
      while (!others_work) std::this_thread::yield();
    } else {
      others_work = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ++done;
  });
  EXPECT_EQ(done, 2);
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

TEST_P(ThreadPoolSizes, RefuseALoopWithinALoopAndStayUsable) {
  ThreadPool pool(GetParam());
  std::atomic<int> inner{0};
  EXPECT_THROW(
      pool.ParallelFor(2, [&](int, int) { pool.ParallelFor(2, [&](int, int) { ++inner; }); }),
      std::logic_error);
  EXPECT_EQ(inner, 0);
  std::atomic<int> runs{0};
  pool.ParallelFor(10, [&](int, int) { ++runs; });
  EXPECT_EQ(runs, 10);
}

TEST_P(ThreadPoolSizes, RefuseASecondThreadWhileALoopRuns) {
  ThreadPool pool(GetParam());
  std::latch inside(1);
  std::latch refused(1);
  std::atomic<int> runs{0};
  std::thread first([&] {
    pool.ParallelFor(1, [&](int, int) {
      inside.count_down();
      refused.wait();
      ++runs;
    });
  });
  inside.wait();
  EXPECT_THROW(pool.ParallelFor(3, [&](int, int) { runs += 100; }), std::logic_error);
  refused.count_down();
  first.join();
  EXPECT_EQ(runs, 1);
}

TEST_P(ThreadPoolSizes, RunALoopOfAnotherPoolWithinALoop) {
  ThreadPool outer(GetParam());
  std::vector<std::atomic<int>> runs(4);
  outer.ParallelFor(4, [&](int task, int) {
    ThreadPool inner(2);
    inner.ParallelFor(5, [&](int, int) { ++runs[static_cast<size_t>(task)]; });
  });
  for (const auto& run : runs) EXPECT_EQ(run, 5);
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
