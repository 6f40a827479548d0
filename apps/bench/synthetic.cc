#include "apps/bench/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan::apps {
namespace {

constexpr int kRows = 2000;
constexpr int kEpisode = 25;  // transitions between resets

Dataset CartPoleData(CartPole& system) {
  Dataset data(4, 1);
  Random random(Key{7, 0});
  std::array<double, 4> before{};
  std::array<double, 4> after{};
  for (int row = 0; row < kRows; ++row) {
    const int episode = row / kEpisode;
    if (row % kEpisode == 0) system.Reset(Key{7, static_cast<uint64_t>(episode) + 1});
    const std::array action{
        random.Uniform(system.spec().action_low[0], system.spec().action_high[0])};
    system.Observe(before);
    if (system.Step(action) != StepStatus::kOk) continue;
    system.Observe(after);
    data.Add(before, action, after, episode);
  }
  return data;
}

SyntheticTask CartPoleTask(Encoding encoding) {
  CartPoleOptions options;
  options.reset = {ResetOptions::Distribution::kUniform, 2.0, 2.0};
  CartPole system(options);
  return {system.spec(), std::move(encoding), MakeReward("pets_cartpole", 4, 1),
          CartPoleData(system)};
}

constexpr int kCheetahObservations = 18;
constexpr int kCheetahActions = 6;

/// Forward speed minus the cost of the action (Chua et al. 2018).
class HalfCheetahReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    const double* action = batch.action;
    const double* next = batch.next_observation;
    for (int row = 0; row < batch.rows; ++row) {
      // r = o'_0 - 0.1 |u|^2; NaN anywhere in o' is left to the planner's own look at the row
      double squares = 0;
      for (int i = 0; i < kCheetahActions; ++i) squares += action[i] * action[i];
      reward[row] = next[0] - 0.1 * squares;
      terminated[row] = 0;
      action += kCheetahActions;
      next += kCheetahObservations;
    }
  }
};

EnvironmentSpec HalfCheetahSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.05;
  const std::vector<std::string> joints = {"root_x", "root_z", "root_y", "bthigh", "bshin",
                                           "bfoot",  "fthigh", "fshin",  "ffoot"};
  spec.observation = {{"speed", "m/s"}};
  for (size_t i = 1; i < joints.size(); ++i) spec.observation.push_back({joints[i], "rad"});
  for (const std::string& joint : joints) spec.observation.push_back({joint + "_velocity", ""});
  for (size_t i = 3; i < joints.size(); ++i) spec.action.push_back({joints[i], ""});
  spec.action_low.assign(kCheetahActions, -1.0);
  spec.action_high.assign(kCheetahActions, 1.0);
  return spec;
}

/// o' = 0.9 o + 0.3 tanh(A o) + 0.3 B u with fixed random A and B: bounded, smooth, not linear.
Dataset HalfCheetahData() {
  constexpr int no = kCheetahObservations;
  constexpr int nu = kCheetahActions;
  Random random(Key{8, 0});
  std::vector<double> a(static_cast<size_t>(no) * no);
  std::vector<double> b(static_cast<size_t>(no) * nu);
  for (double& entry : a) entry = random.Normal() / std::sqrt(double{no});
  for (double& entry : b) entry = random.Normal() / std::sqrt(double{nu});
  Dataset data(no, nu);
  std::array<double, no> before{};
  std::array<double, no> after{};
  std::array<double, nu> action{};
  for (int row = 0; row < kRows; ++row) {
    if (row % kEpisode == 0) random.FillNormal(before);
    for (double& entry : action) entry = random.Uniform(-1.0, 1.0);
    for (size_t i = 0; i < no; ++i) {
      double state_part = 0;
      double action_part = 0;
      for (size_t j = 0; j < no; ++j) state_part += a[i * no + j] * before[j];
      for (size_t j = 0; j < nu; ++j) action_part += b[i * nu + j] * action[j];
      after[i] = 0.9 * before[i] + 0.3 * std::tanh(state_part) + 0.3 * action_part;
    }
    data.Add(before, action, after, row / kEpisode);
    before = after;
  }
  return data;
}

}  // namespace

SyntheticTask SyntheticCartPole() {
  Encoding encoding;
  encoding.sin_cos = {"hinge"};
  return CartPoleTask(encoding);
}

SyntheticTask SyntheticCartPoleRaw() { return CartPoleTask({}); }

SyntheticTask SyntheticHalfCheetah() {
  SyntheticTask task = SyntheticHalfCheetahRaw();
  task.encoding.sin_cos = {"root_y"};
  task.encoding.omit = {"speed"};
  task.encoding.absolute = {"speed"};
  return task;
}

SyntheticTask SyntheticHalfCheetahRaw() {
  return {HalfCheetahSpec(), {}, std::make_unique<HalfCheetahReward>(), HalfCheetahData()};
}

SyntheticTask SyntheticGymnasiumCheetah() {
  SyntheticTask task = SyntheticHalfCheetahRaw();
  task.reward = nullptr;
  task.spec.observation.erase(task.spec.observation.begin());
  Dataset data(kCheetahObservations - 1, kCheetahActions);
  for (int64_t row = 0; row < task.data.size(); ++row) {
    data.Add(task.data.observation(row).subspan(1), task.data.action(row),
             task.data.next_observation(row).subspan(1), task.data.episode(row));
  }
  task.data = std::move(data);
  return task;
}

std::shared_ptr<const Ensemble> FitShortly(const EnsembleOptions& options,
                                           const SyntheticTask& task,
                                           std::shared_ptr<Executor> executor) {
  FitOptions fit;
  fit.min_steps = 100;
  fit.max_steps = 100;
  EnsembleTrainer trainer(
      std::make_shared<const Ensemble>(task.spec, task.encoding, options, Key{1, 0}), fit,
      std::move(executor));
  trainer.Fit(task.data, Key{9, 0});
  return trainer.ensemble();
}

}  // namespace foreplan::apps
