// What is believed about the dynamics near the rollouts before looking at them.
#pragma once

#include <Eigen/Core>
#include <string>

#include "foreplan/data/safetensors.h"
#include "foreplan/models/local/rollout_view.h"

namespace foreplan {

/// Normal-inverse-Wishart prior of the Gaussian of z = (x, u, x') at one time step:
///   Sigma ~ IW(scatter Sigma0, n0 + nz + 1),  mu | Sigma ~ N(mu0, Sigma / m)
/// With N samples of mean z' and covariance S the fit is
///   Sigma = (N S + scatter Sigma0 + N m / (N + m) (z' - mu0)(z' - mu0)') / (N + n0)
///   mu    = (N z' + m mu0) / (N + m)
struct NormalInverseWishart {
  Eigen::VectorXd mean;        // mu0: [nz]
  Eigen::MatrixXd covariance;  // Sigma0: [nz x nz]
  double m = 0;                // samples that the mean counts for
  double n0 = 0;               // samples that the covariance counts for, in the divisor
  double scatter = 0;          // the same in the sum; n0 unless a prior says otherwise

  /// No prior: least squares.
  void Clear(int nz);
};

/// A prior over the local models of one initial condition.
///
///   prior.Learn(rollouts of this iteration);
///   fitter.Fit(rollouts to fit, prior, fit);     // calls Prepare, then At for every t
class LocalPrior {
 public:
  virtual ~LocalPrior() = default;

  /// Takes in rollouts that it has not seen yet.
  virtual void Learn(const RolloutView& fresh) = 0;
  /// Gets ready to answer near these rollouts, which must live as long as At is called.
  virtual void Prepare(const RolloutView& rollouts) = 0;
  /// The prior at time t; `prior` keeps its memory from call to call.
  virtual void At(int t, NormalInverseWishart& prior) = 0;
  /// Prior of the initial state, as above with z = x_0; false: none.
  virtual bool Initial(NormalInverseWishart& /*prior*/) const { return false; }

  /// What it has learned, under names that start with `prefix`.
  virtual void Save(const std::string& /*prefix*/, TensorFile& /*file*/) const {}
  virtual void Restore(const std::string& /*prefix*/, const TensorFile& /*file*/) {}
};

/// Believes nothing: the fit is least squares.
class NoPrior final : public LocalPrior {
 public:
  void Learn(const RolloutView& /*fresh*/) override {}
  void Prepare(const RolloutView& rollouts) override { nz_ = rollouts.joint_dim(); }
  void At(int /*t*/, NormalInverseWishart& prior) override { prior.Clear(nz_); }

 private:
  int nz_ = 0;
};

}  // namespace foreplan
