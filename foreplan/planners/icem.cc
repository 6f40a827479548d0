#include "foreplan/planners/icem.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"

namespace foreplan {
namespace {

/// The whole number at or below x >= 0, to which rounding may have added or taken something:
/// 0.29 * 100 is 28.999999999999996.
int WholePart(double x) { return static_cast<int>(x * (1 + 1e-12)); }

}  // namespace

void IcemOptions::Visit(OptionsVisitor& visitor) {
  static const std::array<std::pair<std::string, IcemExecute>, 2> kExecute = {
      {{"mean", IcemExecute::kMean}, {"best", IcemExecute::kBest}}};
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {2, 1000000}, "candidates of the first iteration");
  visitor.Field("decay", decay, {1, 100}, "population / decay^i in iteration i");
  visitor.Field("iterations", iterations, {1, 1000}, "iterations per decision");
  visitor.Field("elites", elites, {1, 1000000}, "candidates that shape the next iteration");
  visitor.Field("keep_fraction", keep_fraction, {0, 1}, "share of the elites that competes again");
  visitor.Field("noise_beta", noise_beta, {0, 8}, "the noise's spectrum is 1/f^beta; 0 is white");
  visitor.Field("sigma0", sigma0, {1e-6, 100},
                "initial deviation in half ranges, in the scale of the published noise generator");
  visitor.Field("momentum", momentum, {0, 1}, "share of the old mean and deviation that stays");
  visitor.Choice("execute", execute, std::span<const std::pair<std::string, IcemExecute>>(kExecute),
                 "\"mean\" of the final distribution, or the \"best\" candidate");
}

Icem::Icem(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.icem", options)),
      keep_(WholePart(options_.keep_fraction * options_.elites)),
      population_(problem, options_, std::max(options_.population, 2 * options_.elites) + keep_),
      noise_(options_.horizon, options_.noise_beta),
      deviation_(population_.sequence_size()),
      kept_(static_cast<size_t>(keep_) * population_.sequence_size()),
      elite_mean_(population_.sequence_size()),
      elite_variance_(population_.sequence_size()),
      scratch_(static_cast<size_t>(population_.workers()),
               std::vector<double>(noise_.scratch_size())) {
  if (options_.elites > options_.population) {
    throw InputError(fmt::format("planner.icem: elites: found {}, expected at most population = {}",
                                 options_.elites, options_.population));
  }
  Reset();
}

void Icem::Reset() {
  ForgetPlan();
  warm_step_.Reset();
}

void Icem::ForgetPlan() {
  mean_.assign(population_.middle().begin(), population_.middle().end());
  plan_.actions = mean_;
  kept_count_ = 0;
}

const Plan& Icem::MakePlan(const PlanRequest& request) {
  ShiftWarmStart(warm_step_.MoveTo(request.step));
  SamplingDecision decision(population_, request, plan_);
  ResetDeviation();
  while (decision.NextIteration(options_.iterations)) {
    Explore(decision, request.key.Fold(static_cast<uint64_t>(plan_.iterations)));
    UpdateDistribution();
  }
  const Plan& plan =
      decision.Conclude(options_.execute == IcemExecute::kBest ? decision.best() : mean_);
  if (decision.is_cut()) mean_ = plan.actions;
  return plan;
}

// N_i = max(2 K, N / gamma^i)
int Icem::PopulationSize(int iteration) const {
  const double decayed = options_.population / std::pow(options_.decay, iteration);
  return std::max(2 * options_.elites, WholePart(decayed));
}

void Icem::ResetDeviation() {
  for (size_t j = 0; j < deviation_.size(); ++j) {
    deviation_[j] = options_.sigma0 * 0.5 * (population_.high()[j] - population_.low()[j]);
  }
}

void Icem::Explore(SamplingDecision& decision, Key key) {
  const int iteration = plan_.iterations;
  const int count = kept_count_ + PopulationSize(iteration);
  int next = 0;
  for (; next < kept_count_; ++next)
    std::ranges::copy(kept_elite(next), population_.candidate(next).begin());
  if (iteration == options_.iterations - 1) {
    std::ranges::copy(mean_, population_.candidate(next++).begin());
  }
  // u = clip(mean + deviation * noise)
  const auto draw = [this](Random& random, int worker, std::span<double> sequence) {
    noise_.Fill(random, population_.action_dim(), sequence, scratch_[static_cast<size_t>(worker)]);
    for (size_t j = 0; j < sequence.size(); ++j) {
      sequence[j] = mean_[j] + deviation_[j] * sequence[j];
    }
  };
  decision.Explore(next, count, key, draw);
}

void Icem::UpdateDistribution() {
  const auto elites = population_.Elites(options_.elites);
  if (elites.empty()) return;
  population_.Moments(elites, elite_mean_, elite_variance_);
  const double old = options_.momentum;
  for (size_t j = 0; j < mean_.size(); ++j) {
    mean_[j] = old * mean_[j] + (1.0 - old) * elite_mean_[j];
    deviation_[j] = old * deviation_[j] + (1.0 - old) * std::sqrt(elite_variance_[j]);
  }
  population_.Clamp(mean_);  // rounding
  KeepElites(elites);
}

void Icem::KeepElites(std::span<const int> elites) {
  kept_count_ = std::min(keep_, static_cast<int>(elites.size()));
  for (int i = 0; i < kept_count_; ++i) {
    std::ranges::copy(population_.candidate(elites[static_cast<size_t>(i)]), kept_elite(i).begin());
  }
}

void Icem::ShiftWarmStart(int64_t steps) {
  if (steps >= horizon()) return ForgetPlan();
  const auto shift = [&](std::span<double> sequence) {
    ShiftSequence(sequence, population_.action_dim(), static_cast<int>(steps));
  };
  shift(mean_);
  shift(plan_.actions);
  for (int i = 0; i < kept_count_; ++i) shift(kept_elite(i));
}

std::span<double> Icem::kept_elite(int index) {
  const size_t size = population_.sequence_size();
  return std::span(kept_).subspan(static_cast<size_t>(index) * size, size);
}

}  // namespace foreplan
