#include "foreplan/core/thread_pool.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {

struct ThreadPool::Shared {
  std::mutex mutex;
  std::condition_variable work_ready;
  std::condition_variable work_done;
  std::vector<std::thread> threads;
  // Guarded by mutex:
  uint64_t generation = 0;  // grows with every ParallelFor
  int busy = 0;             // helpers that have not finished the current generation
  bool stop = false;
  std::exception_ptr error;
  int error_task = 0;
  // Written before the generation grows, read-only while work is under way:
  void* context = nullptr;
  TaskFunction function = nullptr;
  int count = 0;
  std::atomic<int> next{0};

  ~Shared() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    work_ready.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void TakeTasks(int worker) {
    for (int task = next++; task < count; task = next++) {
      try {
        function(context, task, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (error && error_task < task) continue;
        error = std::current_exception();
        error_task = task;
      }
    }
  }

  void HelperLoop(int worker) {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex);
        work_ready.wait(lock, [&] { return stop || generation != seen; });
        if (stop) return;
        seen = generation;
      }
      TakeTasks(worker);
      const std::lock_guard lock(mutex);
      if (--busy == 0) work_done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : size_(threads), shared_(std::make_unique<Shared>()) {
  if (threads < 1) throw InputError(fmt::format("threads: found {}, expected at least 1", threads));
  try {
    for (int worker = 1; worker < threads; ++worker) {
      shared_->threads.emplace_back(
          [shared = shared_.get(), worker] { shared->HelperLoop(worker); });
    }
  } catch (const std::system_error& error) {
    throw InputError(
        fmt::format("threads: found {}, expected at most the {} that can be started: {}", threads,
                    shared_->threads.size() + 1, error.code().message()));
  }
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::Run(int count, void* context, TaskFunction function) {
  Shared& shared = *shared_;
  {
    const std::lock_guard lock(shared.mutex);
    shared.context = context;
    shared.function = function;
    shared.count = count;
    shared.next = 0;
    shared.error = nullptr;
    shared.busy = size_ - 1;
    ++shared.generation;
  }
  shared.work_ready.notify_all();
  shared.TakeTasks(0);
  std::unique_lock lock(shared.mutex);
  shared.work_done.wait(lock, [&] { return shared.busy == 0; });
  if (shared.error) std::rethrow_exception(std::exchange(shared.error, nullptr));
}

}  // namespace foreplan
