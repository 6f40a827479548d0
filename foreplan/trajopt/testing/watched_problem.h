// Problems that fail, or tell when they are asked, for tests.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

// A problem with one thing wrong at a time.
struct Faulty {
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  int horizon = 5;
  std::vector<double> low = {};
  std::vector<double> high = {};
  double action_weight = 1;
  double nan_beyond = std::numeric_limits<double>::infinity();

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    next[0] = x[0] + 0.1 * x[1];
    next[1] = x[1] + 0.1 * u[0];
    if (u[0] > nan_beyond) next[1] = T(std::nan(""));
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    return x[0] * x[0] + action_weight * (u[0] * u[0]);
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 10.0 * (x[0] * x[0]);
  }
};

/// A problem that tells when it is rolled out and expanded, and can refuse a rollout.
class Watched final : public TrajectoryProblem {
 public:
  explicit Watched(const TrajectoryProblem& problem) : problem_(problem) {}
  std::function<void()> on_rollout = [] {};
  std::function<void()> on_last_step = [] {};
  std::function<void()> on_expansion = [] {};
  bool refuses = false;  // costs are NaN

  [[nodiscard]] int horizon() const override { return problem_.horizon(); }
  [[nodiscard]] int state_dim() const override { return problem_.state_dim(); }
  [[nodiscard]] int action_dim() const override { return problem_.action_dim(); }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace() const override {
    return problem_.MakeWorkspace();
  }
  void Bind(int t, Knot& knot) const override { problem_.Bind(t, knot); }
  double Step(int t, const double* x, const double* u, double* next,
              Workspace& workspace) const override {
    if (t == 0) on_rollout();
    if (t == horizon() - 1) on_last_step();
    const double cost = problem_.Step(t, x, u, next, workspace);
    return refuses ? std::nan("") : cost;
  }
  double TerminalCost(const double* x, Workspace& workspace) const override {
    return problem_.TerminalCost(x, workspace);
  }
  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& workspace) const override {
    on_expansion();
    problem_.Expand(first, last, xs, us, knots, workspace);
  }
  void ExpandTerminal(const double* x, const Knot& knot, Workspace& workspace) const override {
    problem_.ExpandTerminal(x, knot, workspace);
  }

 private:
  const TrajectoryProblem& problem_;
};

/// Refuses the rollouts first ... last, number 1 is the guess's.
inline void Refuse(Watched& watched, int first, int last) {
  watched.on_rollout = [&watched, first, last, rollouts = 0]() mutable {
    ++rollouts;
    watched.refuses = rollouts >= first && rollouts <= last;
  };
}

}  // namespace foreplan
