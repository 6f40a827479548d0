// Policies to begin with, before anything is known about a system.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/policies/linear_gaussian.h"

namespace foreplan {

/// Both guess that a state begins with nu positions and nu velocities, each driven by one action.
struct InitialLqrOptions {
  double variance = 10;               // of the first actions, about; divides the cost
  double stiffness = 1;               // weight of the positions
  double stiffness_velocity = 0.5;    // weight of the velocities, in units of stiffness
  double final_weight = 1;            // factor of the last step's cost
  std::vector<double> gains;          // guessed acceleration per action, one or [nu]; empty: 1
  std::vector<double> accelerations;  // guessed drift, one or [nu]; empty: 0

  void Visit(OptionsVisitor& visitor);
};

struct InitialPdOptions {
  double variance = 10;
  double position_gain = 10;
  double velocity_gain = 0.01;  // in units of position_gain

  void Visit(OptionsVisitor& visitor);
};

/// Stays near `start`: maximum-entropy LQR on guessed dynamics
///   q' = q + dt v + dt^2 (g u + a), v' = v + dt (g u + a), all else 0,
/// with the cost (stiffness |q - q_0|^2 + stiffness stiffness_velocity |v - v_0|^2 + |u|^2) / (2
/// variance). `steps` policy steps. Throws InputError for a state of fewer than 2 nu numbers and
/// for lists of another length.
[[nodiscard]] LinearGaussianPolicy MakeInitialLqrPolicy(const InitialLqrOptions& options,
                                                        const Eigen::VectorXd& start, int nu,
                                                        double dt, int steps);

/// u = -position_gain (q - q_0) - position_gain velocity_gain (v - v_0), covariance variance I.
[[nodiscard]] LinearGaussianPolicy MakeInitialPdPolicy(const InitialPdOptions& options,
                                                       const Eigen::VectorXd& start, int nu,
                                                       int steps);

}  // namespace foreplan
