#include "python/bindings/signals.h"

#include <stdexcept>
#include <utility>

namespace foreplan::python {

void Raised::Keep(nb::python_error error) {
  const std::lock_guard lock(mutex_);
  if (!kept_) kept_ = std::make_unique<nb::python_error>(std::move(error));
  stop_.request_stop();
}

void Raised::Begin() {
  const std::lock_guard lock(mutex_);
  kept_.reset();
  if (stop_.stop_requested()) stop_ = {};  // of the call before
}

void Raised::RaiseKept() {
  // Handlers that waited for this thread have their turn: Ctrl-C becomes KeyboardInterrupt.
  if (PyErr_CheckSignals() != 0) Keep(nb::python_error());
  std::unique_ptr<nb::python_error> kept;
  {
    const std::lock_guard lock(mutex_);
    kept = std::move(kept_);
  }
  if (kept) throw nb::python_error(std::move(*kept));
}

PythonExecutor::PythonExecutor(int threads) : process_(getpid()) {
  const BlockedSignals blocked;
  pool_ = std::make_unique<ThreadPool>(threads);
}

PythonExecutor::~PythonExecutor() {
  // There is nothing to wait for in a process without these threads.
  if (getpid() != process_) static_cast<void>(pool_.release());
}

void PythonExecutor::Run(int count, void* context, TaskFunction function) {
  if (getpid() != process_) {
    throw std::runtime_error(
        "found a process that was forked, expected the one in which this was made: threads do not "
        "survive a fork; make it anew, or start processes with the method 'spawn'");
  }
  pool_->ParallelFor(count, [&](int task, int worker) { function(context, task, worker); });
}

}  // namespace foreplan::python
