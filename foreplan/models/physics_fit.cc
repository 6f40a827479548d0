#include "foreplan/models/physics_fit.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/models/physics_model.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// Consecutive rows of one episode: rows first ... first + steps - 1.
struct Stretch {
  int64_t first = 0;
  int steps = 0;
  bool continues = false;  // starts where the one before ended ...
  bool continued = false;  // ... and so does the next
};

std::vector<Stretch> CutIntoStretches(const Dataset& data, int longest) {
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

/// The weighted sum of squares and its Gauss-Newton expansion in the parameters, starts eliminated.
struct Expansion {
  double cost = 0;       // 1/2 sum of squares, priors included
  VectorXd gradient;     // [p]
  MatrixXd information;  // J'J of the data alone: [p x p]
};

class Problem {
 public:
  Problem(const SystemFamily& family, std::span<const Unknown> unknowns, const Dataset& data,
          const PhysicsFitOptions& options);

  [[nodiscard]] bool free_starts() const { return options_.noise == NoiseModel::kMeasurement; }
  [[nodiscard]] const MatrixXd& starts() const { return starts_; }
  void set_starts(MatrixXd starts) { starts_ = std::move(starts); }

  /// 1/2 sum of squares at these values and starts; infinite where the system diverges.
  [[nodiscard]] double Cost(const VectorXd& values, const MatrixXd& starts) const;
  /// Around values and starts(). Keeps what Step needs.
  Expansion Expand(const VectorXd& values);
  /// Of the expansion, the parameters' step with damping mu; starts_after receives the starts.
  [[nodiscard]] VectorXd Step(const Expansion& at, const VectorXd& values, double mu,
                              MatrixXd& starts_after) const;
  /// Re-estimates the noise of each component from the residuals.
  void EstimateNoise(const VectorXd& values);
  [[nodiscard]] const VectorXd& noise() const { return noise_; }
  /// Of data and priors.
  [[nodiscard]] MatrixXd WithPriors(const MatrixXd& information) const {
    return information + MatrixXd(Precisions().asDiagonal());
  }

 private:
  struct Linear {                 // of one stretch: residual r + A dtheta + B ds
    VectorXd r;                   // [m]
    MatrixXd A;                   // [m x p]
    MatrixXd B;                   // [m x no]
    Eigen::LLT<MatrixXd> starts;  // of B'B
  };

  [[nodiscard]] Eigen::Index residuals(const Stretch& stretch) const {
    return no_ * (stretch.steps + (free_starts() ? 1 : 0));
  }
  /// Observed minus predicted over the noise: [m]; false where the system diverges.
  bool Predict(System& system, const Stretch& stretch, const VectorXd& start, VectorXd& r) const;
  [[nodiscard]] VectorXd PriorResidual(const VectorXd& values) const;
  [[nodiscard]] VectorXd Precisions() const;  // of the priors; 0: none

  const SystemFamily& family_;
  std::span<const Unknown> unknowns_;
  const Dataset& data_;
  PhysicsFitOptions options_;
  Eigen::Index no_;
  Eigen::Index p_;
  std::vector<Stretch> stretches_;
  MatrixXd starts_;  // [no x stretches]
  VectorXd noise_;   // [no]
  std::vector<Linear> linear_;
};

Problem::Problem(const SystemFamily& family, std::span<const Unknown> unknowns, const Dataset& data,
                 const PhysicsFitOptions& options)
    : family_(family),
      unknowns_(unknowns),
      data_(data),
      options_(options),
      no_(data.observation_dim()),
      p_(static_cast<Eigen::Index>(unknowns.size())),
      stretches_(CutIntoStretches(data, free_starts() ? options.stretch : 1)),
      starts_(no_, static_cast<Eigen::Index>(stretches_.size())),
      noise_(VectorXd::Ones(no_)) {
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const auto observation = data.observation(stretches_[i].first);
    starts_.col(static_cast<Eigen::Index>(i)) = Eigen::Map<const VectorXd>(observation.data(), no_);
  }
}

bool Problem::Predict(System& system, const Stretch& stretch, const VectorXd& start,
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

VectorXd Problem::Precisions() const {
  VectorXd precisions(p_);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const double deviation = unknowns_[static_cast<size_t>(i)].prior_deviation;
    precisions[i] = 1 / (deviation * deviation);
  }
  return precisions;
}

VectorXd Problem::PriorResidual(const VectorXd& values) const {
  VectorXd r(p_);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(i)];
    r[i] = (values[i] - unknown.prior_mean) / unknown.prior_deviation;
  }
  return r;
}

double Problem::Cost(const VectorXd& values, const MatrixXd& starts) const {
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

Expansion Problem::Expand(const VectorXd& values) {
  constexpr double kStep = 1e-6;  // of central differences, relative to 1 + |value|
  linear_.resize(stretches_.size());
  const auto residual = [&](System& system, size_t i, const VectorXd& start) {
    VectorXd r;
    if (!Predict(system, stretches_[i], start, r)) {
      throw RunError("physics fit: a small change of the parameters makes the system diverge");
    }
    return r;
  };
  const auto system = family_({values.data(), unknowns_.size()});
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const auto column = static_cast<Eigen::Index>(i);
    Linear& linear = linear_[i];
    linear.r = residual(*system, i, starts_.col(column));
    linear.A.resize(linear.r.size(), p_);
    if (!free_starts()) continue;
    linear.B.resize(linear.r.size(), no_);
    for (Eigen::Index j = 0; j < no_; ++j) {
      VectorXd start = starts_.col(column);
      const double h = kStep * (1 + std::abs(start[j]));
      start[j] += h;
      const VectorXd above = residual(*system, i, start);
      start[j] -= 2 * h;
      linear.B.col(j) = (above - residual(*system, i, start)) / (2 * h);
    }
  }
  for (Eigen::Index j = 0; j < p_; ++j) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(j)];
    const double h = kStep * (1e-3 + std::abs(values[j]));
    VectorXd above = values;
    VectorXd below = values;
    above[j] = std::min(values[j] + h, unknown.high);
    below[j] = std::max(values[j] - h, unknown.low);
    const auto upper = family_({above.data(), unknowns_.size()});
    const auto lower = family_({below.data(), unknowns_.size()});
    for (size_t i = 0; i < stretches_.size(); ++i) {
      const VectorXd start = starts_.col(static_cast<Eigen::Index>(i));
      linear_[i].A.col(j) =
          (residual(*upper, i, start) - residual(*lower, i, start)) / (above[j] - below[j]);
    }
  }

  Expansion at;
  const VectorXd prior = PriorResidual(values);
  at.cost = 0.5 * prior.squaredNorm();
  at.gradient = Precisions().cwiseSqrt().cwiseProduct(prior);
  at.information = MatrixXd::Zero(p_, p_);
  for (Linear& linear : linear_) {
    at.cost += 0.5 * linear.r.squaredNorm();
    at.gradient += linear.A.transpose() * linear.r;
    at.information += linear.A.transpose() * linear.A;
    if (!free_starts()) continue;
    // Schur complement: A'A - A'B (B'B)^-1 B'A, A'r - A'B (B'B)^-1 B'r.
    linear.starts.compute(linear.B.transpose() * linear.B);
    const MatrixXd cross = linear.B.transpose() * linear.A;
    at.gradient -= cross.transpose() * linear.starts.solve(linear.B.transpose() * linear.r);
    at.information -= cross.transpose() * linear.starts.solve(cross);
  }
  return at;
}

VectorXd Problem::Step(const Expansion& at, const VectorXd& values, double mu,
                       MatrixXd& starts_after) const {
  // (H + mu diag(H)) d = -g over the unknowns that no bound holds back.
  MatrixXd H = WithPriors(at.information);
  for (Eigen::Index i = 0; i < p_; ++i) {
    const Unknown& unknown = unknowns_[static_cast<size_t>(i)];
    const bool held = (values[i] <= unknown.low && at.gradient[i] > 0) ||
                      (values[i] >= unknown.high && at.gradient[i] < 0);
    if (held) {
      H.row(i).setZero();
      H.col(i).setZero();
    }
    H(i, i) += mu * H(i, i);
    if (H(i, i) == 0) H(i, i) = 1;
  }
  VectorXd d = -H.ldlt().solve(at.gradient);
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

void Problem::EstimateNoise(const VectorXd& values) {
  const auto system = family_({values.data(), unknowns_.size()});
  VectorXd sum = VectorXd::Zero(no_);
  double count = 0;
  VectorXd r;
  for (size_t i = 0; i < stretches_.size(); ++i) {
    if (!Predict(*system, stretches_[i], starts_.col(static_cast<Eigen::Index>(i)), r)) return;
    for (Eigen::Index j = 0; j < r.size(); ++j) sum[j % no_] += r[j] * r[j];
    count += stretches_[i].steps + (free_starts() && !stretches_[i].continues ? 1 : 0);
  }
  // Parameters and starts take degrees of freedom, shared out evenly over the components.
  const double taken = static_cast<double>(p_) / static_cast<double>(no_) +
                       (free_starts() ? static_cast<double>(stretches_.size()) : 0.0);
  const double degrees = std::max(1.0, count - taken);
  for (Eigen::Index i = 0; i < no_; ++i) {
    noise_[i] = std::max(1e-12, noise_[i] * std::sqrt(sum[i] / degrees));
  }
}

void CheckInput(std::span<const Unknown> unknowns, const Dataset& data,
                const PhysicsFitOptions& options) {
  PhysicsFitOptions checked = options;
  ValidateOptions("physics fit", checked);
  if (unknowns.empty()) throw InputError("physics fit: found no unknowns, expected at least one");
  for (const Unknown& unknown : unknowns) {
    CheckUnknown("physics fit", unknown);
  }
  const int64_t numbers = data.size() * data.observation_dim();
  if (numbers <= static_cast<int64_t>(unknowns.size())) {
    throw InputError(
        fmt::format("physics fit: found {} transitions of {} numbers, expected more "
                    "numbers than the {} unknowns",
                    data.size(), data.observation_dim(), unknowns.size()));
  }
  const auto check = [](std::span<const double> row, int64_t index) {
    for (const double value : row) {
      if (std::isfinite(value)) continue;
      throw InputError(fmt::format("physics fit: transition {}: found {}, expected finite numbers",
                                   index, value));
    }
  };
  for (int64_t row = 0; row < data.size(); ++row) {
    check(data.observation(row), row);
    check(data.action(row), row);
    check(data.next_observation(row), row);
  }
}

void CheckSystem(const System& system, const Dataset& data) {
  const SystemSpec& spec = system.spec();
  if (spec.observation_dim() != data.observation_dim() || spec.action_dim() != data.action_dim()) {
    throw InputError(fmt::format(
        "physics fit: found data of {} observed numbers and {} actions, expected {} and {}",
        data.observation_dim(), data.action_dim(), spec.observation_dim(), spec.action_dim()));
  }
  CheckObservationBeginsState(spec);
}

/// Levenberg-Marquardt until no step lowers the cost.
void Minimise(Problem& problem, VectorXd& values, const PhysicsFitOptions& options,
              PhysicsFit& fit) {
  double mu = 1e-3;
  Expansion at = problem.Expand(values);
  fit.status = PhysicsFitStatus::kIterationLimit;
  for (int i = 0; i < options.max_iterations; ++i) {
    ++fit.iterations;
    MatrixXd starts;
    const VectorXd d = problem.Step(at, values, mu, starts);
    const VectorXd tried = values + d;
    const double cost = problem.Cost(tried, starts);
    if (cost < at.cost) {
      const double decrease = (at.cost - cost) / at.cost;
      values = tried;
      problem.set_starts(std::move(starts));
      mu = std::max(1e-12, mu / 10);
      if (decrease < options.tolerance) {
        fit.status = PhysicsFitStatus::kConverged;
        return;
      }
      at = problem.Expand(values);
    } else if (d.norm() <= 1e-12 * (1 + values.norm()) || cost - at.cost <= 1e-12 * at.cost) {
      fit.status = PhysicsFitStatus::kConverged;  // to rounding
      return;
    } else {
      mu *= 10;
      if (mu > 1e12) {
        fit.status = PhysicsFitStatus::kNoDescent;
        return;
      }
    }
  }
}

constexpr double kSmallShare = 0.1;  // of a direction, not worth a word

VectorXd RelativeScale(const VectorXd& values) {
  VectorXd scale = values.cwiseAbs();
  for (double& entry : scale) entry = entry > 0 ? entry : 1;
  return scale;
}

bool IsKnown(double lambda, double largest, double threshold) {
  return lambda > 1e-13 * std::max(1e-300, largest) && 1 / std::sqrt(lambda) < threshold;
}

// The information in relative changes, S = D H D with D = diag|value|: 1 / sqrt(eigenvalue) is how
// well a direction of relative change is known.
void JudgeIdentifiability(std::span<const Unknown> unknowns, const VectorXd& values,
                          const MatrixXd& information, double threshold, PhysicsFit& fit) {
  const auto p = values.size();
  const VectorXd scale = RelativeScale(values);
  const MatrixXd S = scale.asDiagonal() * information * scale.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(S);
  for (Eigen::Index k = 0; k < p; ++k) {
    if (IsKnown(eigen.eigenvalues()[k], eigen.eigenvalues()[p - 1], threshold)) continue;
    std::string text;
    for (Eigen::Index i = 0; i < p; ++i) {
      const double share = eigen.eigenvectors()(i, k);
      if (std::abs(share) < kSmallShare) continue;
      text += fmt::format("{}{} {:+.2f}", text.empty() ? "" : ", ",
                          unknowns[static_cast<size_t>(i)].name, share);
    }
    fit.unidentifiable.push_back(text + " (relative changes)");
  }
}

/// What data and priors leave open.
struct Posterior {
  MatrixXd draw;           // D V diag(1 / sqrt(eigenvalue)) over the known directions of change
  std::vector<bool> open;  // [p], the parameter has a share in another direction
};

Posterior MakePosterior(const VectorXd& values, const MatrixXd& information, double threshold) {
  const VectorXd scale = RelativeScale(values);
  const MatrixXd S = scale.asDiagonal() * information * scale.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(S);
  MatrixXd draw(values.size(), values.size());
  std::vector<bool> open(static_cast<size_t>(values.size()), false);
  Eigen::Index known = 0;
  for (Eigen::Index k = 0; k < values.size(); ++k) {
    const double lambda = eigen.eigenvalues()[k];
    if (!IsKnown(lambda, eigen.eigenvalues().maxCoeff(), threshold)) {
      for (size_t i = 0; i < open.size(); ++i) {
        const double share = eigen.eigenvectors()(static_cast<Eigen::Index>(i), k);
        if (std::abs(share) >= kSmallShare) open[i] = true;
      }
      continue;
    }
    draw.col(known++) = scale.cwiseProduct(eigen.eigenvectors().col(k)) / std::sqrt(lambda);
  }
  return {draw.leftCols(known), open};
}

}  // namespace

void CheckUnknown(const std::string& where, const Unknown& unknown) {
  if (!(unknown.low < unknown.high) || !(unknown.start >= unknown.low) ||
      !(unknown.start <= unknown.high)) {
    throw InputError(
        fmt::format("{}: {}: found start {} and bounds [{}, {}], expected "
                    "low <= start <= high and low < high",
                    where, unknown.name, unknown.start, unknown.low, unknown.high));
  }
  if (!(unknown.prior_deviation > 0) || !std::isfinite(unknown.prior_mean)) {
    throw InputError(
        fmt::format("{}: {}: found a prior of {} +- {}, expected a finite mean and a positive "
                    "deviation",
                    where, unknown.name, unknown.prior_mean, unknown.prior_deviation));
  }
}

std::string_view Name(PhysicsFitStatus status) {
  switch (status) {
    case PhysicsFitStatus::kConverged:
      return "converged";
    case PhysicsFitStatus::kIterationLimit:
      return "iteration limit";
    case PhysicsFitStatus::kNoDescent:
      return "no descent";
  }
  return "";
}

void PhysicsFitOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, NoiseModel>> kNoise = {
      {"process", NoiseModel::kProcess}, {"measurement", NoiseModel::kMeasurement}};
  visitor.Choice("noise", noise, std::span(kNoise), "of the steps, or of what is observed");
  visitor.Field("stretch", stretch, {1, 10000}, "steps predicted from each start");
  visitor.Field("max_iterations", max_iterations, {1, 100000}, "of Levenberg-Marquardt");
  visitor.Field("tolerance", tolerance, {0, 1}, "relative decrease at which it stops");
  visitor.Field("identifiable_below", identifiable_below, {1e-6, 1e6},
                "relative error above which a combination counts as not identifiable");
}

PhysicsFit FitPhysics(const SystemFamily& family, std::span<const Unknown> unknowns,
                      const Dataset& data, const PhysicsFitOptions& options) {
  constexpr int kRounds = 4;  // of estimating noise and parameters in turn
  CheckInput(unknowns, data, options);
  const auto p = static_cast<Eigen::Index>(unknowns.size());
  VectorXd values(p);
  for (Eigen::Index i = 0; i < p; ++i) values[i] = unknowns[static_cast<size_t>(i)].start;
  CheckSystem(*family({values.data(), unknowns.size()}), data);
  Problem problem(family, unknowns, data, options);
  if (!std::isfinite(problem.Cost(values, problem.starts()))) {
    throw RunError("physics fit: the system diverges with the guessed parameters; guess others");
  }
  PhysicsFit fit;
  for (int round = 0; round < kRounds; ++round) {
    problem.EstimateNoise(values);
    Minimise(problem, values, options, fit);
  }
  problem.EstimateNoise(values);
  const MatrixXd data_information = problem.Expand(values).information;
  JudgeIdentifiability(unknowns, values, data_information, options.identifiable_below, fit);
  const MatrixXd information = problem.WithPriors(data_information);
  const Posterior posterior = MakePosterior(values, information, options.identifiable_below);
  fit.draw = posterior.draw;
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(information);
  fit.covariance = eigen.eigenvectors() *
                   eigen.eigenvalues().cwiseMax(1e-300).cwiseInverse().asDiagonal() *
                   eigen.eigenvectors().transpose();
  for (Eigen::Index i = 0; i < p; ++i) {
    const Unknown& unknown = unknowns[static_cast<size_t>(i)];
    fit.values.push_back(values[i]);
    fit.standard_errors.push_back(
        posterior.open[static_cast<size_t>(i)] ? INFINITY : std::sqrt(fit.covariance(i, i)));
    fit.at_bound.push_back(values[i] <= unknown.low || values[i] >= unknown.high);
  }
  fit.noise.assign(problem.noise().data(), problem.noise().data() + problem.noise().size());
  return fit;
}

}  // namespace foreplan
