// Problems that trajectory optimisers are compared on: two linear-quadratic ones, a unicycle, three
// swing-ups and flights, and box QPs. Their definitions are complete in the source.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/trajopt/ilqr.h"
#include "foreplan/trajopt/lqr.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// The generator that all random entries come from: s <- s * 6364136223846793005 +
/// 1442695040888963407 mod 2^64, number 2 (s >> 11) 2^-53 - 1, matrices row by row.
class ReferenceRandom {
 public:
  explicit ReferenceRandom(uint64_t seed) : state_(seed) {}
  double Number();
  Eigen::MatrixXd Matrix(int rows, int columns);

 private:
  uint64_t state_;
};

/// A problem with its start and guess.
struct ReferenceCase {
  std::string problem;
  std::string variant;
  std::unique_ptr<TrajectoryProblem> trajectory;
  std::vector<double> start;        // [state_dim]
  std::vector<double> actions;      // [N x nu]
  std::vector<double> states;       // [N + 1 x state_dim] of an infeasible guess, or empty
  IlqrOptions options;              // that suit this case
  double known_cost = 0;            // what the reference solver reaches from this start
  bool stop_at_known_cost = false;  // the question is how fast that cost is reached
};

/// "lqr_37x12", "lqr_56x22" (variants "8", "64", "512": the horizon), "unicycle", "cartpole",
/// "acrobot", "quadrotor"; variants "free", "bounded" (control limits), "infeasible" (guess with
/// gaps), "ddp" (second derivatives), "damped" (large initial regularisation: finds a better
/// minimum), "target" (the same, until the known cost is reached). Throws InputError for unknown
/// names.
ReferenceCase MakeReferenceCase(const std::string& problem, const std::string& variant);

/// (problem, variant) of all cases, in the order of a report.
std::vector<std::pair<std::string, std::string>> ReferenceCases();

LqrProblem ReferenceLqr37x12(std::vector<double>& start);
LqrProblem ReferenceLqr56x22(int horizon);

/// min 1/2 x'Hx + q'x: [n x n], [n].
struct ReferenceBoxQp {
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> H;
  Eigen::VectorXd q;
};
ReferenceBoxQp MakeReferenceBoxQp(int n);

}  // namespace foreplan
