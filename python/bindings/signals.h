// What Python wants or raises while C++ works without the interpreter's lock.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "foreplan/core/executor.h"
#include "foreplan/core/thread_pool.h"
#include "python/bindings/signal_watch.h"

namespace foreplan::python {

namespace nb = nanobind;

/// Keeps what Python raises in callbacks until C++ has come to its end and it can be raised again.
/// Several threads may run and keep at once.
class Raised {
 public:
  /// Any thread that holds the interpreter's lock.
  void Keep(nb::python_error error);

  /// Calls `work` without the interpreter's lock; Ctrl-C asks `stop` to stop. Where it throws, what
  /// was kept meanwhile is raised instead of what C++ made of it.
  template <typename Work>
  auto Run(const std::stop_source& stop, const Work& work) {
    const Running running(*this);
    try {
      const SignalWatch watch(stop);
      const nb::gil_scoped_release released;
      return work();
    } catch (...) {
      RaiseKept();
      throw;
    }
  }
  /// The same of what is over soon.
  template <typename Work>
  auto Run(const Work& work) {
    return Run(std::stop_source(std::nostopstate), work);
  }

 private:
  /// While one lives, what is kept may be wanted.
  class Running {
   public:
    explicit Running(Raised& raised);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Raised& raised_;
  };

  /// Nothing when nothing was kept.
  void RaiseKept();

  std::mutex mutex_;
  std::deque<nb::python_error> kept_;  // in the order they came
  int running_ = 0;
};

/// A pool of threads that take no signals. Throws RuntimeError in another process than its own: a
/// fork has none of its threads.
class PythonExecutor final : public Executor {
 public:
  explicit PythonExecutor(int threads);
  ~PythonExecutor() override;
  [[nodiscard]] int size() const override { return pool_->size(); }

 private:
  void Run(int count, void* context, TaskFunction function) override;

  std::unique_ptr<ThreadPool> pool_;
  pid_t process_;
};

}  // namespace foreplan::python
