#include "foreplan/trajopt/kl/kl_constrained_lqr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const std::array<std::pair<std::string, KlMultiplierSearch>, 2> kSearches{
    {{"bracketed", KlMultiplierSearch::kBracketed},
     {"dual_ascent", KlMultiplierSearch::kDualAscent}}};
const std::array<std::pair<std::string, DualStepRule>, 3> kRules{
    {{"fixed", DualStepRule::kFixed},
     {"backtracking", DualStepRule::kBacktracking},
     {"secant", DualStepRule::kSecant}}};

/// Secant and bisection on y(x) = log(KL / bound), x = log lambda, which falls from +infinity where
/// Quu loses its definiteness (or from y(lambda_min)) to -infinity, about as -2 x.
class Search {
 public:
  Search(KlLqrPass& pass, double bound, const KlConstrainedOptions& options)
      : pass_(pass),
        bound_(bound),
        options_(options),
        low_(std::log(options.lambda_min)),
        limit_(std::log(options.lambda_max)) {}

  KlConstrainedResult Run() {
    Evaluate(options_.lambda_min, 2 * bound_);
    if (y_ <= std::log1p(options_.tolerance)) return Finish(KlConstrainedStatus::kInactive);
    double x = std::clamp(std::log(options_.first_lambda), low_, limit_);
    while (result_.passes < options_.max_passes) {
      Evaluate(std::exp(x));
      if (std::abs(std::expm1(y_)) <= options_.tolerance) {
        return Finish(KlConstrainedStatus::kConverged);
      }
      if (y_ > 0 && x >= limit_) return Finish(Unreachable());
      Tighten(x);
      x = Next();
    }
    return Finish(KlConstrainedStatus::kPasses);
  }

 private:
  struct Point {
    double x = 0;
    double y = 0;
  };

  void Evaluate(double lambda, double enough = kInfinity) {
    result_.lambda = lambda;
    const KlLqrEvaluation evaluation =
        pass_.Evaluate(result_.lambda, options_.entropy_weight, enough);
    ++result_.passes;
    status_ = evaluation.status;
    result_.kl = evaluation.kl;
    result_.cost_change = evaluation.cost_change;
    result_.failed_step = pass_.failed_step();
    y_ = status_ == BackwardStatus::kOk ? std::log(evaluation.kl / bound_) : kInfinity;
  }

  void Tighten(double x) {
    (y_ > 0 ? low_ : high_) = x;
    slow_ = std::abs(y_) > 0.5 * std::abs(newest_.y);
    older_ = newest_;
    newest_ = {x, y_};
  }

  // Where the line through the last two points, or one of slope -2 through the last, meets 0; kept
  // inside the bracket, its middle when that does not converge.
  [[nodiscard]] double Next() const {
    constexpr double kLargestStep = 9.2;  // a factor of 1e4
    const bool bracketed = high_ < kInfinity;
    if (!std::isfinite(newest_.y)) {
      return bracketed ? 0.5 * (low_ + high_) : std::min(limit_, newest_.x + kStepWhenIndefinite);
    }
    double slope = (newest_.y - older_.y) / (newest_.x - older_.x);
    if (!std::isfinite(older_.y) || !(slope < -1e-3)) slope = -2;
    double step = -newest_.y / slope;
    if (!bracketed) {
      return std::min(limit_, newest_.x + std::clamp(step, 1e-3, kLargestStep));
    }
    const double x = newest_.x + step;
    const bool inside = x > low_ && x < high_;
    return inside && !(slow_ && std::isfinite(older_.y)) ? x : 0.5 * (low_ + high_);
  }

  [[nodiscard]] KlConstrainedStatus Unreachable() const {
    if (status_ == BackwardStatus::kIndefinite) return KlConstrainedStatus::kIndefinite;
    if (status_ == BackwardStatus::kNotFinite) return KlConstrainedStatus::kNotFinite;
    return KlConstrainedStatus::kNotReached;
  }

  KlConstrainedResult Finish(KlConstrainedStatus status) {
    result_.status = status;
    return result_;
  }

  static constexpr double kStepWhenIndefinite = 2.3;  // a factor of 10

  KlLqrPass& pass_;
  const double bound_;
  const KlConstrainedOptions& options_;
  KlConstrainedResult result_;
  BackwardStatus status_ = BackwardStatus::kOk;  // of the last evaluation
  double y_ = 0;                                 // there
  double low_, high_ = kInfinity;                // y > 0 at low_, y < 0 at high_
  double limit_;
  Point older_{0, kInfinity}, newest_{0, kInfinity};
  bool slow_ = false;  // the last step did not halve |y|
};

/// One multiplier per time step. The dual g(lambda) is concave, its derivatives are KL_t - bound.
/// As KL_t is about proportional to lambda_t^-2, the step
///   log lambda_t += 1/2 log(KL_t / bound)
/// is Newton's with the other multipliers held; it ascends, and is halved until g rises enough.
class StepwiseSearch {
 public:
  StepwiseSearch(KlLqrPass& pass, double bound, const KlConstrainedOptions& options)
      : pass_(pass),
        bound_(bound),
        options_(options),
        point_(static_cast<size_t>(pass.horizon())),
        next_(point_) {}

  KlConstrainedResult Run() {
    if (Evaluate(next_, options_.lambda_min) && Worst(next_) <= 0) {
      return Finish(KlConstrainedStatus::kInactive);
    }
    double lambda = std::max(options_.lambda_min, options_.first_lambda);
    while (!Evaluate(point_, lambda)) {
      lambda *= kRaiseWhenIndefinite;
      if (lambda > options_.lambda_max) return Finish(KlConstrainedStatus::kIndefinite);
    }
    while (!(Worst(point_) <= 0)) {
      if (!Ascend()) return Finish(KlConstrainedStatus::kPasses);
      std::swap(point_, next_);
    }
    return Finish(KlConstrainedStatus::kConverged);
  }

 private:
  struct Point {
    explicit Point(size_t horizon) : lambda(horizon), excess(horizon) {}
    std::vector<double> lambda;
    std::vector<double> excess;  // log(KL_t / bound)
    double dual = 0;
  };

  bool Evaluate(Point& point, double lambda) {
    std::ranges::fill(point.lambda, lambda);
    return Evaluate(point);
  }

  bool Evaluate(Point& point) {
    const KlLqrEvaluation evaluation = pass_.EvaluateEach(point.lambda, options_.entropy_weight);
    ++result_.passes;
    result_.kl = evaluation.kl;
    result_.cost_change = evaluation.cost_change;
    result_.failed_step = pass_.failed_step();
    if (evaluation.status != BackwardStatus::kOk) return false;
    // g = E[cost] - nu H + sum_t lambda_t (KL_t - bound)
    point.dual = evaluation.cost_change - options_.entropy_weight * evaluation.entropy_change;
    for (size_t t = 0; t < point.lambda.size(); ++t) {
      const double kl = pass_.kl_per_step()[t];
      point.dual += point.lambda[t] * (kl - bound_);
      point.excess[t] = std::log(kl / bound_);
    }
    return true;
  }

  /// How far the worst step is from its bound, beyond the tolerance.
  [[nodiscard]] double Worst(const Point& point) const {
    double worst = -kInfinity;
    for (size_t t = 0; t < point.lambda.size(); ++t) {
      const double y = point.excess[t];
      worst = MaxOrNan(worst, y - std::log1p(options_.tolerance));
      if (point.lambda[t] > options_.lambda_min) {
        worst = MaxOrNan(worst, std::log1p(-options_.tolerance) - y);
      }
    }
    return worst;
  }

  /// From point_ to next_. False when passes run out.
  bool Ascend() {
    for (double length = 1; result_.passes < options_.max_passes; length *= 0.5) {
      double rise = 0;  // to first order
      for (size_t t = 0; t < point_.lambda.size(); ++t) {
        const double y = point_.excess[t];
        const double step = std::clamp(0.5 * length * y, -kLargestStep, kLargestStep);
        next_.lambda[t] =
            std::clamp(point_.lambda[t] * std::exp(step), options_.lambda_min, options_.lambda_max);
        rise += bound_ * std::expm1(y) * (next_.lambda[t] - point_.lambda[t]);
      }
      if (!Evaluate(next_)) continue;
      if (next_.dual >= point_.dual + 1e-4 * rise || Worst(next_) < Worst(point_)) return true;
    }
    return false;
  }

  KlConstrainedResult Finish(KlConstrainedStatus status) {
    result_.status = status;
    for (const double lambda : pass_.multipliers()) result_.lambda += lambda / pass_.horizon();
    return result_;
  }

  static constexpr double kRaiseWhenIndefinite = 10;
  static constexpr double kLargestStep = 4.6;  // a factor of 100

  KlLqrPass& pass_;
  const double bound_;  // of a step
  const KlConstrainedOptions& options_;
  KlConstrainedResult result_;
  Point point_, next_;
};

}  // namespace

void KlConstrainedOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("entropy_weight", entropy_weight, {0, 1e12}, "nu, added -nu H [cost]");
  visitor.Field("tolerance", tolerance, {1e-12, 0.5}, "KL accepted within this share of the bound");
  visitor.Field("lambda_min", lambda_min, {1e-300, 1e12}, "least multiplier of the KL bound");
  visitor.Field("lambda_max", lambda_max, {1, 1e300}, "largest multiplier of the KL bound");
  visitor.Field("first_lambda", first_lambda, {1e-300, 1e300}, "where the first search starts");
  visitor.Field("max_passes", max_passes, {2, 1e6}, "backward passes of one bracketed search");
  visitor.Field("per_step", per_step, "one bound, KL / horizon, and one multiplier per time step");
  visitor.Choice("search", search, kSearches, "how the multiplier is found");
  visitor.Choice("ascent_rule", ascent.rule, kRules, "step rule of dual_ascent");
  visitor.Field("ascent_step", ascent.step, {1e-12, 1e12}, "alpha of dual_ascent");
  visitor.Field("ascent_passes", ascent.max_minimisations, {1, 1e9}, "backward passes of it");
}

const char* Describe(KlConstrainedStatus status) {
  switch (status) {
    case KlConstrainedStatus::kConverged:
      return "converged";
    case KlConstrainedStatus::kInactive:
      return "bound inactive";
    case KlConstrainedStatus::kIndefinite:
      return "Quu is not positive definite";
    case KlConstrainedStatus::kNotFinite:
      return "numbers are not finite";
    case KlConstrainedStatus::kNotReached:
      return "KL exceeds the bound at lambda_max";
    case KlConstrainedStatus::kPasses:
      return "out of passes";
    case KlConstrainedStatus::kStalled:
      return "dual ascent stalled";
  }
  return "";
}

KlConstrainedResult KlConstrainedLqr::Solve(double kl_bound, const KlConstrainedOptions& options) {
  if (!(kl_bound > 0) || !std::isfinite(kl_bound)) {
    throw InputError(
        fmt::format("KL-constrained LQR: bound: found {}, expected a number > 0", kl_bound));
  }
  if (options.search == KlMultiplierSearch::kDualAscent) {
    if (options.per_step) {
      throw InputError(
          "KL-constrained LQR: per_step: found search = dual_ascent, expected bracketed");
    }
    return SolveByDualAscent(kl_bound, options);
  }
  if (options.per_step) return StepwiseSearch(*this, kl_bound / horizon(), options).Run();
  return Search(*this, kl_bound, options).Run();
}

// x = argmin L(x, lambda) by one backward pass, C = KL - bound.
KlConstrainedResult KlConstrainedLqr::SolveByDualAscent(double kl_bound,
                                                        const KlConstrainedOptions& options) {
  KlConstrainedResult result;
  const auto minimise = [&](std::span<const double> multipliers, std::span<double> constraints,
                            double& dual) {
    const double lambda = multipliers[0];
    const KlLqrEvaluation evaluation = Evaluate(lambda, options.entropy_weight);
    constraints[0] = evaluation.kl - kl_bound;
    dual = evaluation.cost_change - options.entropy_weight * evaluation.entropy_change +
           lambda * constraints[0];
    result.failed_step = failed_step();
    return evaluation.status == BackwardStatus::kOk;
  };
  const DualConstraint constraint{.tolerance = options.tolerance * kl_bound,
                                  .floor = options.lambda_min};
  const DualAscentResult ascent =
      AscendDual(minimise, {&constraint, 1}, {&options.first_lambda, 1}, options.ascent);
  result.passes = ascent.minimisations;
  result.lambda = ascent.multipliers[0];
  switch (ascent.status) {
    case DualAscentStatus::kConverged:
      result.status = ascent.constraints[0] < -constraint.tolerance
                          ? KlConstrainedStatus::kInactive
                          : KlConstrainedStatus::kConverged;
      break;
    case DualAscentStatus::kMinimisations:
      result.status = KlConstrainedStatus::kPasses;
      break;
    case DualAscentStatus::kUnbounded:
      result.status = KlConstrainedStatus::kIndefinite;
      break;
    case DualAscentStatus::kStalled:
      result.status = KlConstrainedStatus::kStalled;
      break;
  }
  const KlLqrEvaluation last = Evaluate(result.lambda, options.entropy_weight);
  result.kl = last.kl;
  result.cost_change = last.cost_change;
  return result;
}

}  // namespace foreplan
