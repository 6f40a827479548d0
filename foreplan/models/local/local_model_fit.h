// Linear-Gaussian dynamics from rollouts, one regression per time step.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/models/local/linear_gaussian_dynamics.h"
#include "foreplan/models/local/local_prior.h"
#include "foreplan/models/local/rollout_view.h"

namespace foreplan {

/// What is done with the marginal likelihood of the prior.
enum class EvidenceUse {
  kNone,    // not computed
  kReport,  // of the prior as it is
  kChoose,  // the prior's strength is the one of a grid that makes the samples likeliest
};

/// Section [local_models.fit].
struct LocalFitOptions {
  double ridge = 1e-6;         // added to the variances of (x, u) before the regression
  double noise_floor = 1e-10;  // added to the variances of the dynamics' noise
  double start_floor = 1e-6;   // least variance of the initial state
  EvidenceUse evidence = EvidenceUse::kNone;

  void Visit(OptionsVisitor& visitor);
};

/// How well the regression of one time step was posed.
struct LocalFitStep {
  /// Directions of (x, u), each scaled by its deviation, in which the samples spread by more than
  /// 1e-6 of the widest; at most N - 1 and nx + nu.
  int rank = 0;
  /// Of the covariance of (x, u) that was inverted, in the 1-norm, as its Cholesky factor tells
  /// (Higham 1988): one to nx + nu times the ratio of its eigenvalues, but for the estimate.
  double condition = 0;
  /// log p(x' of all samples | their (x, u)) under the prior; 0 without prior or unless asked for.
  double log_evidence = 0;
};

struct LocalModelFit {
  LinearGaussianDynamics dynamics;
  std::vector<LocalFitStep> steps;  // [T]
  // Samples that the prior counted for, at the last time step.
  double m = 0;
  double n0 = 0;
};

/// Fits x' ~ N(A x + B u + c, covariance) per time step: least squares with a ridge, or Bayesian
/// linear regression with a normal-inverse-Wishart prior on the joint Gaussian of z = (x, u, x'),
/// conditioned on (x, u) (Levine and Abbeel 2014). One rollout is enough with a prior.
///
/// Allocates only when sizes grow.
class LocalModelFitter {
 public:
  /// Throws InputError (options out of range).
  explicit LocalModelFitter(const LocalFitOptions& options = {});

  /// Throws what CheckRollouts throws, and RunError where rollouts and prior do not determine a
  /// model: a single rollout without a prior, a prior with N + n0 <= 0 or numbers that are not
  /// finite, a regression that is singular (naming the time).
  void Fit(const RolloutView& rollouts, LocalPrior& prior, LocalModelFit& fit);

 private:
  /// How many samples a prior counts for.
  struct Strength {
    double m, n0, scatter;
  };

  void CheckPrior(int t, int rollouts, const NormalInverseWishart& prior) const;
  /// The joint Gaussian of the samples z_ and prior_: joint_ and mean_.
  void Combine();
  /// Conditions the joint Gaussian on (x, u).
  void Regress(int t, LinearGaussianTransition& transition, LocalFitStep& step);
  /// Directions in which the samples z_ spread.
  int Rank();
  /// Prepares Evidence for the samples z_ and prior_; false when Sigma0 is singular.
  bool Whiten();
  [[nodiscard]] double Evidence(const Strength& strength);
  /// The strength of the grid that makes all samples likeliest.
  Strength Choose(const RolloutView& rollouts, LocalPrior& prior);

  LocalFitOptions options_;
  int nx_ = 0;
  int nu_ = 0;
  Eigen::MatrixXd z_;       // samples of one time: [nz x N]
  Eigen::VectorXd z_mean_;  // [nz]
  NormalInverseWishart prior_;
  Eigen::MatrixXd joint_;   // covariance: [nz x nz]
  Eigen::VectorXd mean_;    // [nz]
  Eigen::MatrixXd factor_;  // L of the (x, u) block: [nxu x nxu]
  Eigen::MatrixXd gain_;    // L^-1 Sigma_xu,x', then F': [nxu x nx]
  Eigen::MatrixXd spread_;  // scaled samples of (x, u): [nxu x N]
  Eigen::MatrixXd gram_;    // of spread_ by rows or columns, the smaller
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen_;
  // Of Whiten.
  Eigen::MatrixXd root_;                          // L of Sigma0: [nz x nz]
  Eigen::MatrixXd whitened_;                      // L^-1 (z - z', z' - mu0): [nz x N + 1]
  Eigen::MatrixXd gram_joint_, gram_regressors_;  // whitened_' whitened_: [N + 1 x N + 1]
  Eigen::MatrixXd determinant_;                   // [N + 1 x N + 1]
  double log_det_joint_ = 0;                      // of Sigma0
  double log_det_regressors_ = 0;                 // of its (x, u) block
};

/// The initial state from samples, one per column: [nx x N]. Variances below `floor` are raised to
/// it; a prior (may be null) joins as in NormalInverseWishart.
void FitInitialState(const Eigen::Ref<const Eigen::MatrixXd>& x0, const NormalInverseWishart* prior,
                     double floor, Eigen::VectorXd& mean, Eigen::MatrixXd& covariance);

}  // namespace foreplan
