// Reads testdata/gps for tests; the format is described in testdata/README.md.
#pragma once

#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/models/local/rollout_view.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan::testing {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Matrix number `index` of a list of them.
inline Eigen::MatrixXd GoldenMatrix(const nlohmann::json& list, int rows, int columns,
                                    int index = 0) {
  const auto values = list.get<std::vector<double>>();
  return Eigen::Map<const RowMajor>(values.data() + index * rows * columns, rows, columns);
}

/// Of symmetric matrices the lower triangles are given.
inline Eigen::MatrixXd GoldenSymmetric(const nlohmann::json& list, int dim, int index = 0) {
  Eigen::MatrixXd matrix(dim, dim);
  auto at = static_cast<size_t>(index * dim * (dim + 1) / 2);
  for (int i = 0; i < dim; ++i) {
    for (int j = 0; j <= i; ++j) matrix(i, j) = matrix(j, i) = list.at(at++).get<double>();
  }
  return matrix;
}

/// A case's rollouts and the memory that their view points to.
struct GoldenRollouts {
  GoldenRollouts(const nlohmann::json& file, const nlohmann::json& golden)
      : states(golden.at("states").get<std::vector<double>>()),
        actions(golden.at("actions").get<std::vector<double>>()),
        view{.rollouts = golden.at("N"),
             .transitions = file.at("T"),
             .nx = file.at("nx"),
             .nu = file.at("nu"),
             .states = states.data(),
             .actions = actions.data()} {}

  std::vector<double> states, actions;
  RolloutView view;
};

/// Points z = (x, u, x') of the newest `kept` rollouts, one rollout after the other.
inline Eigen::MatrixXd PointsOf(const RolloutView& view, int kept) {
  Eigen::MatrixXd points(view.joint_dim(), kept * view.transitions);
  Eigen::MatrixXd z(view.joint_dim(), view.rollouts);
  for (int t = 0; t < view.transitions; ++t) {
    view.Joint(t, z);
    for (int n = 0; n < kept; ++n) {
      points.col(n * view.transitions + t) = z.col(view.rollouts - kept + n);
    }
  }
  return points;
}

/// Largest |a - b| over largest |b|.
inline double ArrayError(const Eigen::MatrixXd& found, const Eigen::MatrixXd& expected) {
  return (found - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
}

}  // namespace foreplan::testing
