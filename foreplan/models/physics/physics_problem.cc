#include "foreplan/models/physics/physics_problem.h"

#include <algorithm>
#include <cmath>

namespace foreplan {

using Eigen::MatrixXd;
using Eigen::VectorXd;

std::vector<PhysicsProblem::Stretch> PhysicsProblem::Cut(const Dataset& data, int longest) {
  std::vector<Stretch> stretches;
  for (int64_t row = 0; row < data.size(); ++row) {
    const bool continues = row > 0 && data.continues(row);
    if (!continues || stretches.back().steps >= longest) {
      if (continues) stretches.back().continued = true;
      stretches.push_back({.first = row, .steps = 0, .continues = continues});
    }
    ++stretches.back().steps;
  }
  return stretches;
}

PhysicsProblem::PhysicsProblem(const SystemFamily& family, std::span<const Unknown> unknowns,
                               const Dataset& data, const PhysicsFitOptions& options)
    : family_(family),
      unknowns_(unknowns),
      data_(data),
      options_(options),
      no_(data.observation_dim()),
      p_(static_cast<Eigen::Index>(unknowns.size())),
      stretches_(Cut(data, free_starts() ? options.stretch : 1)),
      starts_(no_, static_cast<Eigen::Index>(stretches_.size())) {
  MeasureSpread();
  Reset();
}

void PhysicsProblem::Reset() {
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const auto observation = data_.observation(stretches_[i].first);
    starts_.col(static_cast<Eigen::Index>(i)) = Eigen::Map<const VectorXd>(observation.data(), no_);
  }
  // A component that is constant has no spread to weigh it by.
  noise_ = most_noise_.array().isInf().select(1, most_noise_);
}

void PhysicsProblem::MeasureSpread() {
  // The noise of both ends of a step, sqrt(2), and chance leave a system at rest unexplained, too.
  constexpr double kWorstNoise = 2;    // in spreads
  constexpr double kRounding = 1e-12;  // relative to the largest number of a component
  const auto row = [this](std::span<const double> numbers) {
    return Eigen::Map<const VectorXd>(numbers.data(), no_);
  };
  const auto spread_of = [this](const auto& column) {
    const auto count = static_cast<double>(data_.size());
    VectorXd mean = VectorXd::Zero(no_);
    for (int64_t t = 0; t < data_.size(); ++t) mean += column(t) / count;
    VectorXd squares = VectorXd::Zero(no_);
    for (int64_t t = 0; t < data_.size(); ++t) squares += (column(t) - mean).cwiseAbs2();
    return VectorXd((squares / std::max(1.0, count - 1)).cwiseSqrt());
  };
  spread_ = spread_of([&](int64_t t) -> VectorXd { return row(data_.next_observation(t)); });
  trivial_noise_ = free_starts() ? spread_ : spread_of([&](int64_t t) -> VectorXd {
    return row(data_.next_observation(t)) - row(data_.observation(t));
  });
  VectorXd largest = VectorXd::Zero(no_);
  for (int64_t t = 0; t < data_.size(); ++t) {
    largest = largest.cwiseMax(row(data_.next_observation(t)).cwiseAbs());
  }
  least_noise_ = (largest.array() > 0).select(kRounding * largest, kRounding);  // of zeros any
  most_noise_ = (spread_.array() > least_noise_.array()).select(kWorstNoise * spread_, INFINITY);
}

bool PhysicsProblem::Predict(System& system, const Stretch& stretch, const VectorXd& start,
                             VectorXd& r) const {
  std::vector<double> state(system.spec().state.size(), 0.0);
  std::copy_n(start.data(), no_, state.begin());
  system.SetState(state);
  // An observation that ends one stretch and starts the next is half a residual of either.
  const double kHalfWeight = std::sqrt(0.5);
  r.resize(residuals(stretch));
  Eigen::Index at = 0;
  const auto compare = [&](std::span<const double> observed, const double* predicted, bool shared) {
    for (Eigen::Index i = 0; i < no_; ++i) {
      const double error = (observed[static_cast<size_t>(i)] - predicted[i]) / noise_[i];
      r[at++] = shared ? kHalfWeight * error : error;
    }
  };
  if (free_starts()) compare(data_.observation(stretch.first), start.data(), stretch.continues);
  VectorXd predicted(no_);
  const int64_t end = stretch.first + stretch.steps;
  for (int64_t row = stretch.first; row < end; ++row) {
    if (system.Step(data_.action(row)) != StepStatus::kOk) return false;
    system.Observe({predicted.data(), static_cast<size_t>(no_)});
    const bool shared = free_starts() && stretch.continued && row + 1 == end;
    compare(data_.next_observation(row), predicted.data(), shared);
  }
  return r.allFinite();
}

VectorXd PhysicsProblem::Precisions() const {
  VectorXd precisions(p_);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const double deviation = unknowns_[static_cast<size_t>(i)].prior_deviation;
    precisions[i] = 1 / (deviation * deviation);
  }
  return precisions;
}

VectorXd PhysicsProblem::PriorResidual(const VectorXd& values) const {
  VectorXd r(p_);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(i)];
    r[i] = (values[i] - unknown.prior_mean) / unknown.prior_deviation;
  }
  return r;
}

double PhysicsProblem::Cost(const VectorXd& values, const MatrixXd& starts) const {
  const auto system = family_({values.data(), unknowns_.size()});
  double sum = PriorResidual(values).squaredNorm();
  VectorXd r;
  for (size_t i = 0; i < stretches_.size(); ++i) {
    if (!Predict(*system, stretches_[i], starts.col(static_cast<Eigen::Index>(i)), r)) {
      return INFINITY;
    }
    sum += r.squaredNorm();
  }
  return 0.5 * sum;
}

void PhysicsProblem::set_noise(const VectorXd& noise) { noise_ = noise.cwiseMin(most_noise_); }

bool PhysicsProblem::LinearizeStarts(const VectorXd& values) {
  constexpr double kStep = 1e-6;  // of central differences, relative to spread + |start|
  const auto system = family_({values.data(), unknowns_.size()});
  for (size_t i = 0; i < stretches_.size(); ++i) {
    VectorXd start = starts_.col(static_cast<Eigen::Index>(i));
    Linear& linear = linear_[i];
    if (!Predict(*system, stretches_[i], start, linear.r)) return false;
    linear.A.resize(linear.r.size(), p_);
    if (!free_starts()) continue;
    linear.B.resize(linear.r.size(), no_);
    VectorXd above;
    VectorXd below;
    for (Eigen::Index j = 0; j < no_; ++j) {
      const double here = start[j];
      const double unit = spread_[j] > least_noise_[j] ? spread_[j] : 1;  // of what stays: any
      const double h = kStep * (unit + std::abs(here));
      start[j] = here + h;
      if (!Predict(*system, stretches_[i], start, above)) return false;
      start[j] = here - h;
      if (!Predict(*system, stretches_[i], start, below)) return false;
      start[j] = here;
      linear.B.col(j) = (above - below) / (2 * h);
    }
    linear.starts.compute(linear.B.transpose() * linear.B);
  }
  return true;
}

bool PhysicsProblem::LinearizeParameters(const VectorXd& values) {
  constexpr double kStep = 1e-6;  // of central differences, relative to unit / 1000 + |value|
  VectorXd r_above;
  VectorXd r_below;
  for (Eigen::Index j = 0; j < p_; ++j) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(j)];
    // Values below 1 may be in a large unit, of which the guess tells.
    const double unit = unknown.start == 0 ? 1 : std::min(1.0, std::abs(unknown.start));
    const double h = kStep * (1e-3 * unit + std::abs(values[j]));
    VectorXd above = values;
    VectorXd below = values;
    above[j] = std::min(values[j] + h, unknown.high);
    below[j] = std::max(values[j] - h, unknown.low);
    const auto upper = family_({above.data(), unknowns_.size()});
    const auto lower = family_({below.data(), unknowns_.size()});
    for (size_t i = 0; i < stretches_.size(); ++i) {
      const VectorXd start = starts_.col(static_cast<Eigen::Index>(i));
      if (!Predict(*upper, stretches_[i], start, r_above)) return false;
      if (!Predict(*lower, stretches_[i], start, r_below)) return false;
      linear_[i].A.col(j) = (r_above - r_below) / (above[j] - below[j]);
    }
  }
  return true;
}

std::optional<PhysicsProblem::Expansion> PhysicsProblem::Expand(const VectorXd& values) {
  linear_.resize(stretches_.size());
  if (!LinearizeStarts(values) || !LinearizeParameters(values)) return std::nullopt;
  Expansion at;
  const VectorXd prior = PriorResidual(values);
  at.cost = 0.5 * prior.squaredNorm();
  at.gradient = Precisions().cwiseSqrt().cwiseProduct(prior);
  at.information = MatrixXd::Zero(p_, p_);
  for (const Linear& linear : linear_) {
    at.cost += 0.5 * linear.r.squaredNorm();
    at.gradient += linear.A.transpose() * linear.r;
    at.information += linear.A.transpose() * linear.A;
    if (!free_starts()) continue;
    // Schur complement: A'A - A'B (B'B)^-1 B'A, A'r - A'B (B'B)^-1 B'r.
    const MatrixXd cross = linear.B.transpose() * linear.A;
    at.gradient -= cross.transpose() * linear.starts.solve(linear.B.transpose() * linear.r);
    at.information -= cross.transpose() * linear.starts.solve(cross);
  }
  return at;
}

MatrixXd PhysicsProblem::WithPriors(const MatrixXd& information) const {
  return information + MatrixXd(Precisions().asDiagonal());
}

VectorXd PhysicsProblem::Direction(const Expansion& at, const VectorXd& values, double mu) const {
  MatrixXd H = WithPriors(at.information);
  VectorXd g = at.gradient;
  for (Eigen::Index i = 0; i < p_; ++i) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(i)];
    const bool held =
        (values[i] <= unknown.low && g[i] > 0) || (values[i] >= unknown.high && g[i] < 0);
    if (held) {
      H.row(i).setZero();
      H.col(i).setZero();
      g[i] = 0;
    }
    H(i, i) *= 1 + mu;
    if (H(i, i) == 0) H(i, i) = 1;
  }
  return -H.ldlt().solve(g);
}

VectorXd PhysicsProblem::Step(const Expansion& at, const VectorXd& values, double mu,
                              MatrixXd& starts_after) const {
  VectorXd d = Direction(at, values, mu);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(i)];
    d[i] = std::clamp(values[i] + d[i], unknown.low, unknown.high) - values[i];
  }
  starts_after = starts_;
  if (free_starts()) {
    for (size_t i = 0; i < linear_.size(); ++i) {
      const Linear& linear = linear_[i];
      starts_after.col(static_cast<Eigen::Index>(i)) -=
          linear.starts.solve(linear.B.transpose() * (linear.r + linear.A * d));
    }
  }
  return d;
}

double PhysicsProblem::StepInStandardErrors(const Expansion& at, const VectorXd& values) const {
  constexpr double kNearlyUndamped = 1e-9;  // what data leave open to rounding is no step
  const double square = -at.gradient.dot(Direction(at, values, kNearlyUndamped));
  return square >= 0 ? std::sqrt(square) : INFINITY;  // no way down, or no number: not arrived
}

double PhysicsProblem::DegreesOfFreedom() const {
  double count = 0;
  for (const Stretch& stretch : stretches_) {
    count += stretch.steps + (free_starts() && !stretch.continues ? 1 : 0);
  }
  // Parameters and starts take degrees of freedom, shared out evenly over the components.
  const double taken = static_cast<double>(p_) / static_cast<double>(no_) +
                       (free_starts() ? static_cast<double>(stretches_.size()) : 0.0);
  return std::max(1.0, count - taken);
}

std::optional<VectorXd> PhysicsProblem::EstimateNoise(const VectorXd& values) const {
  const auto system = family_({values.data(), unknowns_.size()});
  VectorXd sum = VectorXd::Zero(no_);
  VectorXd r;
  for (size_t i = 0; i < stretches_.size(); ++i) {
    if (!Predict(*system, stretches_[i], starts_.col(static_cast<Eigen::Index>(i)), r)) {
      return std::nullopt;
    }
    for (Eigen::Index j = 0; j < r.size(); ++j) sum[j % no_] += r[j] * r[j];
  }
  // s^2 = sum of squares / degrees of freedom; r is in units of the noise of before
  const VectorXd estimate = noise_.cwiseProduct((sum / DegreesOfFreedom()).cwiseSqrt());
  if (!estimate.allFinite()) return std::nullopt;
  return estimate.cwiseMax(least_noise_);
}

double PhysicsProblem::NegativeLogLikelihood(const VectorXd& values, const VectorXd& noise) const {
  // With the noise at its estimate, the squares sum to the degrees of freedom: a constant.
  return DegreesOfFreedom() * noise.array().log().sum() + 0.5 * PriorResidual(values).squaredNorm();
}

}  // namespace foreplan
