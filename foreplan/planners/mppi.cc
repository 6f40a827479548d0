#include "foreplan/planners/mppi.h"

#include <algorithm>
#include <cmath>

namespace foreplan {

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
      costs_(static_cast<size_t>(options_.population)),
      weights_(static_cast<size_t>(options_.population)),
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

void Mppi::Reset() { nominal_.assign(population_.middle().begin(), population_.middle().end()); }

const Plan& Mppi::MakePlan(std::span<const double> state, Key key, const Budget& budget) {
  Decision decision(budget, plan_);
  while (decision.NextIteration(options_.iterations)) {
    const Key iteration_key = key.Fold(static_cast<uint64_t>(plan_.iterations));
    DrawCandidates(iteration_key);
    decision.Record(options_.population,
                    population_.Evaluate(state, options_.population, iteration_key));
    ComputeWeights();
    UpdateNominal();
  }
  plan_.actions = nominal_;
  ShiftSequence(nominal_, population_.action_dim());
  return decision.Finish();
}

void Mppi::DrawCandidates(Key key) {
  const auto draw = [this](Random& random, int worker, std::span<double> sequence) {
    noise_.Fill(random, population_.action_dim(), sequence, scratch_[static_cast<size_t>(worker)]);
    for (size_t j = 0; j < sequence.size(); ++j) {
      sequence[j] = nominal_[j] + deviation_[j] * sequence[j];
    }
  };
  population_.Draw(0, options_.population, key, draw);
}

void Mppi::ComputeWeights() {
  // S = -R + lambda sum_t u_t' Sigma^-1 (v_t - u_t), u nominal and v the clamped candidate
  for (size_t k = 0; k < costs_.size(); ++k) {
    const auto sequence = population_.candidate(static_cast<int>(k));
    double control_cost = 0;
    for (size_t j = 0; j < sequence.size(); ++j) {
      control_cost += nominal_[j] * precision_[j] * (sequence[j] - nominal_[j]);
    }
    costs_[k] = -population_.returns(static_cast<int>(k));
    if (options_.control_cost) costs_[k] += options_.lambda * control_cost;
  }
  // w = exp(-(S - min S) / lambda) / sum; a candidate that is not finite has cost infinity: w = 0.
  const double least = *std::ranges::min_element(costs_);
  double sum = 0;
  for (size_t k = 0; k < costs_.size(); ++k) {
    weights_[k] = std::isfinite(costs_[k]) ? std::exp(-(costs_[k] - least) / options_.lambda) : 0.0;
    sum += weights_[k];
  }
  if (sum > 0) {
    for (double& weight : weights_) weight /= sum;
  }
}

void Mppi::UpdateNominal() {
  // u <- u + sum_k w_k (v_k - u)
  std::ranges::fill(update_, 0.0);
  for (size_t k = 0; k < weights_.size(); ++k) {
    if (weights_[k] == 0) continue;
    const auto sequence = population_.candidate(static_cast<int>(k));
    for (size_t j = 0; j < sequence.size(); ++j) {
      update_[j] += weights_[k] * (sequence[j] - nominal_[j]);
    }
  }
  for (size_t j = 0; j < nominal_.size(); ++j) nominal_[j] += update_[j];
  population_.Clamp(nominal_);  // rounding
}

}  // namespace foreplan
