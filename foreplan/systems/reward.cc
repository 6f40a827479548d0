#include "foreplan/systems/reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/lanes.h"
#include "foreplan/systems/reward_functions.h"

namespace foreplan {
namespace {

template <int Size>
bool HoldsNan(const double* values) {
  return std::any_of(values, values + Size, [](double value) { return std::isnan(value); });
}

/// Runs a reward function over the rows of a batch, one by one.
template <typename Function>
class RewardOf final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    constexpr int no = Function::kObservationDim;
    constexpr int nu = Function::kActionDim;
    constexpr Function function;
    const double* observation = batch.observation;
    const double* action = batch.action;
    const double* next = batch.next_observation;
    for (int row = 0; row < batch.rows; ++row, observation += no, action += nu, next += no) {
      const bool invalid = HoldsNan<no>(observation) || HoldsNan<nu>(action) || HoldsNan<no>(next);
      reward[row] =
          invalid ? std::numeric_limits<double>::quiet_NaN() : function(observation, action, next);
      terminated[row] = function.Terminated(next) ? 1 : 0;
    }
  }
};

/// The entries of `count` rows; `poison` becomes NaN where one is NaN.
template <int Size>
std::array<LanePair, Size> LoadRows(const double* rows, int count, LanePair& poison) {
  std::array<LanePair, Size> entries;
  for (size_t i = 0; i < Size; ++i) {
    entries[i] = LanePair::Load(rows + i, Size, count);
    poison += entries[i] * 0.0;
  }
  return entries;
}

/// The same for a function that takes several rows at once. An infinite entry gives NaN, too.
template <typename Function>
  requires Function::kTakesLanes
class RewardOf<Function> final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    constexpr int no = Function::kObservationDim;
    constexpr int nu = Function::kActionDim;
    constexpr Function function;
    for (int row = 0; row < batch.rows; row += LanePair::kRows) {
      const int count = std::min(LanePair::kRows, batch.rows - row);
      LanePair poison = 0.0;
      const auto observation = LoadRows<no>(batch.observation + row * no, count, poison);
      const auto action = LoadRows<nu>(batch.action + row * nu, count, poison);
      const auto next = LoadRows<no>(batch.next_observation + row * no, count, poison);
      const LanePair value = function(observation.data(), action.data(), next.data());
      (value + poison).Store(reward + row, 1, count);
    }
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
};

template <typename Function>
std::unique_ptr<const Reward> MakeRewardOf(const std::string& name, int observation_dim,
                                           int action_dim) {
  if (observation_dim != Function::kObservationDim || action_dim != Function::kActionDim) {
    throw InputError(fmt::format(
        "reward: '{}' found {} observation and {} action components, expected {} and {}", name,
        observation_dim, action_dim, Function::kObservationDim, Function::kActionDim));
  }
  return std::make_unique<const RewardOf<Function>>();
}

// Every reward, by the name it has in task files.
const std::array kRewards{
    std::pair{"centered_inverted_pendulum", &MakeRewardOf<CenteredInvertedPendulumReward>},
    std::pair{"inverted_pendulum", &MakeRewardOf<InvertedPendulumReward>},
    std::pair{"pendulum", &MakeRewardOf<PendulumReward>},
    std::pair{"pets_cartpole", &MakeRewardOf<PetsCartPoleReward>},
};

}  // namespace

std::unique_ptr<const Reward> MakeReward(const std::string& name, int observation_dim,
                                         int action_dim) {
  for (const auto& [known, make] : kRewards) {
    if (name == known) return make(name, observation_dim, action_dim);
  }
  throw UnknownName("reward", "reward", name, RewardNames());
}

std::vector<std::string> RewardNames() {
  std::vector<std::string> names;
  names.reserve(kRewards.size());
  for (const auto& [name, make] : kRewards) names.emplace_back(name);
  return names;
}

}  // namespace foreplan
