#include "foreplan/models/model_error.h"

#include <cmath>
#include <vector>

namespace foreplan {
namespace {

constexpr double kNormal95 = 1.6448536269514722;  // 95 % quantile of the standard normal

// Sums over rows and components.
struct Sums {
  double squared_error = 0;
  double covered = 0;
  double epistemic = 0;
  int64_t count = 0;
};

}  // namespace

ModelJudge::ModelJudge(const Ensemble& ensemble)
    : ensemble_(ensemble), workspace_(ensemble.MakeWorkspace(1)) {}

ModelError ModelJudge::Judge(const Dataset& data, int64_t first, int64_t last) {
  const auto targets = static_cast<size_t>(ensemble_.observation_dim());
  const auto members = static_cast<size_t>(ensemble_.members());
  const Normaliser& scale = ensemble_.target_normaliser();
  std::vector<double> target(targets);
  std::vector<double> mean(members * targets);
  std::vector<double> deviation(members * targets);
  Sums sums;
  for (int64_t row = first; row < last; ++row) {
    const double* observation = data.observation(row).data();
    ensemble_.features().Target(observation, data.next_observation(row).data(), target.data());
    for (size_t member = 0; member < members; ++member) {
      ensemble_.PredictTarget(static_cast<int>(member), 1, observation, data.action(row).data(),
                              mean.data() + member * targets, deviation.data() + member * targets,
                              *workspace_);
    }
    for (size_t i = 0; i < targets; ++i) {
      if (scale.scale[i] <= 1e-6) continue;
      // Moments of the mixture: mean of means; aleatoric = mean of variances, epistemic = variance
      // of means.
      double average = 0;
      double second = 0;
      double aleatoric = 0;
      for (size_t member = 0; member < members; ++member) {
        const double value = mean[member * targets + i];
        average += value / static_cast<double>(members);
        second += value * value / static_cast<double>(members);
        aleatoric += std::pow(deviation[member * targets + i], 2) / static_cast<double>(members);
      }
      const double epistemic = std::max(0.0, second - average * average);
      const double error = target[i] - average;
      sums.squared_error += std::pow(error / scale.scale[i], 2);
      sums.covered += std::abs(error) <= kNormal95 * std::sqrt(aleatoric + epistemic) ? 1 : 0;
      sums.epistemic += epistemic / std::max(aleatoric + epistemic, 1e-300);
      ++sums.count;
    }
  }
  ModelError result;
  result.rows = last - first;
  if (sums.count == 0) return result;
  const auto count = static_cast<double>(sums.count);
  result.one_step_rmse = std::sqrt(sums.squared_error / count);
  result.coverage_90 = sums.covered / count;
  result.epistemic_share = sums.epistemic / count;
  return result;
}

}  // namespace foreplan
