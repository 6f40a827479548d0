// A model that takes its time, for tests of deadlines.
#pragma once

#include <atomic>
#include <chrono>

#include "foreplan/core/deadline.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan::testing {

/// The double integrator, each row of a step taking a while; counts the calls that begin after a
/// deadline.
class SlowDynamics final : public DoubleIntegrator {
 public:
  std::chrono::microseconds row_time{0};
  Deadline deadline;
  mutable std::atomic<int> late_calls = 0;

  void Step(const StepBatch& batch, Workspace& workspace) const override {
    Spend(batch.rows);
    DoubleIntegrator::Step(batch, workspace);
  }
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override {
    Spend(batch.rows);
    DoubleIntegrator::Linearize(batch, workspace);
  }

 private:
  void Spend(int rows) const {
    if (HasPassed(deadline)) ++late_calls;
    const auto end = std::chrono::steady_clock::now() + rows * row_time;
    while (std::chrono::steady_clock::now() < end) {
    }
  }
};

}  // namespace foreplan::testing
