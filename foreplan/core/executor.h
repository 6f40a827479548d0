// Runs loops whose work is cut into tasks before it starts.
#pragma once

#include <atomic>
#include <type_traits>

namespace foreplan {

/// Runs `function(task, worker)` for task = 0 ... count - 1 and returns when all are done.
/// A task writes only to its own place, so results never depend on which worker took it.
/// `worker` in [0, size()) names a workspace that no other thread uses meanwhile.
/// ParallelFor allocates nothing. Of exceptions that tasks throw, that of the lowest task is
/// rethrown after the others have finished. One loop at a time: another one meanwhile, within a
/// task or from a second thread, throws std::logic_error and runs no task. What runs beside
/// something else has an executor of its own.
class Executor {
 public:
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Workers, at least 1.
  [[nodiscard]] virtual int size() const = 0;

  template <typename Function>
  void ParallelFor(int count, Function&& function) {
    const Loop loop(occupied_);
    Run(count, const_cast<void*>(static_cast<const void*>(&function)),
        [](void* context, int task, int worker) {
          (*static_cast<std::remove_reference_t<Function>*>(context))(task, worker);
        });
  }

 protected:
  Executor() = default;

  using TaskFunction = void (*)(void* context, int task, int worker);
  /// One loop; never while another one runs.
  virtual void Run(int count, void* context, TaskFunction function) = 0;

 private:
  /// Holds the executor for one loop.
  class Loop {
   public:
    explicit Loop(std::atomic<bool>& occupied);
    ~Loop() { occupied_.store(false, std::memory_order_release); }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

   private:
    std::atomic<bool>& occupied_;
  };

  std::atomic<bool> occupied_{false};
};

/// The thread that asks works.
class SerialExecutor final : public Executor {
 public:
  [[nodiscard]] int size() const override { return 1; }

 private:
  void Run(int count, void* context, TaskFunction function) override;
};

}  // namespace foreplan
