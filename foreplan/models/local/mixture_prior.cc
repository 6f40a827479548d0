#include "foreplan/models/local/mixture_prior.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/local/k_means.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

Tensor ToTensor(const MatrixXd& columns) {
  return {{columns.cols(), columns.rows()},
          std::vector<double>(columns.data(), columns.data() + columns.size())};
}

/// [count x dim] -> one column each.
MatrixXd FromTensor(const TensorFile& file, const std::string& name, Index dim, Index count) {
  const std::array<int64_t, 2> shape = {count, dim};
  const std::vector<double>& values = file.Doubles(name, shape);
  const auto columns = dim > 0 ? static_cast<Index>(values.size()) / dim : 0;
  return Eigen::Map<const MatrixXd>(values.data(), dim, columns);
}

/// Counts [T, M] of a file: points are those of whole rollouts, and a mixture is of some points.
void CheckCounts(const TensorFile& file, const std::string& name, const MatrixXd& counts,
                 Index points, Index components) {
  CheckAtLeast(file, name, 0);
  const double T = counts(0);
  const bool whole = T == 0 ? points == 0
                            : T <= static_cast<double>(points) && T == std::floor(T) &&
                                  points % static_cast<Index>(T) == 0;
  if (whole && (components > 0) == (points > 0) && (components == 0 || counts(1) >= 1)) return;
  throw InputError(fmt::format(
      "{}: tensor '{}': found {} transitions a rollout, {} points and {} components of {} points, "
      "expected whole rollouts and a mixture of them",
      file.source, name, T, points, components, counts(1)));
}

void CheckOwners(const TensorFile& file, const std::string& name, std::span<const int32_t> owners,
                 Index components) {
  for (const int32_t owner : owners) {
    if (owner >= 0 && owner < components) continue;
    throw InputError(fmt::format("{}: tensor '{}': found {}, expected a component below {}",
                                 file.source, name, owner, components));
  }
}

}  // namespace

void MixturePriorOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, MixtureStart>> kStarts = {
      {"time", MixtureStart::kTime}, {"k_means", MixtureStart::kKMeans}};
  visitor.Field("max_components", max_components, {2, 1000}, "most components of the mixture");
  visitor.Field("min_points", min_points, {1, 1e6}, "transitions per component");
  visitor.Field("max_rollouts", max_rollouts, {1, 1e6}, "newest rollouts that are kept");
  visitor.Field("strength", strength, {0, 1e6}, "factor on the samples that the prior counts for");
  visitor.Choice("start", start, std::span(kStarts), "how a new mixture deals out the points");
  mixture.Visit(visitor);
}

MixturePrior::MixturePrior(int nx, int nu, const MixturePriorOptions& options, Key key)
    : nx_(nx), nu_(nu), options_(options), key_(key), mixture_(options.mixture) {
  ValidateOptions("mixture prior", options_);
  if (nx < 1 || nu < 1) {
    throw InputError(fmt::format(
        "mixture prior: found {} states and {} actions, expected at least 1 of each", nx, nu));
  }
  points_.resize(2 * nx + nu, 0);
}

int MixturePrior::kept_rollouts() const {
  return transitions_ == 0 ? 0 : static_cast<int>(points_.cols()) / transitions_;
}

int MixturePrior::WantedComponents() const {
  const auto points = static_cast<int>(points_.cols());
  return std::min(points, std::clamp(points / options_.min_points, 2, options_.max_components));
}

/// Appends the fresh rollouts and drops the oldest. Owners move along; a fresh point's is guessed
/// from the newest old rollout.
void MixturePrior::Keep(const RolloutView& fresh) {
  if (fresh.nx != nx_ || fresh.nu != nu_ ||
      (transitions_ > 0 && fresh.transitions != transitions_)) {
    throw InputError(
        fmt::format("mixture prior: found rollouts of {} transitions, {} states and {} actions, "
                    "expected {}, {} and {}",
                    fresh.transitions, fresh.nx, fresh.nu,
                    transitions_ > 0 ? transitions_ : fresh.transitions, nx_, nu_));
  }
  transitions_ = fresh.transitions;
  const int added = std::min(fresh.rollouts, options_.max_rollouts);
  const int kept = std::min(kept_rollouts(), options_.max_rollouts - added);
  const Index T = transitions_;
  MatrixXd points(fresh.joint_dim(), (kept + added) * T);
  std::vector<int> owner(assignment_.owner.end() - kept * T, assignment_.owner.end());
  if (kept > 0) points.leftCols(kept * T) = points_.rightCols(kept * T);
  owner.resize(static_cast<size_t>(points.cols()));
  MatrixXd z(fresh.joint_dim(), fresh.rollouts);
  for (int t = 0; t < transitions_; ++t) {
    fresh.Joint(t, z);
    for (int n = 0; n < added; ++n) {
      points.col((kept + n) * T + t) = z.col(fresh.rollouts - added + n);
      const Index same_time = points_.cols() > 0 ? points_.cols() - T + t : 0;
      owner[static_cast<size_t>((kept + n) * T + t)] =
          points_.cols() > 0 ? assignment_.owner[static_cast<size_t>(same_time)] : 0;
    }
  }
  points_ = std::move(points);
  assignment_.owner = std::move(owner);
}

std::vector<int> MixturePrior::FirstAssignment(int components) const {
  if (options_.start == MixtureStart::kKMeans) {
    return AssignByKMeans(points_, components, key_.Fold(static_cast<uint64_t>(points_.cols())));
  }
  std::vector<int> assignment;
  for (Index n = 0; n < points_.cols(); ++n) {
    assignment.push_back(static_cast<int>(n % transitions_ * components / transitions_));
  }
  return assignment;
}

void MixturePrior::Learn(const RolloutView& fresh) {
  CheckRollouts("mixture prior", fresh);
  Keep(fresh);
  const int components = WantedComponents();
  if (components != mixture_.components()) {
    assignment_.owner = FirstAssignment(components);
    mixture_.Start(points_, assignment_.owner, components);
    points_at_start_ = static_cast<double>(points_.cols());
  }
  report_ = mixture_.Fit(points_, assignment_);
}

void MixturePrior::Prepare(const RolloutView& rollouts) {
  if (points_.cols() == 0) {
    throw InputError("mixture prior: found no rollouts that it learned from, expected some");
  }
  if (rollouts.nx != nx_ || rollouts.nu != nu_ || rollouts.transitions != transitions_) {
    throw InputError(
        fmt::format("mixture prior: found rollouts of {} transitions, {} states and {} actions, "
                    "expected {}, {} and {}",
                    rollouts.transitions, rollouts.nx, rollouts.nu, transitions_, nx_, nu_));
  }
  const Index N = rollouts.rollouts;
  near_rollouts_ = rollouts.rollouts;
  near_.resize(rollouts.joint_dim(), transitions_ * N);
  near_assignment_.owner.resize(static_cast<size_t>(near_.cols()));
  for (int t = 0; t < transitions_; ++t) {
    rollouts.Joint(t, near_.middleCols(t * N, N));
    const int guess = assignment_.owner[static_cast<size_t>(points_.cols() - transitions_ + t)];
    std::fill_n(near_assignment_.owner.begin() + t * N, N, guess);
  }
  mixture_.Expect(near_, near_assignment_);
}

void MixturePrior::At(int t, NormalInverseWishart& prior) {
  const Index N = near_rollouts_;
  weights_ = near_assignment_.share.middleCols(t * N, N).rowwise().mean();
  mixture_.Moments(weights_, prior.mean, prior.covariance);
  const double M = points_at_start_;
  prior.m = options_.strength;
  prior.scatter = options_.strength;
  // Fewer points than numbers of a covariance would make n0 negative and inflate the fit.
  prior.n0 = options_.strength * std::max(0.0, (M - 2 - static_cast<double>(near_.rows())) / M);
}

bool MixturePrior::Initial(NormalInverseWishart& prior) const {
  const int N = kept_rollouts();
  if (N == 0 || options_.strength == 0) return false;
  prior.mean.setZero(nx_);
  for (Index n = 0; n < N; ++n) prior.mean += points_.col(n * transitions_).head(nx_) / N;
  prior.covariance.setZero(nx_, nx_);
  for (Index n = 0; n < N; ++n) {
    prior.covariance.diagonal() +=
        (points_.col(n * transitions_).head(nx_) - prior.mean).cwiseAbs2() / N;
  }
  prior.m = prior.n0 = prior.scatter = options_.strength * nx_;
  return true;
}

void MixturePrior::Save(const std::string& prefix, TensorFile& file) const {
  const Index nz = 2 * nx_ + nu_;
  const int K = mixture_.components();
  MatrixXd weights(1, K);
  MatrixXd means(nz, K);
  MatrixXd covariances(nz * nz, K);
  for (int k = 0; k < K; ++k) {
    const MixtureComponent& c = mixture_.component(k);
    weights(0, k) = c.weight;
    means.col(k) = c.mean;
    covariances.col(k) = c.covariance.reshaped();
  }
  file.tensors[prefix + "points"] = ToTensor(points_);
  file.tensors[prefix + "weights"] = ToTensor(weights);
  file.tensors[prefix + "means"] = ToTensor(means);
  file.tensors[prefix + "covariances"] = ToTensor(covariances);
  file.tensors[prefix + "counts"] = ToTensor(Eigen::Vector2d(transitions_, points_at_start_));
  std::vector<int32_t> owner(assignment_.owner.begin(), assignment_.owner.end());
  file.tensors[prefix + "owner"] = {{static_cast<int64_t>(owner.size())}, std::move(owner)};
}

void MixturePrior::Restore(const std::string& prefix, const TensorFile& file) {
  const Index nz = 2 * nx_ + nu_;
  MatrixXd points = FromTensor(file, prefix + "points", nz, -1);
  const MatrixXd weights = FromTensor(file, prefix + "weights", 1, -1);
  const MatrixXd means = FromTensor(file, prefix + "means", nz, weights.cols());
  const MatrixXd covariances = FromTensor(file, prefix + "covariances", nz * nz, weights.cols());
  const MatrixXd counts = FromTensor(file, prefix + "counts", 2, 1);
  const std::array<int64_t, 1> owners = {points.cols()};
  const std::vector<int32_t>& owner = file.Ints(prefix + "owner", owners);
  for (const char* name : {"points", "weights", "means", "covariances"}) {
    CheckFinite(file, prefix + name);
  }
  CheckCounts(file, prefix + "counts", counts, points.cols(), weights.cols());
  CheckOwners(file, prefix + "owner", owner, weights.cols());
  std::vector<MixtureComponent> components;
  for (Index k = 0; k < weights.cols(); ++k) {
    components.push_back({weights(0, k), means.col(k), covariances.col(k).reshaped(nz, nz)});
  }
  if (!components.empty()) mixture_.Set(std::move(components));
  transitions_ = static_cast<int>(counts(0));
  points_at_start_ = counts(1);
  points_ = std::move(points);
  assignment_.owner.assign(owner.begin(), owner.end());
}

}  // namespace foreplan
