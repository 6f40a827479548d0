#include "foreplan/models/physics/physics_fit.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/models/physics/physics_model.h"
#include "foreplan/models/physics/physics_problem.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

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

/// Where one guess led.
struct End {
  PhysicsFitStatus status = PhysicsFitStatus::kIterationLimit;
  int iterations = 0;
  VectorXd values;            // [p]
  MatrixXd starts;            // of the stretches: [no x stretches]
  VectorXd noise;             // [no]
  double step = 0;            // that remains [standard errors]
  double badness = INFINITY;  // -log likelihood; infinite where the system diverged
  std::vector<std::vector<double>> costs;
};

/// Who follows the fit.
struct Observed {
  const FitControl& control;
  FitMeter& meter;  // of iterations
};

/// Levenberg-Marquardt until the full step is shorter than the tolerance. Returns whether a step
/// was taken; end.status says how it ended.
bool Minimise(PhysicsProblem& problem, const PhysicsFitOptions& options, const Observed& observed,
              End& end) {
  constexpr double kLeastDamping = 1e-12;
  constexpr double kMostDamping = 1e12;
  double mu = 1e-3;
  bool moved = false;
  auto at = problem.Expand(end.values);
  end.costs.emplace_back();
  if (at) end.costs.back().push_back(at->cost);
  while (at) {
    end.step = problem.StepInStandardErrors(*at, end.values);
    // However short mu makes a step, what counts is the one without damping.
    if (end.step <= options.tolerance) {
      end.status = PhysicsFitStatus::kConverged;
      return moved;
    }
    MatrixXd starts;
    double cost = INFINITY;
    VectorXd tried;
    bool accepted = false;
    while (!accepted && mu <= kMostDamping && end.iterations < options.max_iterations) {
      observed.control.ThrowIfStopped();
      ++end.iterations;
      observed.meter.Add(1, at->cost);
      tried = end.values + problem.Step(*at, end.values, mu, starts);
      cost = problem.Cost(tried, starts);
      accepted = cost < at->cost;
      if (!accepted) mu *= 10;
    }
    if (!accepted) {
      end.status =
          mu > kMostDamping ? PhysicsFitStatus::kNoDescent : PhysicsFitStatus::kIterationLimit;
      return moved;
    }
    moved = true;
    end.values = tried;
    problem.set_starts(std::move(starts));
    end.costs.back().push_back(cost);
    mu = std::max(kLeastDamping, mu / 10);
    at = problem.Expand(end.values);
  }
  end.status = PhysicsFitStatus::kNoDescent;  // the system diverges next to the values
  return moved;
}

/// Parameters and noise in turn, until neither changes.
End FitFrom(const VectorXd& guess, const PhysicsFitOptions& options, const Observed& observed,
            PhysicsProblem& problem) {
  constexpr int kMostRounds = 50;
  End end;
  end.values = guess;
  problem.Reset();
  for (int round = 0; round < kMostRounds; ++round) {
    const auto noise = problem.EstimateNoise(end.values);
    if (!noise) return end;
    problem.set_noise(*noise);
    const bool moved = Minimise(problem, options, observed, end);
    if (!moved || end.status != PhysicsFitStatus::kConverged) break;
    end.status = PhysicsFitStatus::kIterationLimit;
  }
  end.starts = problem.starts();
  const auto noise = problem.EstimateNoise(end.values);
  if (!noise) return end;
  end.noise = *noise;
  end.badness = problem.NegativeLogLikelihood(end.values, end.noise);
  if ((end.noise.array() > problem.most_noise().array()).any()) {
    end.status = PhysicsFitStatus::kUnexplained;
  }
  return end;
}

/// A minimum, and one that explains the data: no reason to look for others.
bool IsGood(const End& end, const PhysicsProblem& problem) {
  constexpr double kMuchNoise = 0.3;  // of the trivial: there is much noise, or much unexplained
  if (end.status != PhysicsFitStatus::kConverged) return false;
  for (Eigen::Index i = 0; i < end.noise.size(); ++i) {
    const bool is_constant = std::isinf(problem.most_noise()[i]);
    const double much = std::max(kMuchNoise * problem.trivial_noise()[i], problem.least_noise()[i]);
    if (!is_constant && end.noise[i] > much) return false;
  }
  return true;
}

/// Within a factor e^3 of the start and within the bounds, evenly in the logarithm; of a start at 0
/// within the bounds, or 1 where there are none.
double DrawGuess(const Unknown& unknown, Random& random) {
  constexpr double kLogFactor = 3;
  const double z = random.Uniform(-1, 1);
  if (unknown.start != 0) {
    return std::clamp(unknown.start * std::exp(kLogFactor * z), unknown.low, unknown.high);
  }
  return z < 0 ? -z * std::max(unknown.low, -1.0) : z * std::min(unknown.high, 1.0);
}

/// The likeliest of many more draws, by what they predict before any fit.
std::vector<VectorXd> DrawGuesses(std::span<const Unknown> unknowns, int count, Key key,
                                  PhysicsProblem& problem) {
  constexpr int kDrawsPerGuess = 8;
  Random random(key);
  problem.Reset();
  std::vector<std::pair<double, VectorXd>> draws;
  for (int draw = 0; draw < kDrawsPerGuess * count; ++draw) {
    VectorXd values(static_cast<Eigen::Index>(unknowns.size()));
    for (Eigen::Index i = 0; i < values.size(); ++i) {
      values[i] = DrawGuess(unknowns[static_cast<size_t>(i)], random);
    }
    const double cost = problem.Cost(values, problem.starts());
    draws.emplace_back(std::isnan(cost) ? INFINITY : cost, values);
  }
  std::ranges::stable_sort(draws, {}, &std::pair<double, VectorXd>::first);
  std::vector<VectorXd> guesses;
  for (int i = 0; i < count; ++i) guesses.push_back(draws[static_cast<size_t>(i)].second);
  return guesses;
}

std::string FailureText(const End& end, const PhysicsProblem& problem, const EnvironmentSpec& spec,
                        const PhysicsFitOptions& options) {
  switch (end.status) {
    case PhysicsFitStatus::kConverged:
      break;
    case PhysicsFitStatus::kIterationLimit:
      return fmt::format(
          "not at a minimum after {} iterations, the full step is {:.2g} standard errors long",
          options.max_iterations, end.step);
    case PhysicsFitStatus::kNoDescent:
      return fmt::format(
          "not at a minimum, the full step is {:.2g} standard errors long but no step lowers the "
          "sum of squares",
          end.step);
    case PhysicsFitStatus::kUnexplained:
      for (Eigen::Index i = 0; i < end.noise.size(); ++i) {
        if (end.noise[i] <= problem.most_noise()[i]) continue;
        return fmt::format(
            "the noise of {}, {:.2g}, is above twice the data's spread, {:.2g}: with these values "
            "the "
            "equations explain nothing",
            spec.observation[static_cast<size_t>(i)].name, end.noise[i], problem.spread()[i]);
      }
  }
  return "";
}

/// The information's directions of relative change, S = D H D with D = diag|value|: 1 /
/// sqrt(eigenvalue) is how well a direction is known.
struct Directions {
  Directions(const VectorXd& values, const MatrixXd& information, double identifiable_below)
      : scale(values.cwiseAbs()), known(static_cast<size_t>(values.size())) {
    constexpr double kRounding = 1e-13;  // of the largest eigenvalue
    for (double& entry : scale) entry = entry > 0 ? entry : 1;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(scale.asDiagonal() * information *
                                                        scale.asDiagonal());
    vectors = eigen.eigenvectors();
    const double least =
        kRounding * std::max(std::numeric_limits<double>::min(), eigen.eigenvalues().maxCoeff());
    deviations = eigen.eigenvalues().cwiseMax(least).cwiseSqrt().cwiseInverse();
    for (Eigen::Index k = 0; k < values.size(); ++k) {
      known[static_cast<size_t>(k)] =
          eigen.eigenvalues()[k] > least && deviations[k] < identifiable_below;
    }
  }

  VectorXd scale;           // [p]
  MatrixXd vectors;         // [p x p], a column per direction
  VectorXd deviations;      // [p], relative standard deviation along it
  std::vector<bool> known;  // [p]
};

/// What changes together without the data minding.
std::vector<std::string> OpenDirections(std::span<const Unknown> unknowns,
                                        const Directions& directions) {
  constexpr double kSmallShare = 0.02;  // of a direction, not worth a word
  std::vector<std::string> texts;
  for (size_t k = 0; k < unknowns.size(); ++k) {
    if (directions.known[k]) continue;
    std::string text;
    for (size_t i = 0; i < unknowns.size(); ++i) {
      const double share =
          directions.vectors(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k));
      if (std::abs(share) < kSmallShare) continue;
      text += fmt::format("{}{} {:+.2f}", text.empty() ? "" : ", ", unknowns[i].name, share);
    }
    texts.push_back(text + " (relative changes)");
  }
  return texts;
}

/// Fills draw, covariance and standard errors, the last infinite for all that moves along an open
/// direction by more than the known ones leave uncertain.
void JudgePrecision(const Directions& directions, PhysicsFit& fit) {
  const auto p = directions.scale.size();
  fit.draw.resize(p, p);
  Eigen::Index known = 0;
  VectorXd open_squares = VectorXd::Zero(p);
  for (Eigen::Index k = 0; k < p; ++k) {
    const VectorXd change =
        directions.deviations[k] * directions.scale.cwiseProduct(directions.vectors.col(k));
    if (directions.known[static_cast<size_t>(k)]) {
      fit.draw.col(known++) = change;
    } else {
      open_squares += change.cwiseAbs2();
    }
  }
  fit.draw.conservativeResize(p, known);
  fit.covariance = fit.draw * fit.draw.transpose();
  for (Eigen::Index i = 0; i < p; ++i) {
    const double variance = fit.covariance(i, i);
    const bool is_open = open_squares[i] > variance || fit.status == PhysicsFitStatus::kUnexplained;
    fit.standard_errors.push_back(is_open ? INFINITY : std::sqrt(variance + open_squares[i]));
  }
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
    case PhysicsFitStatus::kUnexplained:
      return "unexplained";
  }
  return "";
}

void PhysicsFitOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, NoiseModel>> kNoise = {
      {"process", NoiseModel::kProcess}, {"measurement", NoiseModel::kMeasurement}};
  visitor.Choice("noise", noise, std::span(kNoise), "of the steps, or of what is observed");
  visitor.Field("stretch", stretch, {1, 10000}, "steps predicted from each start");
  visitor.Field("max_iterations", max_iterations, {1, 100000},
                "of Levenberg-Marquardt, from each guess");
  visitor.Field("tolerance", tolerance, {1e-9, 1},
                "standard errors; where the full step is shorter, it has converged");
  visitor.Field("guesses", guesses, {0, 1000}, "more of them, where the given one ends badly");
  visitor.Field("identifiable_below", identifiable_below, {1e-6, 1e6},
                "relative error above which a combination counts as not identifiable");
}

PhysicsFit FitPhysics(const SystemFamily& family, std::span<const Unknown> unknowns,
                      const Dataset& data, const PhysicsFitOptions& options, Key key,
                      const FitControl& control) {
  CheckInput(unknowns, data, options);
  VectorXd guess(static_cast<Eigen::Index>(unknowns.size()));
  for (size_t i = 0; i < unknowns.size(); ++i) {
    guess[static_cast<Eigen::Index>(i)] = unknowns[i].start;
  }
  const auto system = family({guess.data(), unknowns.size()});
  CheckSystem(*system, data);
  PhysicsProblem problem(family, unknowns, data, options);
  PhysicsFit fit;
  const double most = static_cast<double>(options.max_iterations) * (1 + options.guesses);
  FitMeter meter(control, most);
  const Observed observed{control, meter};
  End best = FitFrom(guess, options, observed, problem);
  fit.iterations = best.iterations;
  if (!IsGood(best, problem)) {
    for (const VectorXd& other : DrawGuesses(unknowns, options.guesses, key, problem)) {
      End end = FitFrom(other, options, observed, problem);
      ++fit.guesses;
      fit.iterations += end.iterations;
      if (end.badness < best.badness) best = std::move(end);
    }
  }
  meter.Add(most - fit.iterations, best.costs.empty() ? 0 : best.costs.back().back());
  if (std::isinf(best.badness)) {
    throw RunError("physics fit: the system diverges with the guessed parameters; guess others");
  }
  fit.status = best.status;
  fit.failure = FailureText(best, problem, system->spec(), options);
  fit.costs = std::move(best.costs);
  fit.noise.assign(best.noise.begin(), best.noise.end());
  fit.spread.assign(problem.spread().begin(), problem.spread().end());
  for (size_t i = 0; i < unknowns.size(); ++i) {
    const double value = best.values[static_cast<Eigen::Index>(i)];
    fit.values.push_back(value);
    fit.at_bound.push_back(value <= unknowns[i].low || value >= unknowns[i].high);
  }
  problem.set_starts(best.starts);
  problem.set_noise(best.noise);
  const auto at = problem.Expand(best.values);
  if (!at) throw RunError("physics fit: a small change of the parameters makes the system diverge");
  fit.unidentifiable =
      OpenDirections(unknowns, {best.values, at->information, options.identifiable_below});
  JudgePrecision({best.values, problem.WithPriors(at->information), options.identifiable_below},
                 fit);
  control.ThrowIfStopped();
  return fit;
}

}  // namespace foreplan
