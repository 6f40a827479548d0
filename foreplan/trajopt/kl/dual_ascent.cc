#include "foreplan/trajopt/kl/dual_ascent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

/// The state of one ascent.
class Ascent {
 public:
  Ascent(const LagrangianMinimiser& minimise, std::span<const DualConstraint> constraints,
         std::span<const double> start, const DualAscentOptions& options)
      : minimise_(minimise), constraints_(constraints), options_(options), alpha_(options.step) {
    result_.multipliers.assign(start.begin(), start.end());
    result_.constraints.resize(start.size());
    for (size_t i = 0; i < start.size(); ++i) {
      result_.multipliers[i] = std::max(start[i], constraints[i].floor);
    }
    trial_ = result_;
  }

  DualAscentResult Run() {
    if (!Minimise(result_)) return Finish(DualAscentStatus::kUnbounded);
    while (!Converged()) {
      if (count_ >= options_.max_minimisations) return Finish(Exhausted());
      switch (options_.rule) {
        case DualStepRule::kFixed:
          if (!Move(options_.step)) return Finish(DualAscentStatus::kStalled);
          if (!Minimise(trial_)) return Finish(DualAscentStatus::kUnbounded);
          break;
        case DualStepRule::kBacktracking:
          if (!Backtrack()) return Finish(Exhausted());
          break;
        case DualStepRule::kSecant:
          if (!Move(SecantStep())) return Finish(DualAscentStatus::kStalled);
          if (!Minimise(trial_)) return Finish(DualAscentStatus::kUnbounded);
          break;
      }
      previous_ = result_;
      result_ = trial_;
    }
    return Finish(DualAscentStatus::kConverged);
  }

 private:
  bool Minimise(DualAscentResult& at) {
    ++count_;
    const bool bounded = minimise_(at.multipliers, at.constraints, at.dual);
    return bounded && std::isfinite(at.dual) && AllFinite(at.constraints);
  }

  [[nodiscard]] bool Converged() const {
    for (size_t i = 0; i < constraints_.size(); ++i) {
      const auto [tolerance, floor] = constraints_[i];
      const double C = result_.constraints[i];
      const bool slack = C <= tolerance && result_.multipliers[i] <= floor;
      if (!slack && !(std::abs(C) <= tolerance)) return false;
    }
    return true;
  }

  // trial <- max(floor, lambda + alpha C); false when nothing moves.
  bool Move(double alpha) {
    bool moved = false;
    for (size_t i = 0; i < constraints_.size(); ++i) {
      const double from = result_.multipliers[i];
      const double to = std::max(constraints_[i].floor, from + alpha * result_.constraints[i]);
      moved = moved || to != from;
      trial_.multipliers[i] = to;
    }
    return moved;
  }

  // Rises: g(trial) >= g + 1e-4 C'd, d = trial - lambda; or C(trial)'d >= 0, which says the same of
  // a concave dual and still does where the rise drowns in the rounding of g.
  bool Backtrack() {
    constexpr double kArmijo = 1e-4;
    for (alpha_ *= 2; Move(alpha_); alpha_ /= 2) {
      if (count_ >= options_.max_minimisations) return false;
      if (!Minimise(trial_)) continue;
      double rise = 0;
      double rise_there = 0;
      for (size_t i = 0; i < constraints_.size(); ++i) {
        const double d = trial_.multipliers[i] - result_.multipliers[i];
        rise += result_.constraints[i] * d;
        rise_there += trial_.constraints[i] * d;
      }
      if (trial_.dual - result_.dual >= kArmijo * rise || rise_there >= 0) return true;
    }
    return false;
  }

  // alpha = -(lambda - lambda') / (C - C'); the dual is concave, so a slope that is not negative
  // is rounding, and the first step has none.
  [[nodiscard]] double SecantStep() const {
    if (previous_.multipliers.empty()) return options_.step;
    const double change = result_.multipliers[0] - previous_.multipliers[0];
    const double slope = (result_.constraints[0] - previous_.constraints[0]) / change;
    return slope < 0 ? -1 / slope : options_.step;
  }

  [[nodiscard]] DualAscentStatus Exhausted() const {
    return count_ >= options_.max_minimisations ? DualAscentStatus::kMinimisations
                                                : DualAscentStatus::kStalled;
  }

  DualAscentResult Finish(DualAscentStatus status) {
    result_.status = status;
    result_.minimisations = count_;
    return result_;
  }

  const LagrangianMinimiser& minimise_;
  std::span<const DualConstraint> constraints_;
  const DualAscentOptions& options_;
  double alpha_;
  int count_ = 0;
  DualAscentResult previous_, result_, trial_;
};

}  // namespace

DualAscentResult AscendDual(const LagrangianMinimiser& minimise,
                            std::span<const DualConstraint> constraints,
                            std::span<const double> start, const DualAscentOptions& options) {
  if (start.size() != constraints.size() || start.empty()) {
    throw InputError(fmt::format("dual ascent: found {} multipliers, expected {}", start.size(),
                                 std::max<size_t>(1, constraints.size())));
  }
  if (options.rule == DualStepRule::kSecant && start.size() > 1) {
    throw InputError(fmt::format(
        "dual ascent: found the secant rule with {} multipliers, expected 1", start.size()));
  }
  return Ascent(minimise, constraints, start, options).Run();
}

}  // namespace foreplan
