#include "foreplan/trajopt/kl/initial_policies.h"

#include <fmt/format.h>

#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/lqr.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

void CheckSizes(const VectorXd& start, int nu) {
  if (nu >= 1 && start.size() >= 2 * nu) return;
  throw InputError(fmt::format(
      "initial policy: found {} state components for {} actions, expected at least as many "
      "positions and velocities as actions",
      start.size(), nu));
}

/// One number for all, one for each, or none.
VectorXd PerAction(const char* field, const std::vector<double>& values, double absent, int nu) {
  if (values.empty()) return VectorXd::Constant(nu, absent);
  if (values.size() == 1) return VectorXd::Constant(nu, values[0]);
  if (std::cmp_not_equal(values.size(), nu)) {
    throw InputError(fmt::format("initial policy: {}: found {} numbers, expected 1 or {}", field,
                                 values.size(), nu));
  }
  return Eigen::Map<const VectorXd>(values.data(), nu);
}

}  // namespace

void InitialLqrOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("variance", variance, {1e-12, 1e12}, "of the first actions, about");
  visitor.Field("stiffness", stiffness, {0, 1e12}, "weight of the guessed positions");
  visitor.Field("stiffness_velocity", stiffness_velocity, {0, 1e12},
                "weight of the velocities, in units of stiffness");
  visitor.Field("final_weight", final_weight, {0, 1e12}, "factor of the last step's cost");
  visitor.Field("gains", gains, {-1e12, 1e12}, "guessed acceleration per action; empty: 1");
  visitor.Field("accelerations", accelerations, {-1e12, 1e12}, "guessed drift; empty: 0");
}

void InitialPdOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("variance", variance, {1e-12, 1e12}, "of the first actions");
  visitor.Field("position_gain", position_gain, {0, 1e12}, "of the guessed positions");
  visitor.Field("velocity_gain", velocity_gain, {0, 1e12}, "in units of position_gain");
}

LinearGaussianPolicy MakeInitialLqrPolicy(const InitialLqrOptions& options, const VectorXd& start,
                                          int nu, double dt, int steps) {
  CheckSizes(start, nu);
  const VectorXd g = PerAction("gains", options.gains, 1, nu);
  const VectorXd a = PerAction("accelerations", options.accelerations, 0, nu);
  const Eigen::Index nx = start.size();
  LqrStage stage;
  stage.A = MatrixXd::Zero(nx, nx);
  stage.A.topLeftCorner(nu, nu).setIdentity();
  stage.A.block(0, nu, nu, nu).diagonal().setConstant(dt);
  stage.A.block(nu, nu, nu, nu).setIdentity();
  stage.B = MatrixXd::Zero(nx, nu);
  stage.B.topRows(nu).diagonal() = dt * dt * g;
  stage.B.middleRows(nu, nu).diagonal() = dt * g;
  stage.c = VectorXd::Zero(nx);
  stage.c.head(nu) = dt * dt * a;
  stage.c.segment(nu, nu) = dt * a;
  // 1/2 (x - x_0)'W (x - x_0) + 1/2 u'u / variance
  VectorXd weight = VectorXd::Zero(nx);
  weight.head(nu).setConstant(options.stiffness);
  weight.segment(nu, nu).setConstant(options.stiffness * options.stiffness_velocity);
  weight /= options.variance;
  stage.Q = weight.asDiagonal();
  stage.q = -weight.cwiseProduct(start);
  stage.R = MatrixXd::Identity(nu, nu) / options.variance;

  LqrProblem problem;
  problem.horizon = steps;
  problem.stages.assign(static_cast<size_t>(steps), stage);
  LqrStage& last = problem.stages.back();
  last.Q *= options.final_weight;
  last.q *= options.final_weight;
  last.R *= options.final_weight;
  problem.terminal_Q = MatrixXd::Zero(nx, nx);
  LqrSolution solution = SolveLqr(problem, 1.0);
  if (solution.status != LqrStatus::kOk) {
    throw InputError(
        fmt::format("initial policy: found {} at step {}, expected {}",
                    solution.status == LqrStatus::kNotFinite ? "numbers that overflow"
                                                             : "a cost without a minimum",
                    solution.failed_step,
                    solution.status == LqrStatus::kNotFinite ? "smaller gains and weights"
                                                             : "final_weight > 0"));
  }
  return std::move(solution.policy);
}

LinearGaussianPolicy MakeInitialPdPolicy(const InitialPdOptions& options, const VectorXd& start,
                                         int nu, int steps) {
  CheckSizes(start, nu);
  LinearGaussianStep step;
  step.action = VectorXd::Zero(nu);
  step.state = start;
  step.feedforward = VectorXd::Zero(nu);
  step.feedback = MatrixXd::Zero(nu, start.size());
  step.feedback.leftCols(nu).diagonal().setConstant(-options.position_gain);
  step.feedback.middleCols(nu, nu).diagonal().setConstant(-options.position_gain *
                                                          options.velocity_gain);
  step.covariance = options.variance * MatrixXd::Identity(nu, nu);
  return LinearGaussianPolicy(std::vector<LinearGaussianStep>(static_cast<size_t>(steps), step));
}

}  // namespace foreplan
