#include "foreplan/planners/cem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"

namespace foreplan {

void CemOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {2, 1000000}, "candidates per iteration");
  visitor.Field("elites", elites, {1, 1000000}, "candidates that shape the next iteration");
  visitor.Field("iterations", iterations, {1, 1000}, "iterations per decision");
  visitor.Field("momentum", momentum, {0, 1}, "share of the old mean and variance that stays");
  visitor.Field("epsilon", epsilon, {0, 1e300},
                "stop when no variance is above it [action units squared]");
}

Cem::Cem(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.cem", options)),
      population_(problem, options_, options_.population),
      variance_(population_.sequence_size()),
      deviation_(population_.sequence_size()),
      elite_mean_(population_.sequence_size()),
      elite_variance_(population_.sequence_size()) {
  if (options_.elites > options_.population) {
    throw InputError(fmt::format("planner.cem: elites: found {}, expected at most population = {}",
                                 options_.elites, options_.population));
  }
  ResetVariance();
  const double initial = *std::ranges::max_element(variance_);
  if (options_.epsilon >= initial) {
    throw InputError(
        fmt::format("planner.cem: epsilon: found {}, expected below {}, the initial "
                    "variance (high - low)^2 / 16",
                    options_.epsilon, initial));
  }
  Reset();
  plan_.actions = mean_;
}

void Cem::Reset() {
  mean_.assign(population_.middle().begin(), population_.middle().end());
  warm_step_.Reset();
}

const Plan& Cem::MakePlan(const PlanRequest& request) {
  ShiftMean(warm_step_.MoveTo(request.step));
  plan_.actions = mean_;
  SamplingDecision decision(population_, request, plan_);
  ResetVariance();
  while (decision.NextIteration(options_.iterations)) {
    if (*std::ranges::max_element(variance_) <= options_.epsilon) {
      plan_.status = PlanStatus::kConverged;
      break;
    }
    Explore(decision, request.key.Fold(static_cast<uint64_t>(plan_.iterations)));
    UpdateDistribution();
  }
  const Plan& plan = decision.Conclude(mean_);
  mean_ = plan.actions;
  return plan;
}

void Cem::ResetVariance() {
  for (size_t j = 0; j < variance_.size(); ++j) {
    const double width = population_.high()[j] - population_.low()[j];
    variance_[j] = width * width / 16.0;
  }
}

void Cem::Explore(SamplingDecision& decision, Key key) {
  // sigma^2 = min(var, ((m - lo)/2)^2, ((hi - m)/2)^2): two deviations stay within the bounds.
  for (size_t j = 0; j < mean_.size(); ++j) {
    const double below = 0.5 * (mean_[j] - population_.low()[j]);
    const double above = 0.5 * (population_.high()[j] - mean_[j]);
    deviation_[j] = std::min({std::sqrt(variance_[j]), below, above});
  }
  const auto draw = [this](Random& random, int /*worker*/, std::span<double> sequence) {
    random.FillTruncatedNormal(sequence);
    for (size_t j = 0; j < sequence.size(); ++j) {
      sequence[j] = mean_[j] + deviation_[j] * sequence[j];
    }
  };
  decision.Explore(0, options_.population, key, draw);
}

void Cem::UpdateDistribution() {
  const auto elites = population_.Elites(options_.elites);
  if (elites.empty()) return;
  population_.Moments(elites, elite_mean_, elite_variance_);
  const double kept = options_.momentum;
  for (size_t j = 0; j < mean_.size(); ++j) {
    mean_[j] = kept * mean_[j] + (1.0 - kept) * elite_mean_[j];
    variance_[j] = kept * variance_[j] + (1.0 - kept) * elite_variance_[j];
  }
  population_.Clamp(mean_);  // rounding
}

void Cem::ShiftMean(int64_t steps) {
  // Not the repeated last action: near a bound the rule for sigma would leave it no room to move.
  const size_t shift =
      static_cast<size_t>(std::min<int64_t>(steps, horizon())) * population_.action_dim();
  std::copy(mean_.begin() + static_cast<std::ptrdiff_t>(shift), mean_.end(), mean_.begin());
  std::copy_n(population_.middle().begin(), shift,
              mean_.end() - static_cast<std::ptrdiff_t>(shift));
}

}  // namespace foreplan
