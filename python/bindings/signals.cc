#include "python/bindings/signals.h"

#include <stdexcept>
#include <utility>

namespace foreplan::python {

void Raised::Keep(nb::python_error error) {
  const std::lock_guard lock(mutex_);
  kept_.push_back(std::move(error));
}

Raised::Running::Running(Raised& raised) : raised_(raised) {
  const std::lock_guard lock(raised_.mutex_);
  ++raised_.running_;
}

Raised::Running::~Running() {
  std::deque<nb::python_error> forgotten;  // ends behind the lock
  const std::lock_guard lock(raised_.mutex_);
  if (--raised_.running_ == 0) std::swap(forgotten, raised_.kept_);
}

void Raised::RaiseKept() {
  // Handlers that waited for this thread have their turn: Ctrl-C becomes KeyboardInterrupt.
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
  std::unique_lock lock(mutex_);
  if (kept_.empty()) return;
  nb::python_error error = std::move(kept_.front());
  kept_.pop_front();
  lock.unlock();
  throw nb::python_error(std::move(error));
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
