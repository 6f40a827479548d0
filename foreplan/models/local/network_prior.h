// A network ensemble's local linearisation, as prior of the local models.
#pragma once

#include <Eigen/Core>
#include <functional>
#include <memory>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/local/local_prior.h"

namespace foreplan {

/// Section [local_models.network].
struct NetworkPriorOptions {
  double strength = 1;  // m = n0 = scatter: samples that the network counts for

  void Visit(OptionsVisitor& visitor);
};

/// Prior of time t from the ensemble's mean f and its Jacobian F = [A B] at the samples' mean (x,
/// u) (Fu, Levine and Abbeel 2016):
///   mu0 = [(x, u); f(x, u)],  Sigma0 = [S, S F'; F S, F S F' + V]
///   S = (N cov(x, u) + D) / (N + 1)     D: variances over rollouts, in the mean over time
///   V = predicted noise + disagreement of the members
/// What the samples say about the noise is in the fit already; in V it would count twice, and a
/// right network would look no likelier than a wrong one (docs/results/local_models.md). D is at
/// least 1e-3 of a coordinate's variance over all rollouts and times, so that a single rollout,
/// whose samples do not spread, leaves the network in charge of every direction that the system
/// moves in.
class NetworkPrior final : public LocalPrior {
 public:
  /// What others train: `ensemble` is asked for the present version at every Prepare. Throws
  /// InputError (options).
  NetworkPrior(std::function<std::shared_ptr<const Ensemble>()> ensemble,
               const NetworkPriorOptions& options);

  void Learn(const RolloutView& /*fresh*/) override {}
  void Prepare(const RolloutView& rollouts) override;
  void At(int t, NormalInverseWishart& prior) override;

 private:
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  void Predict();

  std::function<std::shared_ptr<const Ensemble>()> source_;
  std::shared_ptr<const Ensemble> ensemble_;  // of the last Prepare
  NetworkPriorOptions options_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  int workspace_rows_ = 0;
  RolloutView rollouts_;
  Eigen::VectorXd spread_;  // D: [nx + nu]
  RowMajor state_;          // means over rollouts: [T x nx]
  RowMajor action_;         // [T x nu]
  RowMajor next_;           // f there: [T x nx]
  RowMajor A_;              // [T nx x nx]
  RowMajor B_;              // [T nx x nu]
  RowMajor noise_;          // variances, of noise and of members: [T x nx]
  RowMajor member_mean_, member_deviation_, member_sum_;  // [T x nx]
  Eigen::MatrixXd z_;                                     // [nz x N]
  Eigen::MatrixXd F_;                                     // [nx x nx + nu]
};

}  // namespace foreplan
