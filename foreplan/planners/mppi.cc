#include "foreplan/planners/mppi.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "foreplan/core/lanes.h"
#include "foreplan/core/validated.h"

namespace foreplan {
namespace {

/// sum_j g_j (v_j - u_j), in an order that vector code can keep.
double WeightedDifference(std::span<const double> g, std::span<const double> v,
                          std::span<const double> u) {
  Lanes sums = 0.0;
  size_t j = 0;
  for (; j + kLanes <= g.size(); j += kLanes) {
    sums += Lanes::Load(&g[j], 1) * (Lanes::Load(&v[j], 1) - Lanes::Load(&u[j], 1));
  }
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += sums.v[i];
  for (; j < g.size(); ++j) sum += g[j] * (v[j] - u[j]);
  return sum;
}

// A weight below e^-690 of the best one's is none: it would only slow the sums down with numbers
// that are denormal.
constexpr double kLeastExponent = -690;

/// So that all candidates stand in whole lanes.
size_t RoundedUp(int count) { return static_cast<size_t>((count + kLanes - 1) / kLanes * kLanes); }

}  // namespace

void MppiOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {1, 1000000}, "candidates per iteration");
  visitor.Field("iterations", iterations, {1, 1000}, "iterations per decision");
  visitor.Field("lambda", lambda, {1e-9, 1e9}, "temperature [units of the return]");
  visitor.Field("noise_sigma", noise_sigma, {1e-6, 100},
                "standard deviation of the noise in half ranges");
  visitor.Field("noise_beta", noise_beta, {0, 8}, "the noise's spectrum is 1/f^beta; 0 is white");
  visitor.Field("control_cost", control_cost, "weigh the noise by its importance as well");
}

Mppi::Mppi(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.mppi", options)),
      population_(problem, options_, options_.population),
      noise_(options_.horizon, options_.noise_beta),
      deviation_(population_.sequence_size()),
      precision_(population_.sequence_size()),
      slope_(population_.sequence_size()),
      costs_(RoundedUp(options_.population), std::numeric_limits<double>::infinity()),
      weights_(costs_.size()),
      update_(population_.sequence_size()),
      scratch_(static_cast<size_t>(population_.workers()),
               std::vector<double>(noise_.scratch_size())) {
  for (size_t j = 0; j < deviation_.size(); ++j) {
    const int t = static_cast<int>(j / population_.action_dim());
    deviation_[j] = options_.noise_sigma * 0.5 * (population_.high()[j] - population_.low()[j]);
    precision_[j] = 1.0 / (deviation_[j] * deviation_[j] * noise_.Variance(t));
  }
  Reset();
  plan_.actions = nominal_;
}

void Mppi::Reset() {
  ForgetPlan();
  warm_step_.Reset();
}

void Mppi::ForgetPlan() {
  nominal_.assign(population_.middle().begin(), population_.middle().end());
}

void Mppi::ShiftNominal(int64_t steps) {
  if (steps >= horizon()) return ForgetPlan();
  ShiftSequence(nominal_, population_.action_dim(), static_cast<int>(steps));
}

const Plan& Mppi::MakePlan(const PlanRequest& request) {
  ShiftNominal(warm_step_.MoveTo(request.step));
  plan_.actions = nominal_;
  SamplingDecision decision(population_, request, plan_);
  while (decision.NextIteration(options_.iterations)) {
    Explore(decision, request.key.Fold(static_cast<uint64_t>(plan_.iterations)));
    ComputeWeights();
    UpdateNominal();
  }
  const Plan& plan = decision.Conclude(nominal_);
  nominal_ = plan.actions;
  return plan;
}

void Mppi::Explore(SamplingDecision& decision, Key key) {
  const auto draw = [this](Random& random, int worker, std::span<double> sequence) {
    noise_.Fill(random, population_.action_dim(), sequence, scratch_[static_cast<size_t>(worker)]);
    for (size_t j = 0; j < sequence.size(); ++j) {
      sequence[j] = nominal_[j] + deviation_[j] * sequence[j];
    }
  };
  decision.Explore(0, options_.population, key, draw);
}

void Mppi::ComputeWeights() {
  // S = -R + lambda sum_t (u_t - m)' Sigma^-1 (v_t - u_t), u nominal, v the clamped candidate and m
  // the middle of the range, where the noise of a controller that knows nothing lies
  for (size_t j = 0; j < nominal_.size(); ++j) {
    slope_[j] = (nominal_[j] - population_.middle()[j]) * precision_[j];
  }
  std::ranges::fill(costs_, std::numeric_limits<double>::infinity());
  for (int candidate = 0; candidate < population_.evaluated(); ++candidate) {
    const auto k = static_cast<size_t>(candidate);
    costs_[k] = -population_.returns(candidate);
    if (!options_.control_cost) continue;
    costs_[k] +=
        options_.lambda * WeightedDifference(slope_, population_.candidate(candidate), nominal_);
  }
  // w = exp(-(S - min S) / lambda) / sum; a candidate that is not finite has cost infinity: w = 0.
  const double least = *std::ranges::min_element(costs_);
  for (size_t k = 0; k < costs_.size(); k += kLanes) {
    const Lanes exponent = (Lanes(least) - Lanes::Load(&costs_[k], 1)) / Lanes(options_.lambda);
    const Lanes weight = exp(max(exponent, kLeastExponent));
    Lanes::Select(exponent > kLeastExponent, weight, 0.0).Store(&weights_[k], 1);
  }
  double sum = 0;
  for (const double weight : weights_) sum += weight;
  if (sum > 0) {
    for (double& weight : weights_) weight /= sum;
  }
}

void Mppi::UpdateNominal() {
  // u <- u + sum_k w_k (v_k - u)
  std::ranges::fill(update_, 0.0);
  for (size_t k = 0; k < weights_.size(); ++k) {
    const double weight = weights_[k];
    if (weight == 0) continue;
    const auto sequence = population_.candidate(static_cast<int>(k));
    for (size_t j = 0; j < sequence.size(); ++j) update_[j] += weight * (sequence[j] - nominal_[j]);
  }
  for (size_t j = 0; j < nominal_.size(); ++j) nominal_[j] += update_[j];
  population_.Clamp(nominal_);  // rounding
}

}  // namespace foreplan
