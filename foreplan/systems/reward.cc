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

template <int Size>
std::array<Lanes, Size> LoadRows(const double* rows, int first, int count, Lanes::Mask& valid) {
  std::array<Lanes, Size> entries;
  for (int i = 0; i < Size; ++i) {
    Lanes& entry = entries[static_cast<size_t>(i)];
    entry = Lanes::Load(rows + first * Size + i, Size, count);
    valid &= entry == entry;
  }
  return entries;
}

/// The same for a function that takes several rows at once.
template <typename Function>
  requires Function::kTakesLanes
class RewardOf<Function> final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    constexpr int no = Function::kObservationDim;
    constexpr int nu = Function::kActionDim;
    constexpr Function function;
    const Lanes nan = std::numeric_limits<double>::quiet_NaN();
    for (int row = 0; row < batch.rows; row += kLanes) {
      const int count = std::min(kLanes, batch.rows - row);
      Lanes::Mask valid = Lanes(0.0) == Lanes(0.0);
      const auto observation = LoadRows<no>(batch.observation, row, count, valid);
      const auto action = LoadRows<nu>(batch.action, row, count, valid);
      const auto next = LoadRows<no>(batch.next_observation, row, count, valid);
      const Lanes value = function(observation.data(), action.data(), next.data());
      Lanes::Select(valid, value, nan).Store(reward + row, 1, count);
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
