#include "foreplan/core/executor.h"

#include <exception>
#include <stdexcept>

namespace foreplan {

Executor::Loop::Loop(std::atomic<bool>& occupied) : occupied_(occupied) {
  if (occupied_.exchange(true, std::memory_order_acquire)) {
    throw std::logic_error(
        "executor: found a ParallelFor within another one, or from a second thread, expected one "
        "at a time");
  }
}

void SerialExecutor::Run(int count, void* context, TaskFunction function) {
  std::exception_ptr error;
  for (int task = 0; task < count; ++task) {
    try {
      function(context, task, 0);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace foreplan
