// Time-varying linear-Gaussian dynamics: what local models are.
#pragma once

#include <Eigen/Core>
#include <vector>

namespace foreplan {

/// One step: x' ~ N(A x + B u + c, covariance).
struct LinearGaussianTransition {
  Eigen::MatrixXd A;           // [nx x nx]
  Eigen::MatrixXd B;           // [nx x nu]
  Eigen::VectorXd c;           // [nx]
  Eigen::MatrixXd covariance;  // [nx x nx]
};

/// x_0 ~ N(initial_mean, initial_covariance), then one transition per step.
struct LinearGaussianDynamics {
  Eigen::VectorXd initial_mean;                 // [nx]
  Eigen::MatrixXd initial_covariance;           // [nx x nx]
  std::vector<LinearGaussianTransition> steps;  // [transitions]
};

}  // namespace foreplan
