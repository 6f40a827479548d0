#include "foreplan/models/local/gaussian_mixture.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/core/size.h"
#include "foreplan/models/local/k_means.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Points = Eigen::Ref<const MatrixXd>;
using row_kernels::Accumulate;
using row_kernels::Lanes;
using row_kernels::UnalignedLanes;
using row_kernels::View;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNegligible = 40;    // shares below e^-40 = 4e-18 are left out
constexpr double kDying = 1e-4;       // of a component's fair share of the points
constexpr int kTile = 48;             // points that go through a product together
constexpr int kFirstCoordinates = 8;  // looked at of every point and component
constexpr int kPointsTogether = 4;
constexpr int kVectorsTogether = 2;
constexpr int kTogether = kVectorsTogether * row_kernels::kLanes;

/// Doubles from one row to the next.
int Stride(Index dim) { return (static_cast<int>(dim) + kTogether - 1) / kTogether * kTogether; }

/// sum over i = first ... last - 1 of (b_i'a)^2, b_i the columns of b, is added to the squares of
/// a few rows a, of which the first `last` entries are used.
void AddSquares(int first, int last, View a, View b, double* squares) {
  Lanes total[kPointsTogether]{};
  for (int i = first; i < last; i += kTogether) {
    Lanes sum[kPointsTogether][kVectorsTogether]{};
    for (int p = 0; p < std::min(last, i + kTogether); ++p) {
      const double* row = b.data + p * b.stride + i;
      for (int v = 0; v < kVectorsTogether; ++v) {
        const Lanes right = *reinterpret_cast<const UnalignedLanes*>(row + v * row_kernels::kLanes);
        for (int r = 0; r < kPointsTogether; ++r) sum[r][v] += a.data[r * a.stride + p] * right;
      }
    }
    for (int r = 0; r < kPointsTogether; ++r) {
      for (int v = 0; v < kVectorsTogether; ++v) total[r] += sum[r][v] * sum[r][v];
    }
  }
  for (int r = 0; r < kPointsTogether; ++r) {
    for (int lane = 0; lane < row_kernels::kLanes; ++lane) squares[r] += total[r][lane];
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
  const auto d = static_cast<int>(dim);
  const int stride = Stride(dim);
  components_.resize(count);
  factors_.resize(count);
  was_reseeded_.assign(count, 0);
  reseeds_.reserve(count);
  for (size_t k = 0; k < count; ++k) {
    components_[k].mean.resize(dim);
    components_[k].covariance.resize(dim, dim);
    factors_[k].whitening.assign(Size(d, stride), 0.0);
  }
  scaled_.assign(Size(kTile, stride), 0.0);
  scatter_.assign(Size(d, stride), 0.0);
  root_.assign(Size(d, 2, stride), 0.0);
  inverse_diagonal_.resize(Size(d));
}

void GaussianMixture::Start(const Points& points, std::span<const int> assignment, int components) {
  const Index N = points.cols();
  if (components < 1 || N < 1 || points.rows() < 1 || static_cast<Index>(assignment.size()) != N) {
    throw InputError(fmt::format(
        "mixture: found {} components, {} points and {} assignments, expected at least 1 component "
        "and as many assignments as points",
        components, N, assignment.size()));
  }
  CheckPoints(points);
  for (const int k : assignment) {
    if (k >= 0 && k < components) continue;
    throw InputError(
        fmt::format("mixture: assignment: found {}, expected 0 ... {}", k, components - 1));
  }
  Resize(points.rows(), components);
  members_.reserve(static_cast<size_t>(N));
  for (int k = 0; k < components; ++k) {
    MixtureComponent& component = components_[static_cast<size_t>(k)];
    members_.clear();
    for (int n = 0; n < N; ++n) {
      if (assignment[Size(n)] == k) members_.push_back({.point = n, .share = 1});
    }
    if (!members_.empty()) {
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
        !(c.covariance.diagonal().array() >= 0).all() || !(c.weight >= 0)) {
      throw InputError(fmt::format(
          "mixture: component {}: found weight {}, mean of {}, covariance of {} x {}, expected a "
          "weight and variances >= 0 and finite numbers in {} dimensions",
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
  const auto d = static_cast<int>(component.mean.size());
  if (component.weight == 0) {
    factor.log_scale = -kInfinity;
    return;
  }
  // Positive definite but for rounding, whose size is that of the largest variance.
  const double largest = component.covariance.diagonal().maxCoeff();
  if (!AllFinite(component.covariance)) {
    throw RunError(fmt::format(
        "mixture: component {}: found a covariance that overflows, expected points that are nearer",
        k));
  }
  double jitter = 0;
  double next = std::max(1e-14 * largest, std::numeric_limits<double>::min());
  for (; !Invert(component.covariance); next *= 10) {
    if (!std::isfinite(next)) {
      throw InputError(fmt::format(
          "mixture: component {}: found a covariance that no variance makes positive definite, "
          "expected one of points",
          k));
    }
    const double added = next - jitter;
    component.covariance.diagonal().array() += added;
    jitter += added;
  }
  // log weight - 1/2 log det(2 pi Sigma), and the transpose of L^-1 = U^-T
  const int stride = Stride(d);
  factor.log_scale =
      std::log(component.weight) - 0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
  for (int i = 0; i < d; ++i) {
    factor.log_scale += std::log(inverse_diagonal_[Size(i)]);
    const double* row = root_.data() + Size(2 * i + 1, stride);
    for (int j = 0; j <= i; ++j) factor.whitening[Size(j, stride) + Size(i)] = row[j];
  }
}

/// [U | U^-T] of the covariance U'U. False if it is not positive definite.
bool GaussianMixture::Invert(const MatrixXd& covariance) {
  const auto d = static_cast<int>(covariance.rows());
  const int stride = Stride(d);
  std::ranges::fill(root_, 0.0);
  for (int i = 0; i < d; ++i) {
    double* row = root_.data() + Size(i, 2, stride);
    std::copy_n(covariance.col(i).data(), d, row);  // symmetric
    row[stride + i] = 1;
  }
  return row_kernels::CholeskyRows(d, 2 * stride, 0.0, root_.data(), 2 * stride,
                                   inverse_diagonal_.data());
}

void GaussianMixture::Evaluate(int k, const Points& points, int count, bool may_drop,
                               SoftAssignment& a) const {
  const double* mean = component(k).mean.data();
  const Factor& factor = factors_[Size(k)];
  const auto d = static_cast<int>(points.rows());
  const int stride = Stride(d);
  const auto centred = [&](int j) { return a.centred.data() + Size(j, stride); };
  std::ranges::fill(a.distance, 0.0);
  // |L^-1 (z - mu)|^2, more and more rows of L^-1 at a time
  int first = 0;
  for (int last = may_drop ? std::min(d, kFirstCoordinates) : d; count > 0;
       first = last, last = std::min(d, 2 * last + kFirstCoordinates)) {
    for (int j = 0; j < count; ++j) {
      const double* z = points.col(a.candidates[Size(j)]).data();
      for (int i = first; i < last; ++i) centred(j)[i] = z[i] - mean[i];
    }
    for (int j = 0; j < count; j += kPointsTogether) {
      AddSquares(first, last, {centred(j), stride}, {factor.whitening.data(), stride},
                 a.distance.data() + j);
    }
    if (last == d) break;
    int kept = 0;
    for (int j = 0; j < count; ++j) {
      const int n = a.candidates[Size(j)];
      if (factor.log_scale - 0.5 * a.distance[Size(j)] < a.best[n] - kNegligible) continue;
      a.candidates[Size(kept)] = n;
      a.distance[Size(kept)] = a.distance[Size(j)];
      if (kept < j) std::copy_n(centred(j), last, centred(kept));
      ++kept;
    }
    count = kept;
  }
  for (int j = 0; j < count; ++j) {
    const int n = a.candidates[Size(j)];
    const double log_density = factor.log_scale - 0.5 * a.distance[Size(j)];
    a.share(k, n) = log_density;
    if (!(log_density > a.best[n])) continue;
    a.best[n] = log_density;
    a.owner[Size(n)] = k;
  }
}

void GaussianMixture::Expect(const Points& points, SoftAssignment& a) const {
  const auto N = static_cast<int>(points.cols());
  if (std::ssize(a.owner) != N) a.owner.assign(Size(N), 0);
  a.guess.assign(a.owner.begin(), a.owner.end());
  a.candidates.resize(kTile);
  a.distance.resize(kTile);
  a.centred.resize(Size(kTile, Stride(points.rows())));
  a.log_density.resize(N);
  a.best.setConstant(N, -kInfinity);
  a.share.setConstant(components(), N, -kInfinity);

  // Every point under the component that it is likely to belong to, then, as far as they may
  // matter, under the others.
  for (const bool guessed : {true, false}) {
    for (int k = 0; k < components(); ++k) {
      if (component(k).weight == 0) continue;
      int count = 0;
      for (int n = 0; n < N; ++n) {
        if ((a.guess[Size(n)] == k) != guessed) continue;
        a.candidates[Size(count++)] = n;
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

double GaussianMixture::Mass() const {
  double mass = 0;
  for (const Member& member : members_) mass += member.share;
  return mass;
}

/// Mean and covariance of the members.
void GaussianMixture::Estimate(int k, const Points& points) {
  MixtureComponent& component = components_[static_cast<size_t>(k)];
  const double mass = Mass();
  component.mean.setZero();
  for (const auto& [n, share] : members_) component.mean += share / mass * points.col(n);
  // sum of share (z - mu)(z - mu)' / mass, the upper triangle
  const auto d = static_cast<int>(points.rows());
  const int stride = Stride(d);
  std::ranges::fill(scatter_, 0.0);
  int count = 0;
  const auto add_tile = [&] {
    const View tile{scaled_.data(), stride};
    row_kernels::MultiplyTransposed<Accumulate::kAdd>(
        d, stride, count, tile, tile, {scatter_.data(), stride}, scatter_.data(), stride, true);
    count = 0;
  };
  for (const auto& [n, share] : members_) {
    Eigen::Map<VectorXd>(scaled_.data() + Size(count++, stride), d) =
        std::sqrt(share / mass) * (points.col(n) - component.mean);
    if (count == kTile) add_tile();
  }
  if (count > 0) add_tile();
  row_kernels::MirrorUpper(d, stride, scatter_.data());
  for (int i = 0; i < d; ++i) {
    std::copy_n(scatter_.data() + Size(i, stride), d, component.covariance.col(i).data());
  }
  component.covariance.diagonal().array() += options_.covariance_floor;
}

void GaussianMixture::Reseed(int k, const Points& points, Index at) {
  members_.clear();
  for (int n = 0; n < points.cols(); ++n) members_.push_back({.point = n, .share = 1});
  Estimate(k, points);
  components_[static_cast<size_t>(k)].mean = points.col(at);
}

Index GaussianMixture::NextReseed(const Points& points, const SoftAssignment& a) const {
  Index worst = -1;
  for (Index n = 0; n < points.cols(); ++n) {
    if (worst >= 0 && a.log_density[n] >= a.log_density[worst]) continue;
    const auto is_there = [&](Index at) { return points.col(at) == points.col(n); };
    if (std::ranges::none_of(reseeds_, is_there)) worst = n;
  }
  return worst >= 0 ? worst : reseeds_.front();
}

int GaussianMixture::Maximise(const Points& points, const SoftAssignment& a) {
  const Index N = points.cols();
  const int K = components();
  members_.reserve(static_cast<size_t>(N));
  reseeds_.clear();
  double sum = 0;
  for (int k = 0; k < K; ++k) {
    const auto at = static_cast<size_t>(k);
    if (components_[at].weight == 0) continue;
    members_.clear();
    for (int n = 0; n < N; ++n) {
      if (a.share(k, n) > 0) members_.push_back({.point = n, .share = a.share(k, n)});
    }
    const double mass = Mass();
    if (mass >= kDying * static_cast<double>(N) / K) {
      components_[at].weight = mass / static_cast<double>(N);
      Estimate(k, points);
    } else if (was_reseeded_[at] == 0) {
      was_reseeded_[at] = 1;
      reseeds_.push_back(NextReseed(points, a));
      components_[at].weight = 1.0 / K;
      Reseed(k, points, reseeds_.back());
    } else {
      components_[at].weight = 0;
    }
    sum += components_[at].weight;
  }
  for (int k = 0; k < K; ++k) {
    components_[static_cast<size_t>(k)].weight /= sum;
    Decompose(k);
  }
  return static_cast<int>(reseeds_.size());
}

MixtureReport GaussianMixture::Fit(const Points& points, SoftAssignment& assignment) {
  CheckPoints(points);
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

}  // namespace foreplan
