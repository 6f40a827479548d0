#include "foreplan/core/executor.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace foreplan {
namespace {

TEST(SerialExecutor, RunsEveryTaskInOrderAndRefusesALoopWithinALoop) {
  SerialExecutor executor;
  EXPECT_EQ(executor.size(), 1);
  std::vector<int> tasks;
  for (int loop = 0; loop < 2; ++loop) {
    executor.ParallelFor(3, [&](int task, int worker) {
      EXPECT_EQ(worker, 0);
      tasks.push_back(task);
    });
  }
  EXPECT_EQ(tasks, (std::vector<int>{0, 1, 2, 0, 1, 2}));
  // Both would use the workspaces of worker 0.
  EXPECT_THROW(executor.ParallelFor(1, [&](int, int) { executor.ParallelFor(1, [](int, int) {}); }),
               std::logic_error);
  executor.ParallelFor(0, [&](int, int) { FAIL(); });
}

TEST(SerialExecutor, RethrowsTheErrorOfTheLowestTaskAfterAll) {
  SerialExecutor executor;
  int runs = 0;
  std::string told;
  try {
    executor.ParallelFor(4, [&](int task, int) {
      ++runs;
      if (task > 0) throw std::runtime_error(std::to_string(task));
    });
  } catch (const std::runtime_error& error) {
    told = error.what();
  }
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(told, "1");
}

}  // namespace
}  // namespace foreplan
