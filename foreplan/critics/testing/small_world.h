// A world small enough to know everything about, a policy and critics in it. For tests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/size.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/models/model_version.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/testing/observed_state.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan::testing {

inline EnvironmentSpec SmallSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"v", "m/s"}, {"angle", "rad"}};
  spec.action = {{"force", "N"}, {"turn", "rad/s"}};
  spec.action_low = {-2, -1};
  spec.action_high = {1, 3};
  return spec;
}

/// x' = x + 0.1 v + 0.2 tanh u_0,  v' = v + 0.3 u_0 - 0.2 x sin angle,
/// angle' = angle + 0.1 v + 0.4 u_1, and where asked for noise of constant size.
class SmallModel : public ObservedState<3, 2> {
 public:
  double noise = 0;                                             // deviation
  double nan_below = -std::numeric_limits<double>::infinity();  // x below gives NaN
  double nan_above = std::numeric_limits<double>::infinity();   // and above

  [[nodiscard]] bool is_stochastic() const override { return noise > 0; }
  void Next(const double* o, const double* u, const double* drawn, double* next) const {
    const double cut = Cut(o[0]);
    next[0] = o[0] + 0.1 * o[1] + 0.2 * std::tanh(u[0]) + cut;
    next[1] = o[1] + 0.3 * u[0] - 0.2 * o[0] * std::sin(o[2]);
    next[2] = o[2] + 0.1 * o[1] + 0.4 * u[1];
    if (drawn == nullptr) return;
    for (int i = 0; i < 3; ++i) next[i] += noise * drawn[i];
  }
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      Next(batch.state + 3 * row, batch.action + 2 * row,
           batch.noise == nullptr ? nullptr : batch.noise + 3 * row, batch.next_state + 3 * row);
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double* o = batch.state + 3 * row;
      const double cut = Cut(o[0]);
      const double tanh = std::tanh(batch.action[2 * row]);
      const std::array<double, 9> A = {
          1, 0.1, 0, -0.2 * std::sin(o[2]) + cut, 1, -0.2 * o[0] * std::cos(o[2]), 0, 0.1, 1};
      const std::array<double, 6> B = {0.2 * (1 - tanh * tanh), 0, 0.3, 0, 0, 0.4};
      std::ranges::copy(A, batch.A + 9 * row);
      std::ranges::copy(B, batch.B + 6 * row);
    }
  }
  [[nodiscard]] std::unique_ptr<RolloutTape> MakeTape(int max_rows, int steps) const override;

 private:
  [[nodiscard]] double Cut(double x) const {
    return x < nan_below || x > nan_above ? std::numeric_limits<double>::quiet_NaN() : 0.0;
  }
};

/// Noise of constant size changes no derivative.
class SmallTape final : public RolloutTape {
 public:
  SmallTape(const SmallModel& model, int max_rows, int steps)
      : model_(model), tape_(model, max_rows, steps), workspace_(model.MakeWorkspace(max_rows)) {}
  void Step(const StepBatch& batch) override {
    tape_.Step(batch);
    model_.Step(batch, *workspace_);
  }
  void PullBack(int time, const double* d_next_state, const double* d_next_observation,
                double* d_state, double* d_action) override {
    tape_.PullBack(time, d_next_state, d_next_observation, d_state, d_action);
  }

 private:
  const SmallModel& model_;
  LinearizedTape tape_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
};

inline std::unique_ptr<RolloutTape> SmallModel::MakeTape(int max_rows, int steps) const {
  return std::make_unique<SmallTape>(*this, max_rows, steps);
}

/// r = cos angle' - x'^2 / 2 - u_0^2 / 10 + v u_1 / 5; ends where x' > end_above.
class SmallReward : public Reward {
 public:
  double end_above = std::numeric_limits<double>::infinity();

  static double Of(const double* o, const double* u, const double* next) {
    return std::cos(next[2]) - 0.5 * next[0] * next[0] - 0.1 * u[0] * u[0] + 0.2 * o[1] * u[1];
  }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double* next = batch.next_observation + 3 * row;
      reward[row] = Of(batch.observation + 3 * row, batch.action + 2 * row, next);
      terminated[row] = next[0] > end_above ? 1 : 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double* u = batch.action + 2 * row;
      const double* next = batch.next_observation + 3 * row;
      const std::array<double, 8> of_row = {
          0, 0.2 * u[1],        0, -0.2 * u[0], 0.2 * batch.observation[3 * row + 1], -next[0],
          0, -std::sin(next[2])};
      std::ranges::copy(of_row, gradient + 8 * row);
    }
  }
};

/// Features of the small world's observations: x, v, sine and cosine of the angle.
inline FeatureMap SmallFeatures() {
  EnvironmentSpec spec = SmallSpec();
  spec.action.clear();
  Encoding encoding;
  encoding.sin_cos = {"angle"};
  return FeatureMap(spec, encoding);
}

inline SquashedGaussianPolicy SmallPolicy() {
  const EnvironmentSpec spec = SmallSpec();
  SquashedGaussianPolicy policy(SmallFeatures(), spec.action_low, spec.action_high,
                                {.hidden_layers = 2, .width = 8, .kernel = "eigen"}, Key{3, 0});
  // Off the initial weights, where the network is small, and a normaliser that matters.
  for (float& parameter : policy.parameters()) parameter *= 2;
  Normaliser normaliser(4);
  normaliser.mean = {0.3, -0.2, 0, 0};
  normaliser.scale = {0.7, 1.6, 1, 1};
  policy.Rescale(normaliser);
  return policy;
}

inline CriticOptions SmallCriticOptions() {
  return {.critics = 3, .hidden_layers = 2, .width = 8, .kernel = "eigen"};
}

/// A policy, critics that are not 0 and bounds that are not the critics' units, starts.
struct SmallWorld {
  explicit SmallWorld(int rows, const CriticOptions& options = SmallCriticOptions(),
                      std::shared_ptr<Executor> of_critics = std::make_shared<SerialExecutor>())
      : policy(SmallPolicy()),
        executor(std::move(of_critics)),
        critics(policy.encoder().inputs(), policy.action_dim(), options, rows, Key{4, 0},
                executor) {
    Random random(Key{5, 0});
    for (int k = 0; k < critics.critics(); ++k) {
      for (float& parameter : critics.parameters(k)) {
        parameter = static_cast<float>(0.5 * random.Normal());
      }
    }
    std::vector<double> soft_rewards = {-0.5, 0.25, 1};
    critics.Observe(soft_rewards, 0.75);
    starts.resize(Size(rows, 3));
    for (double& value : starts) value = 0.5 * random.Normal();
  }

  [[nodiscard]] ModelVersion version() const { return {model, reward}; }
  [[nodiscard]] int rows() const { return static_cast<int>(starts.size() / 3); }

  SquashedGaussianPolicy policy;
  std::shared_ptr<Executor> executor;
  CriticEnsemble critics;
  std::shared_ptr<SmallModel> model = std::make_shared<SmallModel>();
  std::shared_ptr<SmallReward> reward = std::make_shared<SmallReward>();
  std::vector<double> starts;  // [rows x 3]
};

/// The critics as a file has them, which `change` may rewrite.
template <typename Change>
void Rewrite(CriticEnsemble& critics, const Change& change) {
  TensorFile file;
  critics.Save("", file);
  change(file);
  critics.Restore("", file);
}

inline std::vector<float>& FloatsOf(TensorFile& file, const std::string& name) {
  return std::get<std::vector<float>>(file.tensors.at(name).values);
}

/// Critics that give these numbers everywhere, in units of the bounds, and targets that give those.
inline void MakeConstant(CriticEnsemble& critics, const std::vector<float>& values,
                         const std::vector<float>& targets) {
  Rewrite(critics, [&](TensorFile& file) {
    const auto count = Size(critics.mlp().parameters());
    for (const auto& [name, constants] :
         {std::pair("parameters", &values), std::pair("targets", &targets)}) {
      std::vector<float>& parameters = FloatsOf(file, name);
      std::ranges::fill(parameters, 0.0F);
      for (size_t k = 0; k < constants->size(); ++k)
        parameters[(k + 1) * count - 1] = (*constants)[k];
    }
  });
}

}  // namespace foreplan::testing
