#include "foreplan/planners/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/core/size.h"
#include "foreplan/planners/policy_proposal.h"

namespace foreplan {
namespace {

constexpr uint64_t kComparisonStream = uint64_t{1}
                                       << 32;  // of a decision's key; past all iterations
constexpr double kWorst = -std::numeric_limits<double>::infinity();

void CheckBounds(const ActionBounds& bounds, int action_dim) {
  const auto nu = static_cast<size_t>(action_dim);
  if (bounds.low.size() != nu || bounds.high.size() != nu) {
    throw InputError(fmt::format("planner: action bounds: found {} lower and {} upper, expected {}",
                                 bounds.low.size(), bounds.high.size(), nu));
  }
  for (size_t i = 0; i < nu; ++i) {
    const double low = bounds.low[i];
    const double high = bounds.high[i];
    if (std::isfinite(low) && std::isfinite(high) && low < high) continue;
    throw InputError(fmt::format(
        "planner: action bounds of component {}: found [{}, {}], expected finite low < high", i,
        low, high));
  }
}

size_t ActionDim(const PlanningProblem& problem) {
  CheckModelAndReward("planner", problem.dynamics.get(), problem.reward.get());
  return static_cast<size_t>(problem.dynamics->action_dim());
}

}  // namespace

void SamplingOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("horizon", horizon, {1, 10000}, "steps imagined");
  visitor.Field("particles", particles, {1, 1000},
                "rollouts per candidate; 1 is used on a deterministic model");
}

Population::Population(const PlanningProblem& problem, const SamplingOptions& options,
                       int max_candidates, Imagined imagined)
    : action_dim_(ActionDim(problem)),
      executor_(problem.executor),
      imagination_(problem.dynamics, problem.reward,
                   {.horizon = options.horizon,
                    .max_candidates = std::max(max_candidates, kCompared),
                    .particles = options.particles,
                    .expected = imagined == Imagined::kExpected},
                   problem.executor, problem.terminal_value) {
  CheckBounds(problem.bounds, problem.dynamics->action_dim());
  for (int t = 0; t < options.horizon; ++t) {
    for (size_t i = 0; i < action_dim_; ++i) {
      low_.push_back(problem.bounds.low[i]);
      high_.push_back(problem.bounds.high[i]);
      middle_.push_back(0.5 * (low_.back() + high_.back()));
    }
  }
  const auto candidates = static_cast<size_t>(max_candidates);
  CheckMemory("planner", static_cast<double>(candidates * sequence_size() * sizeof(double)));
  actions_.resize(candidates * sequence_size());
  returns_.resize(candidates);
  order_.resize(candidates);
  best_.resize(sequence_size());
  compared_.resize(kCompared * sequence_size());
}

void Population::Clamp(std::span<double> sequence) const {
  for (size_t j = 0; j < sequence.size(); ++j) {
    sequence[j] = std::clamp(sequence[j], low_[j], high_[j]);
  }
}

int Population::Propose(PolicyProposal* proposal, std::span<const double> state, int first,
                        int count) {
  if (proposal == nullptr || first >= count) return first;
  const int room = std::max(1, (count - first) / 2);
  const auto places = std::span(actions_).subspan(static_cast<size_t>(first) * sequence_size(),
                                                  static_cast<size_t>(room) * sequence_size());
  const int proposed = proposal->Propose(state, horizon(), places);
  if (proposed < 1 || proposed > room) {
    throw InputError(
        fmt::format("planner: proposal: found {} sequences, expected 1 ... {}", proposed, room));
  }
  for (int c = first; c < first + proposed; ++c) {
    const std::span<double> sequence = candidate(c);
    for (size_t j = 0; j < sequence.size(); ++j) {
      if (std::isnan(sequence[j])) sequence[j] = middle_[j];
    }
    Clamp(sequence);
  }
  return first + proposed;
}

bool Population::Evaluate(std::span<const double> state, int first, int count, Key key,
                          const Cutoff& cutoff) {
  const auto begin = static_cast<size_t>(first);
  const auto candidates = static_cast<size_t>(count - first);
  const bool done = imagination_.Evaluate(
      state, std::span(actions_).subspan(begin * sequence_size(), candidates * sequence_size()),
      key.Fold(kModelStream), std::span(returns_).subspan(begin, candidates), cutoff);
  evaluated_ = done ? count : first;
  return done;
}

int Population::NextChunk(int size, Time start, Time deadline, int most) {
  const Time now = std::chrono::steady_clock::now();
  // Half of size (time left / time taken).
  const double affordable = 0.5 * size * std::chrono::duration<double>(deadline - now).count() /
                            std::chrono::duration<double>(now - start).count();
  return affordable > kChunk ? static_cast<int>(std::min<double>(affordable, most)) : kChunk;
}

bool Population::Compare(std::span<const double> state,
                         std::span<const std::span<const double>> sequences, Key key,
                         const Cutoff& cutoff, std::span<double> returns) {
  for (size_t i = 0; i < sequences.size(); ++i) {
    std::ranges::copy(sequences[i], &compared_[i * sequence_size()]);
  }
  return imagination_.Evaluate(state,
                               std::span(compared_).first(sequences.size() * sequence_size()),
                               key.Fold(kModelStream), returns, cutoff);
}

std::span<const int> Population::Elites(int wanted) const {
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

int Population::CopyBest(std::span<double> sequences) const {
  const auto best = Elites(static_cast<int>(sequences.size() / sequence_size()));
  for (size_t i = 0; i < best.size(); ++i) {
    std::copy_n(&actions_[Size(best[i]) * sequence_size()], sequence_size(),
                &sequences[i * sequence_size()]);
  }
  return static_cast<int>(best.size());
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
    : start_(std::chrono::steady_clock::now()),
      cutoff_(request.budget.deadline, request.stop),
      plan_(plan) {
  plan_.first_step = request.step;
  plan_.feedback.reset();
  plan_.status = PlanStatus::kOk;
  plan_.expected_return = plan_.best_return = kWorst;
  plan_.iterations = 0;
  plan_.rollouts = 0;
}

bool DecisionClock::NextIteration(int iterations) {
  if (plan_.iterations >= iterations) return false;
  if (cutoff_.IsReached()) Cut();
  return !is_cut_;
}

void DecisionClock::Record(int rollouts, double best_return) {
  if (rollouts == 0) return;
  ++plan_.iterations;
  plan_.rollouts += rollouts;
  if (!std::isfinite(best_return)) return;
  plan_.best_return = best_return;
  any_finite_ = true;
}

void DecisionClock::Reserve(double seconds) {
  if (!cutoff_.deadline) return;
  *cutoff_.deadline -= std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

double DecisionClock::Seconds() const { return SecondsSince(start_); }

const Plan& DecisionClock::Finish() {
  if (is_cut_) {
    plan_.status = cutoff_.stop.stop_requested() ? PlanStatus::kStopped : PlanStatus::kDeadline;
  }
  if (plan_.iterations > 0 && !any_finite_) plan_.status = PlanStatus::kAllInvalid;
  plan_.seconds = Seconds();
  return plan_;
}

SamplingDecision::SamplingDecision(Population& population, const PlanRequest& request, Plan& plan)
    : population_(population),
      request_(request),
      plan_(plan),
      clock_(request, plan),
      best_(population.best()),
      warm_return_(kWorst) {
  std::ranges::copy(plan.actions, best_.begin());
  population_.Forget();
  if (clock_.cutoff().deadline) ImagineWarmStart();
}

// As often as sequences will be compared at the end, so that it is known how long that takes.
void SamplingDecision::ImagineWarmStart() {
  const std::array<std::span<const double>, Population::kCompared> sequences = {
      plan_.actions, plan_.actions, plan_.actions};
  std::array<double, Population::kCompared> returns = {kWorst, kWorst, kWorst};
  const double start = clock_.Seconds();
  Compare(sequences, returns);
  warm_return_ = returns[0];
  clock_.Reserve(clock_.Seconds() - start);
}

void SamplingDecision::FinishIteration() {
  const auto elites = population_.Elites(1);
  if (elites.empty()) return clock_.Record(population_.evaluated(), kWorst);
  clock_.Record(population_.evaluated(), population_.returns(elites[0]));
  std::ranges::copy(population_.candidate(elites[0]), best_.begin());
}

const Plan& SamplingDecision::Conclude(std::span<const double> answer) {
  if (plan_.iterations > 0) {
    Choose(answer);
  } else {
    plan_.expected_return = warm_return_;
  }
  return clock_.Finish();
}

void SamplingDecision::Compare(std::span<const std::span<const double>> sequences,
                               std::span<double> returns) {
  std::array<double, Population::kCompared> compared{};
  const auto found = std::span(compared).first(sequences.size());
  if (population_.Compare(request_.state, sequences, request_.key.Fold(kComparisonStream),
                          {request_.budget.deadline, request_.stop}, found)) {
    std::ranges::copy(found, returns.begin());
  } else {
    clock_.Cut();
  }
}

void SamplingDecision::Choose(std::span<const double> answer) {
  const std::array<std::span<const double>, Population::kCompared> sequences = {plan_.actions,
                                                                                best_, answer};
  std::array<double, Population::kCompared> returns = {warm_return_, plan_.best_return, kWorst};
  size_t choice = sequences.size() - 1;
  if (!clock_.is_cut()) Compare(std::span(sequences).last(1), std::span(returns).last(1));
  if (!std::isfinite(returns[choice])) {
    Compare(sequences, returns);
    choice = static_cast<size_t>(std::ranges::max_element(returns) - returns.begin());
  }
  plan_.expected_return = returns[choice];
  if (choice > 0) std::ranges::copy(sequences[choice], plan_.actions.begin());
}

}  // namespace foreplan
