// Linear-Gaussian problems with a previous policy, random and recorded, for tests.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/models/local/linear_gaussian_dynamics.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/systems/testing/golden_test_data.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

struct KlTestProblem {
  LinearGaussianDynamics dynamics;
  std::vector<QuadraticCost> costs;
  LinearGaussianPolicy previous;
};

inline Eigen::MatrixXd RandomTestMatrix(Random& random, Eigen::Index rows, Eigen::Index columns) {
  Eigen::MatrixXd matrix(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < columns; ++j) matrix(i, j) = random.Normal();
  }
  return matrix;
}

/// Every term present; costs positive definite, of a random scale over six decades.
inline KlTestProblem RandomKlProblem(int nx, int nu, int horizon, Key key) {
  using Eigen::MatrixXd;
  Random random(key);
  const auto positive = [&](Eigen::Index n) {
    const MatrixXd M = RandomTestMatrix(random, n, n);
    return MatrixXd(M * M.transpose() / static_cast<double>(n) + 0.1 * MatrixXd::Identity(n, n));
  };
  KlTestProblem problem;
  problem.dynamics.initial_mean = RandomTestMatrix(random, nx, 1);
  problem.dynamics.initial_covariance = 0.1 * positive(nx);
  const double scale = std::pow(10.0, random.Uniform(-3, 3));
  std::vector<LinearGaussianStep> steps;
  for (int t = 0; t < horizon; ++t) {
    const MatrixXd W = scale * positive(nx + nu);
    problem.costs.push_back({.Q = W.topLeftCorner(nx, nx),
                             .S = W.bottomLeftCorner(nu, nx),
                             .R = W.bottomRightCorner(nu, nu),
                             .q = scale * RandomTestMatrix(random, nx, 1),
                             .r = scale * RandomTestMatrix(random, nu, 1),
                             .constant = random.Normal()});
    steps.push_back({.action = RandomTestMatrix(random, nu, 1),
                     .state = RandomTestMatrix(random, nx, 1),
                     .feedforward = 0.1 * RandomTestMatrix(random, nu, 1),
                     .feedback = 0.3 * RandomTestMatrix(random, nu, nx),
                     .covariance = std::pow(10.0, random.Uniform(-2, 0)) * positive(nu)});
    if (t + 1 == horizon) break;
    problem.dynamics.steps.push_back(
        {.A = 0.9 * MatrixXd::Identity(nx, nx) + 0.1 * RandomTestMatrix(random, nx, nx),
         .B = 0.5 * RandomTestMatrix(random, nx, nu),
         .c = 0.1 * RandomTestMatrix(random, nx, 1),
         .covariance = 0.01 * positive(nx)});
  }
  problem.previous = LinearGaussianPolicy(std::move(steps));
  return problem;
}

/// Row `index` of [count x rows x columns].
inline Eigen::MatrixXd GoldenMatrix(const nlohmann::json& flat, size_t index, Eigen::Index rows,
                                    Eigen::Index columns) {
  Eigen::MatrixXd matrix(rows, columns);
  const size_t first = index * static_cast<size_t>(rows * columns);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < columns; ++j) {
      matrix(i, j) = flat.at(first + static_cast<size_t>(i * columns + j)).get<double>();
    }
  }
  return matrix;
}

/// Symmetric matrix `index` of a list of upper triangles.
inline Eigen::MatrixXd GoldenSymmetric(const nlohmann::json& flat, size_t index, Eigen::Index n) {
  Eigen::MatrixXd matrix(n, n);
  size_t at = index * static_cast<size_t>(n * (n + 1) / 2);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = i; j < n; ++j) {
      matrix(i, j) = matrix(j, i) = flat.at(at++).get<double>();
    }
  }
  return matrix;
}

/// testdata/gps/kl_<name>.json, "lqr_a" to "lqr_d".
inline KlTestProblem GoldenKlProblem(const nlohmann::json& golden) {
  const auto nx = golden.at("nx").get<Eigen::Index>();
  const auto nu = golden.at("nu").get<Eigen::Index>();
  KlTestProblem problem;
  problem.dynamics.initial_mean = GoldenMatrix(golden.at("start_mean"), 0, nx, 1);
  problem.dynamics.initial_covariance = GoldenSymmetric(golden.at("start_covariance_upper"), 0, nx);
  std::vector<LinearGaussianStep> steps;
  const auto count = golden.at("steps").get<size_t>();
  for (size_t t = 0; t < count; ++t) {
    const Eigen::MatrixXd C = GoldenSymmetric(golden.at("C_upper"), t, nx + nu);
    const Eigen::MatrixXd c = GoldenMatrix(golden.at("c"), t, nx + nu, 1);
    problem.costs.push_back({.Q = C.topLeftCorner(nx, nx),
                             .S = C.bottomLeftCorner(nu, nx),
                             .R = C.bottomRightCorner(nu, nu),
                             .q = c.topRows(nx),
                             .r = c.bottomRows(nu),
                             .constant = golden.at("constant").at(t).get<double>()});
    steps.push_back({.action = Eigen::VectorXd::Zero(nu),
                     .state = Eigen::VectorXd::Zero(nx),
                     .feedforward = GoldenMatrix(golden.at("previous_k"), t, nu, 1),
                     .feedback = GoldenMatrix(golden.at("previous_K"), t, nu, nx),
                     .covariance = GoldenSymmetric(golden.at("previous_covariance_upper"), t, nu)});
    if (t + 1 == count) break;
    const Eigen::MatrixXd F = GoldenMatrix(golden.at("F"), t, nx, nx + nu);
    problem.dynamics.steps.push_back(
        {.A = F.leftCols(nx),
         .B = F.rightCols(nu),
         .c = GoldenMatrix(golden.at("f"), t, nx, 1),
         .covariance = GoldenSymmetric(golden.at("noise_upper"), t, nx)});
  }
  problem.previous = LinearGaussianPolicy(std::move(steps));
  return problem;
}

inline double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace foreplan
