#include "foreplan/models/gaussian_mixture.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Points = Eigen::Ref<const MatrixXd>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNegligible = 40;      // shares below e^-40 = 4e-18 are left out
constexpr double kDying = 1e-4;         // of a component's fair share of the points
constexpr Index kTile = 128;            // points that go through a product together
constexpr Index kFirstCoordinates = 8;  // looked at before the first decision to go on

void CheckFinite(const Points& points) {
  if (points.allFinite()) return;
  for (Index n = 0; n < points.cols(); ++n) {
    for (Index i = 0; i < points.rows(); ++i) {
      if (std::isfinite(points(i, n))) continue;
      throw InputError(
          fmt::format("mixture: point {}, dimension {}: found {}, expected a finite number", n, i,
                      points(i, n)));
    }
  }
}

}  // namespace

void MixtureOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("tolerance", tolerance, {0, 1},
                "relative change of log-likelihood that ends a fit");
  visitor.Field("max_rounds", max_rounds, {1, 100000}, "rounds of expectation maximisation");
  visitor.Field("covariance_floor", covariance_floor, {0, 1e6}, "added to every variance");
}

GaussianMixture::GaussianMixture(const MixtureOptions& options) : options_(options) {
  ValidateOptions("mixture", options_);
}

int GaussianMixture::dim() const {
  return components_.empty() ? 0 : static_cast<int>(components_.front().mean.size());
}

void GaussianMixture::Resize(Index dim, int components) {
  const auto count = static_cast<size_t>(components);
  components_.resize(count);
  factors_.resize(count);
  was_reseeded_.assign(count, 0);
  for (size_t k = 0; k < count; ++k) {
    components_[k].mean.resize(dim);
    components_[k].covariance.resize(dim, dim);
    factors_[k].whitening.resize(dim, dim);
  }
  scaled_.resize(dim, std::max(dim, kTile));
}

void GaussianMixture::Start(const Points& points, std::span<const int> assignment, int components) {
  const Index N = points.cols();
  if (components < 1 || N < 1 || points.rows() < 1 || static_cast<Index>(assignment.size()) != N) {
    throw InputError(fmt::format(
        "mixture: found {} components, {} points and {} assignments, expected at least 1 component "
        "and as many assignments as points",
        components, N, assignment.size()));
  }
  CheckFinite(points);
  for (const int k : assignment) {
    if (k >= 0 && k < components) continue;
    throw InputError(
        fmt::format("mixture: assignment: found {}, expected 0 ... {}", k, components - 1));
  }
  Resize(points.rows(), components);
  shares_.resize(N);
  for (int k = 0; k < components; ++k) {
    MixtureComponent& component = components_[static_cast<size_t>(k)];
    for (Index n = 0; n < N; ++n) shares_[n] = assignment[static_cast<size_t>(n)] == k ? 1 : 0;
    if (shares_.sum() > 0) {
      Estimate(k, points);
    } else {
      Reseed(k, points, N * k / components);
    }
    component.covariance.diagonal().array() += options_.covariance_floor;
    component.weight = 1.0 / components;
    Decompose(k);
  }
}

void GaussianMixture::Set(std::vector<MixtureComponent> components) {
  const Index dim = components.empty() ? 0 : components.front().mean.size();
  double sum = 0;
  for (size_t k = 0; k < components.size(); ++k) {
    const MixtureComponent& c = components[k];
    if (dim < 1 || c.mean.size() != dim || c.covariance.rows() != dim ||
        c.covariance.cols() != dim || !c.mean.allFinite() || !c.covariance.allFinite() ||
        !(c.weight >= 0)) {
      throw InputError(fmt::format(
          "mixture: component {}: found weight {}, mean of {}, covariance of {} x {}, expected a "
          "weight >= 0 and finite numbers in {} dimensions",
          k, c.weight, c.mean.size(), c.covariance.rows(), c.covariance.cols(), dim));
    }
    sum += c.weight;
  }
  if (!(sum > 0) || !std::isfinite(sum)) {
    throw InputError(
        fmt::format("mixture: weights: found sum {}, expected a positive number", sum));
  }
  Resize(dim, static_cast<int>(components.size()));
  components_ = std::move(components);
  for (int k = 0; k < this->components(); ++k) Decompose(k);
}

void GaussianMixture::Decompose(int k) {
  MixtureComponent& component = components_[static_cast<size_t>(k)];
  Factor& factor = factors_[static_cast<size_t>(k)];
  const Index d = component.mean.size();
  if (component.weight == 0) {
    factor.log_scale = -kInfinity;
    return;
  }
  MatrixXd& L = scaled_;
  // Positive definite but for rounding, whose size is that of the largest variance.
  const double largest = component.covariance.diagonal().maxCoeff();
  if (!component.covariance.allFinite()) {
    throw InputError(fmt::format(
        "mixture: component {}: found a covariance that overflows, expected points that are nearer",
        k));
  }
  double jitter = 0;
  for (double next = 1e-14 * largest;; next *= 10) {
    L.leftCols(d) = component.covariance;
    Eigen::Ref<MatrixXd> square = L.leftCols(d);
    const Eigen::LLT<Eigen::Ref<MatrixXd>> llt(square);
    if (llt.info() == Eigen::Success && L.diagonal().minCoeff() > 0) break;
    const double added = std::max(next, std::numeric_limits<double>::min()) - jitter;
    component.covariance.diagonal().array() += added;
    jitter += added;
  }
  factor.whitening.setIdentity();
  L.leftCols(d).triangularView<Eigen::Lower>().solveInPlace(factor.whitening);
  // log weight - 1/2 log det(2 pi Sigma)
  factor.log_scale = std::log(component.weight) - L.leftCols(d).diagonal().array().log().sum() -
                     0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
}

void GaussianMixture::Evaluate(int k, const Points& points, int count, bool may_drop,
                               SoftAssignment& a) const {
  const VectorXd& mean = component(k).mean;
  const Factor& factor = factors_[static_cast<size_t>(k)];
  const Index d = points.rows();
  std::fill_n(a.distance.data(), count, 0.0);
  // |L^-1 (z - mu)|^2, more and more rows of L^-1 at a time
  Index first = 0;
  for (Index last = std::min(d, kFirstCoordinates); count > 0;
       first = last, last = std::min(d, 2 * last + kFirstCoordinates)) {
    const Index rows = last - first;
    for (int j = 0; j < count; ++j) {
      a.centred.col(j).segment(first, rows) =
          points.col(a.candidates[static_cast<size_t>(j)]).segment(first, rows) -
          mean.segment(first, rows);
    }
    auto whitened = a.whitened.topLeftCorner(rows, count);
    whitened.noalias() =
        factor.whitening.block(first, 0, rows, last) * a.centred.topLeftCorner(last, count);
    for (int j = 0; j < count; ++j) a.distance[j] += whitened.col(j).squaredNorm();
    if (last == d) break;
    if (!may_drop) continue;
    int kept = 0;
    for (int j = 0; j < count; ++j) {
      const int n = a.candidates[static_cast<size_t>(j)];
      if (factor.log_scale - 0.5 * a.distance[j] < a.best[n] - kNegligible) continue;
      if (kept < j) {
        a.candidates[static_cast<size_t>(kept)] = n;
        a.distance[kept] = a.distance[j];
        a.centred.col(kept).head(last) = a.centred.col(j).head(last);
      }
      ++kept;
    }
    count = kept;
  }
  for (int j = 0; j < count; ++j) {
    const int n = a.candidates[static_cast<size_t>(j)];
    const double log_density = factor.log_scale - 0.5 * a.distance[j];
    a.share(k, n) = log_density;
    if (!(log_density > a.best[n])) continue;
    a.best[n] = log_density;
    a.owner[static_cast<size_t>(n)] = k;
  }
}

void GaussianMixture::Expect(const Points& points, SoftAssignment& a) const {
  const Index N = points.cols();
  const Index d = points.rows();
  const int K = components();
  if (static_cast<Index>(a.owner.size()) != N) a.owner.assign(static_cast<size_t>(N), 0);
  a.guess.assign(a.owner.begin(), a.owner.end());
  a.candidates.resize(kTile);
  a.distance.resize(kTile);
  a.centred.resize(d, kTile);
  a.whitened.resize(d, kTile);
  a.log_density.resize(N);
  a.best.setConstant(N, -kInfinity);
  a.share.setConstant(K, N, -kInfinity);

  // Every point under the component that it is likely to belong to, then, as far as they may
  // matter, under the others.
  for (const bool guessed : {true, false}) {
    for (int k = 0; k < K; ++k) {
      if (component(k).weight == 0) continue;
      int count = 0;
      for (Index n = 0; n < N; ++n) {
        if ((a.guess[static_cast<size_t>(n)] == k) != guessed) continue;
        a.candidates[static_cast<size_t>(count++)] = static_cast<int>(n);
        if (count < kTile) continue;
        Evaluate(k, points, count, !guessed, a);
        count = 0;
      }
      Evaluate(k, points, count, !guessed, a);
    }
  }
  Normalise(a);
}

void GaussianMixture::Normalise(SoftAssignment& a) {
  a.log_likelihood = 0;
  for (Index n = 0; n < a.share.cols(); ++n) {
    // log p(z) = best + log sum_k exp(log(w_k p_k) - best)
    double sum = 0;
    for (Index k = 0; k < a.share.rows(); ++k) {
      const double below = a.share(k, n) - a.best[n];
      a.share(k, n) = below > -kNegligible ? std::exp(below) : 0;  // 0 too where best is -infinity
      sum += a.share(k, n);
    }
    if (sum > 0) a.share.col(n) /= sum;
    a.log_density[n] = sum > 0 ? a.best[n] + std::log(sum) : -kInfinity;
    a.log_likelihood += a.log_density[n];
  }
}

/// Mean and covariance of the points weighted by shares_.
void GaussianMixture::Estimate(int k, const Points& points) {
  MixtureComponent& component = components_[static_cast<size_t>(k)];
  const double mass = shares_.sum();
  component.mean.setZero();
  for (Index n = 0; n < points.cols(); ++n) {
    if (shares_[n] > 0) component.mean += shares_[n] / mass * points.col(n);
  }
  // sum of share (z - mu)(z - mu)' / mass, one triangle of it
  component.covariance.setZero();
  Index count = 0;
  const auto add_tile = [&] {
    component.covariance.selfadjointView<Eigen::Lower>().rankUpdate(scaled_.leftCols(count));
    count = 0;
  };
  for (Index n = 0; n < points.cols(); ++n) {
    if (shares_[n] == 0) continue;
    scaled_.col(count++) = std::sqrt(shares_[n] / mass) * (points.col(n) - component.mean);
    if (count == kTile) add_tile();
  }
  if (count > 0) add_tile();
  component.covariance.triangularView<Eigen::StrictlyUpper>() = component.covariance.transpose();
  component.covariance.diagonal().array() += options_.covariance_floor;
}

void GaussianMixture::Reseed(int k, const Points& points, Index at) {
  shares_.setOnes();
  Estimate(k, points);
  components_[static_cast<size_t>(k)].mean = points.col(at);
}

int GaussianMixture::Maximise(const Points& points, const SoftAssignment& a) {
  const Index N = points.cols();
  const int K = components();
  shares_.resize(N);
  int reseeded = 0;
  Index worst = 0;
  if (N > 0) a.log_density.minCoeff(&worst);
  double sum = 0;
  for (int k = 0; k < K; ++k) {
    const auto at = static_cast<size_t>(k);
    if (components_[at].weight == 0) continue;
    shares_ = a.share.row(k).transpose();
    const double mass = shares_.sum();
    if (mass >= kDying * static_cast<double>(N) / K) {
      components_[at].weight = mass / static_cast<double>(N);
      Estimate(k, points);
    } else if (was_reseeded_[at] == 0) {
      was_reseeded_[at] = 1;
      ++reseeded;
      components_[at].weight = 1.0 / K;
      Reseed(k, points, worst);
    } else {
      components_[at].weight = 0;
    }
    sum += components_[at].weight;
  }
  for (int k = 0; k < K; ++k) {
    components_[static_cast<size_t>(k)].weight /= sum;
    Decompose(k);
  }
  return reseeded;
}

MixtureReport GaussianMixture::Fit(const Points& points, SoftAssignment& assignment) {
  CheckFinite(points);
  std::ranges::fill(was_reseeded_, 0);
  MixtureReport report{.log_likelihood = -kInfinity};
  while (report.rounds < options_.max_rounds) {
    Expect(points, assignment);
    ++report.rounds;
    const double change = assignment.log_likelihood - report.log_likelihood;
    report.log_likelihood = assignment.log_likelihood;
    report.converged = std::abs(change) < options_.tolerance * std::abs(report.log_likelihood);
    if (report.converged) break;
    report.reseeded += Maximise(points, assignment);
  }
  return report;
}

void GaussianMixture::Moments(const Eigen::Ref<const VectorXd>& weights, VectorXd& mean,
                              MatrixXd& covariance) const {
  mean.setZero(dim());
  covariance.setZero(dim(), dim());
  for (int k = 0; k < components(); ++k) {
    if (weights[k] > 0) mean += weights[k] * component(k).mean;
  }
  // sum of w (Sigma_k + (mu_k - mu)(mu_k - mu)')
  for (int k = 0; k < components(); ++k) {
    if (weights[k] == 0) continue;
    const MixtureComponent& c = component(k);
    covariance += weights[k] * c.covariance;
    for (Index j = 0; j < dim(); ++j) {
      covariance.col(j) += weights[k] * (c.mean[j] - mean[j]) * (c.mean - mean);
    }
  }
}

std::vector<int> AssignByKMeans(const Points& points, int components, Key key, int rounds) {
  CheckFinite(points);
  const Index N = points.cols();
  if (components < 1 || N < 1) {
    throw InputError(fmt::format(
        "k-means: found {} components and {} points, expected at least 1 of each", components, N));
  }
  MatrixXd scaled = points.colwise() - points.rowwise().mean();
  for (Index i = 0; i < points.rows(); ++i) {
    const double deviation = std::sqrt(scaled.row(i).squaredNorm() / static_cast<double>(N));
    if (deviation > 0) scaled.row(i) /= deviation;
  }
  // k-means++ (Arthur and Vassilvitskii 2007): a centre is drawn by squared distance to the
  // nearest.
  Random random(key);
  MatrixXd centres(points.rows(), components);
  VectorXd nearest = VectorXd::Constant(N, kInfinity);
  std::vector<int> assignment(static_cast<size_t>(N), 0);
  const auto offer = [&](int k) {
    for (Index n = 0; n < N; ++n) {
      const double distance = (scaled.col(n) - centres.col(k)).squaredNorm();
      if (distance >= nearest[n]) continue;
      nearest[n] = distance;
      assignment[static_cast<size_t>(n)] = k;
    }
  };
  auto chosen = static_cast<Index>(random.Below(static_cast<uint64_t>(N)));
  for (int k = 0; k < components; ++k) {
    if (k > 0) {
      double left = random.Uniform() * nearest.sum();
      for (chosen = 0; chosen < N - 1 && left >= nearest[chosen]; ++chosen) left -= nearest[chosen];
    }
    centres.col(k) = scaled.col(chosen);
    offer(k);
  }
  for (int round = 0; round < rounds; ++round) {
    const std::vector<int> before = assignment;
    VectorXd count = VectorXd::Zero(components);
    const MatrixXd old = centres;
    centres.setZero();
    for (Index n = 0; n < N; ++n) {
      const int k = assignment[static_cast<size_t>(n)];
      centres.col(k) += scaled.col(n);
      count[k] += 1;
    }
    nearest.setConstant(kInfinity);
    for (int k = 0; k < components; ++k) {
      if (count[k] > 0) {
        centres.col(k) /= count[k];
      } else {
        centres.col(k) = old.col(k);
      }
      offer(k);
    }
    if (assignment == before) break;
  }
  return assignment;
}

}  // namespace foreplan
