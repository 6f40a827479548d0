// What Python wants or raises while C++ works without the interpreter's lock.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "foreplan/core/executor.h"
#include "foreplan/core/thread_pool.h"
#include "python/bindings/signal_watch.h"

namespace foreplan::python {

namespace nb = nanobind;

/// Keeps what Python raised (an exception in a callback, Ctrl-C) until it can be raised again, and
/// asks what works to stop.
class Raised {
 public:
  /// The first is kept. Any thread that holds the interpreter's lock.
  void Keep(nb::python_error error);
  [[nodiscard]] std::stop_token token() { return stop_.get_token(); }

  /// Calls `work` without the interpreter's lock. What was kept meanwhile is raised in the place of
  /// what C++ made of it.
  template <typename Work>
  auto Run(const Work& work) {
    Begin();
    try {
      const SignalWatch watch(stop_);
      const nb::gil_scoped_release released;
      return work();
    } catch (...) {
      RaiseKept();
      throw;
    }
  }

 private:
  void Begin();
  /// Nothing when nothing was kept.
  void RaiseKept();

  std::mutex mutex_;
  std::unique_ptr<nb::python_error> kept_;
  std::stop_source stop_;
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
