#include "foreplan/planners/sampling.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"

namespace foreplan {
namespace {

constexpr double kWorst = -std::numeric_limits<double>::infinity();

void CheckBounds(const SystemSpec& spec, int action_dim) {
  const auto nu = static_cast<size_t>(action_dim);
  if (spec.action_low.size() != nu || spec.action_high.size() != nu) {
    throw InputError(fmt::format("planner: action bounds: found {} lower and {} upper, expected {}",
                                 spec.action_low.size(), spec.action_high.size(), nu));
  }
  for (size_t i = 0; i < nu; ++i) {
    const double low = spec.action_low[i];
    const double high = spec.action_high[i];
    if (std::isfinite(low) && std::isfinite(high) && low < high) continue;
    throw InputError(fmt::format(
        "planner: action bounds of component {}: found [{}, {}], expected finite low < high", i,
        low, high));
  }
}

}  // namespace

void SamplingOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("horizon", horizon, {1, 10000}, "steps imagined");
  visitor.Field("particles", particles, {1, 1000},
                "rollouts per candidate; 1 is used on a deterministic model");
}

Population::Population(const PlanningProblem& problem, const SamplingOptions& options,
                       int max_candidates)
    : action_dim_(static_cast<size_t>(problem.dynamics.action_dim())),
      pool_(problem.pool),
      imagination_(problem.dynamics, problem.reward,
                   {.horizon = options.horizon,
                    .max_candidates = std::max(max_candidates, kFinalists),
                    .particles = options.particles},
                   problem.pool) {
  CheckBounds(problem.spec, problem.dynamics.action_dim());
  for (int t = 0; t < options.horizon; ++t) {
    for (size_t i = 0; i < action_dim_; ++i) {
      low_.push_back(problem.spec.action_low[i]);
      high_.push_back(problem.spec.action_high[i]);
      middle_.push_back(0.5 * (low_.back() + high_.back()));
    }
  }
  const auto candidates = static_cast<size_t>(max_candidates);
  CheckMemory("planner", static_cast<double>(candidates * sequence_size() * sizeof(double)));
  actions_.resize(candidates * sequence_size());
  returns_.resize(candidates);
  order_.resize(candidates);
  finalists_.resize(kFinalists * sequence_size());
}

void Population::Clamp(std::span<double> sequence) const {
  for (size_t j = 0; j < sequence.size(); ++j) {
    sequence[j] = std::clamp(sequence[j], low_[j], high_[j]);
  }
}

double Population::Evaluate(std::span<const double> state, int count, Key key) {
  const auto candidates = static_cast<size_t>(count);
  imagination_.Evaluate(state, std::span(actions_).first(candidates * sequence_size()),
                        key.Fold(kModelStream), std::span(returns_).first(candidates));
  evaluated_ = count;
  return *std::max_element(returns_.begin(), returns_.begin() + count);
}

void Population::Conclude(const PlanRequest& request, std::span<const double> best,
                          std::span<const double> answer, Plan& plan) {
  const std::array<std::span<const double>, kFinalists> finalists = {plan.actions, best, answer};
  std::array<double, kFinalists> returns{};
  for (size_t i = 0; i < finalists.size(); ++i) {
    std::ranges::copy(finalists[i], &finalists_[i * sequence_size()]);
  }
  imagination_.Evaluate(request.state, finalists_, request.key.Fold(kFinalStream), returns);
  const size_t choice =
      std::isfinite(returns.back())
          ? kFinalists - 1
          : static_cast<size_t>(std::ranges::max_element(returns) - returns.begin());
  std::copy_n(&finalists_[choice * sequence_size()], sequence_size(), plan.actions.begin());
  plan.expected_return = returns[choice];
}

std::span<const int> Population::Elites(int wanted) {
  const auto order = std::span(order_).first(static_cast<size_t>(evaluated_));
  std::iota(order.begin(), order.end(), 0);
  const auto valid_end =
      std::partition(order.begin(), order.end(), [&](int c) { return std::isfinite(returns(c)); });
  const auto end = order.begin() + std::min<std::ptrdiff_t>(wanted, valid_end - order.begin());
  std::partial_sort(order.begin(), end, valid_end, [&](int a, int b) {
    return returns(a) != returns(b) ? returns(a) > returns(b) : a < b;
  });
  return {order.begin(), end};
}

void Population::Moments(std::span<const int> members, std::span<double> mean,
                         std::span<double> variance) {
  const double share = 1.0 / static_cast<double>(members.size());
  std::fill(mean.begin(), mean.end(), 0.0);
  std::fill(variance.begin(), variance.end(), 0.0);
  for (const int member : members) {
    const auto sequence = candidate(member);
    for (size_t j = 0; j < sequence.size(); ++j) mean[j] += share * sequence[j];
  }
  for (const int member : members) {
    const auto sequence = candidate(member);
    for (size_t j = 0; j < sequence.size(); ++j) {
      variance[j] += share * (sequence[j] - mean[j]) * (sequence[j] - mean[j]);
    }
  }
}

void ShiftSequence(std::span<double> sequence, size_t nu, int steps) {
  const size_t shift = Size(steps) * nu;
  for (size_t j = 0; j < sequence.size(); ++j) {
    const size_t last = sequence.size() - nu + j % nu;
    sequence[j] = sequence[std::min(j + shift, last)];
  }
}

int64_t WarmStep::MoveTo(int64_t step) {
  const int64_t last = step_.value_or(step);
  if (step < last) {
    throw InputError(
        fmt::format("planner: step: found {}, expected at least {}, that of the last "
                    "plan, as long as there is no Reset",
                    step, last));
  }
  step_ = step;
  return step - last;
}

DecisionClock::DecisionClock(const PlanRequest& request, Plan& plan)
    : start_(std::chrono::steady_clock::now()), request_(request), plan_(plan) {
  plan_.first_step = request.step;
  plan_.status = PlanStatus::kOk;
  plan_.expected_return = plan_.best_return = kWorst;
  plan_.iterations = 0;
  plan_.rollouts = 0;
}

bool DecisionClock::NextIteration(int iterations) {
  if (plan_.iterations >= iterations) return false;
  const std::optional<std::chrono::steady_clock::time_point>& deadline = request_.budget.deadline;
  if (deadline && std::chrono::steady_clock::now() >= *deadline) {
    plan_.status = PlanStatus::kDeadline;
    return false;
  }
  return true;
}

void DecisionClock::Record(int rollouts, double best_return) {
  ++plan_.iterations;
  plan_.rollouts += rollouts;
  if (!std::isfinite(best_return)) return;
  plan_.best_return = best_return;
  any_finite_ = true;
}

const Plan& DecisionClock::Finish() {
  if (plan_.iterations > 0 && !any_finite_) plan_.status = PlanStatus::kAllInvalid;
  plan_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return plan_;
}

}  // namespace foreplan
