#include "foreplan/models/model_error.h"

#include <algorithm>
#include <cmath>

#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

constexpr double kNormal95 = 1.6448536269514722;  // 95 % quantile of the standard normal

double RootOfMean(double sum, int64_t count) {
  return count > 0 ? std::sqrt(sum / static_cast<double>(count)) : 0;
}

/// Each row of the stretch begins where the one before ended: no end of an episode, no hole.
bool IsUnbroken(const Dataset& data, int64_t first, int steps) {
  for (int64_t row = first + 1; row < first + steps; ++row) {
    if (!data.continues(row)) return false;
  }
  return true;
}

}  // namespace

ModelJudge::ModelJudge(const LearnedModel& model)
    : model_(model),
      member_mean_(static_cast<size_t>(model.snapshot()->observation_dim())),
      member_deviation_(member_mean_.size()),
      mean_(member_mean_.size()),
      aleatoric_(member_mean_.size()),
      epistemic_(member_mean_.size()),
      observation_(member_mean_.size()) {}

void ModelJudge::Predict(const double* observation, const double* action) {
  std::ranges::fill(mean_, 0.0);
  std::ranges::fill(aleatoric_, 0.0);
  std::ranges::fill(epistemic_, 0.0);
  // Changes, not places, so that their squares keep their digits.
  const double share = 1.0 / model_.members();
  for (int member = 0; member < model_.members(); ++member) {
    model_.Predict(member, 1, observation, action, member_mean_.data(), member_deviation_.data(),
                   *workspace_);
    for (size_t i = 0; i < mean_.size(); ++i) {
      const double change = model_.difference()(i, member_mean_[i], observation[i]);
      mean_[i] += share * change;
      epistemic_[i] += share * change * change;
      aleatoric_[i] += share * member_deviation_[i] * member_deviation_[i];
    }
  }
  for (size_t i = 0; i < mean_.size(); ++i) {
    epistemic_[i] = MaxOrNan(0.0, epistemic_[i] - mean_[i] * mean_[i]);
    mean_[i] += observation[i];
  }
}

ModelError ModelJudge::Judge(const Dataset& data, int64_t first, int64_t last,
                             int open_loop_steps) {
  workspace_ = model_.MakePredictionWorkspace(1);  // of the last fit
  ModelError result{.rows = last - first, .component_rmse = std::vector<double>(mean_.size())};
  double covered = 0;
  double epistemic = 0;
  int64_t components = 0;
  for (int64_t row = first; row < last; ++row) {
    const double* observation = data.observation(row).data();
    Predict(observation, data.action(row).data());
    for (size_t i = 0; i < mean_.size(); ++i) {
      if (model_.scale()[i] == 0) continue;
      const double variance = aleatoric_[i] + epistemic_[i];
      const double error = model_.difference()(i, data.next_observation(row)[i], mean_[i]);
      result.component_rmse[i] += std::pow(error / model_.scale()[i], 2);
      covered += std::abs(error) <= kNormal95 * std::sqrt(variance) ? 1 : 0;
      epistemic += epistemic_[i] / std::max(variance, 1e-300);
      ++components;
    }
  }
  if (components == 0) return result;
  double squares = 0;
  for (double& sum : result.component_rmse) {
    squares += sum;
    sum = RootOfMean(sum, result.rows);
  }
  result.one_step_rmse = RootOfMean(squares, components);
  result.coverage_90 = covered / static_cast<double>(components);
  result.epistemic_share = epistemic / static_cast<double>(components);

  double open_loop = 0;
  for (int64_t row = first; row + open_loop_steps <= last; row += open_loop_steps) {
    if (!IsUnbroken(data, row, open_loop_steps)) continue;
    open_loop += OpenLoopError(data, row, open_loop_steps);
    ++result.open_loop_runs;
  }
  result.open_loop_rmse = RootOfMean(open_loop, result.open_loop_runs * components / result.rows);
  return result;
}

double ModelJudge::OpenLoopError(const Dataset& data, int64_t row, int steps) {
  std::ranges::copy(data.observation(row), observation_.begin());
  for (int step = 0; step < steps; ++step) {
    Predict(observation_.data(), data.action(row + step).data());
    observation_ = mean_;
  }
  const std::span<const double> observed = data.next_observation(row + steps - 1);
  double squares = 0;
  for (size_t i = 0; i < observation_.size(); ++i) {
    if (model_.scale()[i] == 0) continue;
    squares +=
        std::pow(model_.difference()(i, observation_[i], observed[i]) / model_.scale()[i], 2);
  }
  return squares;
}

}  // namespace foreplan
