#include "foreplan/models/local/local_model_fit.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kRankTolerance = 1e-12;  // of squared spreads: 1e-6 of the widest

// Strengths that kChoose compares: few samples to so many that the prior is all there is.
constexpr std::array kMeanStrengths = {0.1, 1.0, 10.0, 100.0};
constexpr std::array kCovarianceStrengths = {0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0};

/// log Gamma_d(a), the multivariate gamma function.
double LogGamma(Index d, double a) {
  double sum = 0.25 * static_cast<double>(d * (d - 1)) * std::log(std::numbers::pi);
  for (Index j = 0; j < d; ++j) sum += std::lgamma(a - 0.5 * static_cast<double>(j));
  return sum;
}

/// log p(N samples) under d-dimensional NIW with nu degrees of freedom, from the log determinants
/// of the scatter matrices before and after.
double LogMarginal(Index d, double N, double m, double nu, double before, double after) {
  const auto dim = static_cast<double>(d);
  return -0.5 * N * dim * std::log(std::numbers::pi) + LogGamma(d, 0.5 * (nu + N)) -
         LogGamma(d, 0.5 * nu) + 0.5 * nu * before - 0.5 * (nu + N) * after +
         0.5 * dim * std::log(m / (m + N));
}

}  // namespace

void LocalFitOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, EvidenceUse>> kUses = {
      {"none", EvidenceUse::kNone},
      {"report", EvidenceUse::kReport},
      {"choose", EvidenceUse::kChoose}};
  visitor.Field("ridge", ridge, {0, 1e6}, "added to the variances of state and action");
  visitor.Field("noise_floor", noise_floor, {0, 1e6}, "added to the variances of the noise");
  visitor.Field("start_floor", start_floor, {0, 1e6}, "least variance of the initial state");
  visitor.Choice("evidence", evidence, std::span(kUses), "use of the prior's marginal likelihood");
}

LocalModelFitter::LocalModelFitter(const LocalFitOptions& options) : options_(options) {
  ValidateOptions("local model fit", options_);
}

void LocalModelFitter::Fit(const RolloutView& rollouts, LocalPrior& prior, LocalModelFit& fit) {
  CheckRollouts("local model fit", rollouts);
  nx_ = rollouts.nx;
  nu_ = rollouts.nu;
  z_.resize(rollouts.joint_dim(), rollouts.rollouts);
  const auto T = static_cast<size_t>(rollouts.transitions);
  fit.dynamics.steps.resize(T);
  fit.steps.resize(T);
  prior.Prepare(rollouts);
  Strength chosen{};
  if (options_.evidence == EvidenceUse::kChoose) chosen = Choose(rollouts, prior);
  for (int t = 0; t < rollouts.transitions; ++t) {
    LocalFitStep& step = fit.steps[static_cast<size_t>(t)];
    rollouts.Joint(t, z_);
    z_mean_ = z_.rowwise().mean();
    prior.At(t, prior_);
    if (chosen.m > 0) {
      prior_.m = chosen.m;
      prior_.n0 = chosen.n0;
      prior_.scatter = chosen.scatter;
    }
    CheckPrior(t, rollouts.rollouts, prior_);
    step.rank = Rank();
    step.log_evidence = 0;
    if (options_.evidence != EvidenceUse::kNone && prior_.m > 0 && Whiten()) {
      step.log_evidence = Evidence({prior_.m, prior_.n0, prior_.scatter});
    }
    Combine();
    Regress(t, fit.dynamics.steps[static_cast<size_t>(t)], step);
  }
  fit.m = prior_.m;
  fit.n0 = prior_.n0;
  MatrixXd& x0 = spread_;
  x0.resize(nx_, rollouts.rollouts);
  for (int n = 0; n < rollouts.rollouts; ++n) {
    x0.col(n) = Eigen::Map<const VectorXd>(rollouts.state(n, 0), nx_);
  }
  const bool has_prior = prior.Initial(prior_);
  FitInitialState(x0, has_prior ? &prior_ : nullptr, options_.start_floor,
                  fit.dynamics.initial_mean, fit.dynamics.initial_covariance);
}

void LocalModelFitter::CheckPrior(int t, int rollouts, const NormalInverseWishart& prior) const {
  if (prior.scatter == 0 && rollouts < 2) {
    throw RunError(
        "local model fit: found 1 rollout and no prior, expected at least 2 rollouts or a prior");
  }
  if (!(rollouts + prior.n0 > 0) || !(prior.m >= 0) || !(prior.scatter >= 0) ||
      !AllFinite(prior.mean) || !AllFinite(prior.covariance)) {
    throw RunError(fmt::format(
        "local model fit: time {}: prior: found m = {}, n0 = {}, scatter = {}{}, "
        "expected m >= 0, scatter >= 0 and more than {} = -rollouts for n0",
        t, prior.m, prior.n0, prior.scatter,
        AllFinite(prior.mean) && AllFinite(prior.covariance) ? ""
                                                             : " and numbers that are not finite",
        -rollouts));
  }
}

void LocalModelFitter::Combine() {
  const auto N = static_cast<double>(z_.cols());
  const double m = prior_.m;
  // Sigma = (N S + Phi + N m / (N + m) (z' - mu0)(z' - mu0)') / (N + n0)
  spread_ = z_.colwise() - z_mean_;
  joint_ = prior_.scatter * prior_.covariance;
  joint_.noalias() += spread_ * spread_.transpose();
  if (m > 0) {
    mean_ = z_mean_ - prior_.mean;
    joint_.noalias() += N * m / (N + m) * mean_ * mean_.transpose();
  }
  joint_ /= N + prior_.n0;
  // mu = (N z' + m mu0) / (N + m)
  mean_ = (N * z_mean_ + m * prior_.mean) / (N + m);
}

void LocalModelFitter::Regress(int t, LinearGaussianTransition& transition, LocalFitStep& step) {
  const Index nxu = nx_ + nu_;
  joint_.diagonal().head(nxu).array() += options_.ridge;
  factor_ = joint_.topLeftCorner(nxu, nxu);
  const Eigen::LLT<Eigen::Ref<MatrixXd>> llt(factor_);
  const double reciprocal = llt.info() == Eigen::Success ? llt.rcond() : 0;
  step.condition = reciprocal > 0 ? 1 / reciprocal : std::numeric_limits<double>::infinity();
  // A pivot that is rounding error leaves the direction undetermined.
  if (reciprocal <= 1e-16) {
    throw RunError(
        fmt::format("local model fit: time {}: found a singular regression (rank {} of {}, "
                    "condition {:.1e}), expected a larger ridge than {}, a prior, or more rollouts",
                    t, step.rank, nxu, step.condition, options_.ridge));
  }
  // F = Sigma_yx Sigma_xx^-1,  Sigma = Sigma_yy - F Sigma_xx F'  with Sigma_xx = L L'
  gain_ = joint_.topRightCorner(nxu, nx_);
  llt.matrixL().solveInPlace(gain_);
  transition.covariance = joint_.bottomRightCorner(nx_, nx_);
  transition.covariance.noalias() -= gain_.transpose() * gain_;
  transition.covariance.diagonal().array() += options_.noise_floor;
  llt.matrixU().solveInPlace(gain_);
  transition.A = gain_.topRows(nx_).transpose();
  transition.B = gain_.bottomRows(nu_).transpose();
  transition.c = mean_.tail(nx_);
  transition.c.noalias() -= gain_.transpose() * mean_.head(nxu);
}

int LocalModelFitter::Rank() {
  const Index nxu = nx_ + nu_;
  const Index N = z_.cols();
  spread_ = z_.topRows(nxu).colwise() - z_mean_.head(nxu);
  for (Index i = 0; i < nxu; ++i) {
    const double deviation = spread_.row(i).norm();
    // A coordinate that only rounding moves is constant.
    const bool constant = deviation <= 1e-14 * z_.row(i).norm();
    spread_.row(i) *= constant ? 0.0 : 1.0 / deviation;
  }
  if (N < nxu) {
    gram_.noalias() = spread_.transpose() * spread_;
  } else {
    gram_.noalias() = spread_ * spread_.transpose();
  }
  eigen_.compute(gram_, Eigen::EigenvaluesOnly);
  const auto& values = eigen_.eigenvalues();
  const double largest = values[values.size() - 1];
  if (!(largest > 0)) return 0;
  return static_cast<int>((values.array() > kRankTolerance * largest).count());
}

bool LocalModelFitter::Whiten() {
  const Index nxu = nx_ + nu_;
  const Index N = z_.cols();
  root_ = prior_.covariance;
  const Eigen::LLT<Eigen::Ref<MatrixXd>> llt(root_);
  if (llt.info() != Eigen::Success) return false;
  whitened_.resize(z_.rows(), N + 1);
  whitened_.leftCols(N) = z_.colwise() - z_mean_;
  whitened_.col(N) = z_mean_ - prior_.mean;
  llt.matrixL().solveInPlace(whitened_);
  gram_regressors_.noalias() = whitened_.topRows(nxu).transpose() * whitened_.topRows(nxu);
  gram_joint_ = gram_regressors_;
  gram_joint_.noalias() += whitened_.bottomRows(nx_).transpose() * whitened_.bottomRows(nx_);
  log_det_regressors_ = 2 * root_.diagonal().head(nxu).array().log().sum();
  log_det_joint_ = log_det_regressors_ + 2 * root_.diagonal().tail(nx_).array().log().sum();
  return true;
}

/// log p(x' | x, u) of all samples = log p(z) - log p(x, u), both marginal likelihoods of
/// normal-inverse-Wishart priors (Murphy 2007, eq. 266) with nu = n0 + dim + 1.
double LocalModelFitter::Evidence(const Strength& strength) {
  const Index nxu = nx_ + nu_;
  const Index nz = z_.rows();
  const auto N = static_cast<double>(z_.cols());
  // |s Sigma0 + Z C Z'| = |s Sigma0| |I + C^1/2 W'W C^1/2 / s|,  W = L^-1 Z
  const auto log_det_growth = [&](const MatrixXd& gram) {
    const double weight = std::sqrt(N * strength.m / (N + strength.m));
    determinant_ = gram / strength.scatter;
    determinant_.row(z_.cols()) *= weight;
    determinant_.col(z_.cols()) *= weight;
    determinant_.diagonal().array() += 1;
    const Eigen::LLT<Eigen::Ref<MatrixXd>> llt(determinant_);
    return 2 * determinant_.diagonal().array().log().sum();
  };
  const auto log_marginal = [&](Index d, double log_det, const MatrixXd& gram) {
    const double before = log_det + static_cast<double>(d) * std::log(strength.scatter);
    const double nu = strength.n0 + static_cast<double>(d) + 1;
    return LogMarginal(d, N, strength.m, nu, before, before + log_det_growth(gram));
  };
  return log_marginal(nz, log_det_joint_, gram_joint_) -
         log_marginal(nxu, log_det_regressors_, gram_regressors_);
}

LocalModelFitter::Strength LocalModelFitter::Choose(const RolloutView& rollouts,
                                                    LocalPrior& prior) {
  std::array<std::array<double, kCovarianceStrengths.size()>, kMeanStrengths.size()> sums{};
  for (int t = 0; t < rollouts.transitions; ++t) {
    rollouts.Joint(t, z_);
    z_mean_ = z_.rowwise().mean();
    prior.At(t, prior_);
    if (prior_.scatter == 0 || !Whiten()) continue;
    for (size_t i = 0; i < kMeanStrengths.size(); ++i) {
      for (size_t j = 0; j < kCovarianceStrengths.size(); ++j) {
        const double n0 = kCovarianceStrengths[j];
        sums[i][j] += Evidence({kMeanStrengths[i], n0, n0});
      }
    }
  }
  Strength best{};
  double most = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < kMeanStrengths.size(); ++i) {
    for (size_t j = 0; j < kCovarianceStrengths.size(); ++j) {
      if (sums[i][j] == 0 || !(sums[i][j] > most)) continue;
      most = sums[i][j];
      best = {kMeanStrengths[i], kCovarianceStrengths[j], kCovarianceStrengths[j]};
    }
  }
  return best;
}

void FitInitialState(const Eigen::Ref<const MatrixXd>& x0, const NormalInverseWishart* prior,
                     double floor, VectorXd& mean, MatrixXd& covariance) {
  const auto N = static_cast<double>(x0.cols());
  mean = x0.rowwise().mean();
  covariance.setZero(x0.rows(), x0.rows());
  covariance.diagonal() = ((x0.colwise() - mean).rowwise().squaredNorm() / N).cwiseMax(floor);
  if (prior == nullptr) return;
  // (N diag(max(var, floor)) + Phi + N m / (N + m) d d') / (N + n0),  d = x0' - mu0
  const VectorXd d = mean - prior->mean;
  covariance *= N;
  covariance += prior->scatter * prior->covariance;
  covariance += N * prior->m / (N + prior->m) * d * d.transpose();
  covariance /= N + prior->n0;
}

}  // namespace foreplan
