// Threads that wait for loops.
#pragma once

#include <memory>

#include "foreplan/core/executor.h"

namespace foreplan {

/// A fixed set of threads; the one that asks works too.
class ThreadPool final : public Executor {
 public:
  /// threads >= 1; throws InputError otherwise, or when the system refuses so many.
  explicit ThreadPool(int threads);
  ~ThreadPool() override;

  [[nodiscard]] int size() const override { return size_; }

 private:
  void Run(int count, void* context, TaskFunction function) override;

  struct Shared;
  int size_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace foreplan
