#include "foreplan/control/trajectory_tracker.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/column_statistics.h"
#include "foreplan/trajopt/lqr.h"

namespace foreplan {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void CheckTangentSpace(const Dynamics& dynamics) {
  if (dynamics.tangent_dim() == dynamics.state_dim()) return;
  throw InputError(fmt::format(
      "tracked plans: found a model with {} tangent dimensions and {} state numbers, expected as "
      "many of both",
      dynamics.tangent_dim(), dynamics.state_dim()));
}

/// x^: [horizon + 1 x nx].
RowMajor PredictedStates(const Dynamics& dynamics, std::span<const double> start,
                         const RowMajor& actions, Dynamics::Workspace& workspace) {
  const auto horizon = static_cast<int>(actions.rows());
  RowMajor states(horizon + 1, dynamics.state_dim());
  std::vector<double> observation(static_cast<size_t>(dynamics.observation_dim()));
  std::ranges::copy(start, states.data());
  for (int t = 0; t < horizon; ++t) {
    double* next = states.row(t + 1).data();
    dynamics.StepMean(
        {.rows = 1,
         .state = states.row(t).data(),
         .action = actions.row(t).data(),
         .next_state = next,
         .next_observation = dynamics.observation_is_state() ? next : observation.data(),
         .time = t,
         .key = {}},
        workspace);
  }
  if (!states.allFinite()) {
    throw RunError("tracked plans: the model's prediction along the plan is not finite");
  }
  return states;
}

/// diag(1 / s_i^2); 1 for what does not move but for rounding, whatever its unit.
Eigen::MatrixXd StateWeights(const RowMajor& states) {
  const Eigen::RowVectorXd mean = states.colwise().mean();
  const Eigen::VectorXd variance = (states.rowwise() - mean).colwise().squaredNorm().transpose() /
                                   static_cast<double>(states.rows());
  const Eigen::VectorXd largest = states.cwiseAbs().colwise().maxCoeff().transpose();
  return variance
      .binaryExpr(largest,
                  [](double v, double x) { return std::sqrt(v) > RoundingOf(x) ? 1 / v : 1.0; })
      .asDiagonal();
}

/// diag(action_weight / h_j^2)
Eigen::MatrixXd ActionWeights(const ActionBounds& bounds, double action_weight) {
  Eigen::VectorXd weights(static_cast<Eigen::Index>(bounds.low.size()));
  for (Eigen::Index j = 0; j < weights.size(); ++j) {
    const auto i = static_cast<size_t>(j);
    weights(j) = action_weight / std::pow(0.5 * (bounds.high[i] - bounds.low[i]), 2);
  }
  return weights.asDiagonal();
}

void CheckSolved(const LqrSolution& solution) {
  if (solution.status == LqrStatus::kOk) return;
  throw RunError(fmt::format(
      "tracked plans: the gains at step {} {}: the model is too unstable along the plan to be "
      "tracked",
      solution.failed_step,
      solution.status == LqrStatus::kNotFinite ? "are not finite" : "have no minimum"));
}

}  // namespace

LinearGaussianPolicy TrackTrajectory(const Dynamics& dynamics, const ActionBounds& bounds,
                                     std::span<const double> start, std::span<const double> actions,
                                     double action_weight) {
  CheckTangentSpace(dynamics);
  const int nx = dynamics.state_dim();
  const int nu = dynamics.action_dim();
  const auto horizon = static_cast<int>(actions.size()) / nu;
  const RowMajor us = Eigen::Map<const RowMajor>(actions.data(), horizon, nu);
  const auto workspace = dynamics.MakeDerivativeWorkspace(1);
  const RowMajor xs = PredictedStates(dynamics, start, us, *workspace);

  LqrProblem problem;
  problem.horizon = horizon;
  problem.terminal_Q = StateWeights(xs);
  const Eigen::MatrixXd R = ActionWeights(bounds, action_weight);
  RowMajor A(nx, nx);
  RowMajor B(nx, nu);
  for (int t = 0; t < horizon; ++t) {
    dynamics.Linearize({.rows = 1,
                        .state = xs.row(t).data(),
                        .action = us.row(t).data(),
                        .A = A.data(),
                        .B = B.data()},
                       *workspace);
    if (!A.allFinite() || !B.allFinite()) {
      throw RunError(
          fmt::format("tracked plans: the model's derivatives at step {} are not finite", t));
    }
    LqrStage stage;
    stage.A = A;
    stage.B = B;
    stage.Q = problem.terminal_Q;
    stage.R = R;
    problem.stages.push_back(std::move(stage));
  }
  const LqrSolution solution = SolveLqr(problem);
  CheckSolved(solution);
  std::vector<LinearGaussianStep> steps = solution.policy.steps();
  for (int t = 0; t < horizon; ++t) {
    auto& step = steps[static_cast<size_t>(t)];
    step.action = us.row(t);
    step.state = xs.row(t);
  }
  LinearGaussianPolicy policy(std::move(steps));
  policy.set_bounds(bounds.low, bounds.high);
  return policy;
}

}  // namespace foreplan
