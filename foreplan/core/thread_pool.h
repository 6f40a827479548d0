// A fixed set of threads for loops whose work is cut into tasks before it starts.
#pragma once

#include <memory>
#include <type_traits>

namespace foreplan {

/// Runs `function(task, worker)` for task = 0 ... count - 1 and returns when all are done.
/// A task writes only to its own place, so results never depend on which worker took it.
/// `worker` in [0, size()) names a workspace that no other thread uses meanwhile.
/// The calling thread works too; ParallelFor allocates nothing. Of exceptions that tasks throw,
/// that of the lowest task is rethrown after the others have finished. One loop at a time: another
/// one meanwhile, within a task or from a second thread, throws std::logic_error and runs no task.
class ThreadPool {
 public:
  /// threads >= 1; throws InputError otherwise, or when the system refuses so many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int size() const { return size_; }

  template <typename Function>
  void ParallelFor(int count, Function&& function) {
    Run(count, const_cast<void*>(static_cast<const void*>(&function)),
        [](void* context, int task, int worker) {
          (*static_cast<std::remove_reference_t<Function>*>(context))(task, worker);
        });
  }

 private:
  using TaskFunction = void (*)(void* context, int task, int worker);
  void Run(int count, void* context, TaskFunction function);

  struct Shared;
  int size_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace foreplan
