#include "foreplan/models/local/network_prior.h"

#include <fmt/format.h>

#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

constexpr double kLeastSpread = 1e-3;  // of a coordinate's variance over all rollouts and times

}  // namespace

void NetworkPriorOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("strength", strength, {0, 1e6}, "samples that the network counts for");
}

NetworkPrior::NetworkPrior(std::function<std::shared_ptr<const Ensemble>()> ensemble,
                           const NetworkPriorOptions& options)
    : source_(std::move(ensemble)), options_(options) {
  ValidateOptions("network prior", options_);
}

void NetworkPrior::Prepare(const RolloutView& rollouts) {
  CheckRollouts("network prior", rollouts);
  ensemble_ = source_();
  const int nx = rollouts.nx;
  const int nu = rollouts.nu;
  if (nx != ensemble_->state_dim() || nu != ensemble_->action_dim()) {
    throw InputError(
        fmt::format("network prior: found rollouts of {} states and {} actions, expected {} and {}",
                    nx, nu, ensemble_->state_dim(), ensemble_->action_dim()));
  }
  rollouts_ = rollouts;
  const int T = rollouts.transitions;
  const int N = rollouts.rollouts;
  z_.resize(rollouts.joint_dim(), N);
  state_.resize(T, nx);
  action_.resize(T, nu);
  spread_.setZero(nx + nu);
  VectorXd mean = VectorXd::Zero(nx + nu);  // over all rollouts and times
  VectorXd square = VectorXd::Zero(nx + nu);
  for (int t = 0; t < T; ++t) {
    rollouts.Joint(t, z_);
    const auto xu = z_.topRows(nx + nu);
    const VectorXd centre = xu.rowwise().mean();
    state_.row(t) = centre.head(nx).transpose();
    action_.row(t) = centre.tail(nu).transpose();
    spread_ += (xu.colwise() - centre).rowwise().squaredNorm() / (static_cast<double>(N) * T);
    mean += centre / T;
    square += xu.rowwise().squaredNorm() / (static_cast<double>(N) * T);
  }
  spread_ = spread_.cwiseMax(kLeastSpread * (square - mean.cwiseAbs2()));
  Predict();
}

/// The ensemble at the means of all times.
void NetworkPrior::Predict() {
  const int T = rollouts_.transitions;
  const int nx = rollouts_.nx;
  for (RowMajor* matrix : {&next_, &noise_, &member_mean_, &member_deviation_, &member_sum_}) {
    matrix->setZero(T, nx);
  }
  A_.resize(static_cast<Index>(T) * nx, nx);
  B_.resize(static_cast<Index>(T) * nx, rollouts_.nu);
  if (T > workspace_rows_) {  // fits all versions: their networks are the same
    workspace_ = ensemble_->MakeDerivativeWorkspace(T);
    workspace_rows_ = T;
  }
  ensemble_->Linearize(
      {.rows = T, .state = state_.data(), .action = action_.data(), .A = A_.data(), .B = B_.data()},
      *workspace_);
  StepBatch step;
  step.rows = T;
  step.state = state_.data();
  step.action = action_.data();
  step.next_state = next_.data();
  ensemble_->StepMean(step, *workspace_);
  // mean of the members' variances + variance of their means
  const double share = 1.0 / ensemble_->members();
  for (int member = 0; member < ensemble_->members(); ++member) {
    ensemble_->PredictTarget(member, T, state_.data(), action_.data(), member_mean_.data(),
                             member_deviation_.data(), *workspace_);
    member_sum_ += share * member_mean_;
    noise_ += share * (member_mean_.cwiseAbs2() + member_deviation_.cwiseAbs2());
  }
  // Rounding may leave less than 0; a variance that is no number must not become the certainty 0.
  noise_ = (noise_ - member_sum_.cwiseAbs2()).unaryExpr([](double variance) {
    return MaxOrNan(0.0, variance);
  });
}

void NetworkPrior::At(int t, NormalInverseWishart& prior) {
  const Index nx = rollouts_.nx;
  const Index nu = rollouts_.nu;
  const Index nxu = nx + nu;
  const auto N = static_cast<double>(rollouts_.rollouts);
  prior.mean.resize(nxu + nx);
  prior.mean << state_.row(t).transpose(), action_.row(t).transpose(), next_.row(t).transpose();
  F_.resize(nx, nxu);
  F_ << A_.middleRows(t * nx, nx), B_.middleRows(t * nx, nx);

  rollouts_.Joint(t, z_);
  auto xu = z_.topRows(nxu);
  xu.colwise() -= prior.mean.head(nxu);

  prior.covariance.resize(nxu + nx, nxu + nx);
  auto S = prior.covariance.topLeftCorner(nxu, nxu);
  S.noalias() = xu * xu.transpose() / (N + 1);
  S.diagonal() += spread_ / (N + 1);
  prior.covariance.bottomLeftCorner(nx, nxu).noalias() = F_ * S;
  prior.covariance.topRightCorner(nxu, nx) = prior.covariance.bottomLeftCorner(nx, nxu).transpose();
  auto V = prior.covariance.bottomRightCorner(nx, nx);
  V.noalias() = prior.covariance.bottomLeftCorner(nx, nxu) * F_.transpose();
  V.diagonal() += noise_.row(t).transpose();
  prior.m = prior.n0 = prior.scatter = options_.strength;
}

}  // namespace foreplan
