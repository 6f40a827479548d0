#include "foreplan/systems/rewards/reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "foreplan/core/dual.h"
#include "foreplan/core/error.h"
#include "foreplan/core/lanes.h"
#include "foreplan/core/registry.h"
#include "foreplan/core/semidefinite.h"
#include "foreplan/systems/rewards/gymnasium_reward_functions.h"
#include "foreplan/systems/rewards/reward_functions.h"
#include "foreplan/systems/row_formulas.h"

namespace foreplan {
namespace {

template <int Size>
bool HoldsNan(const double* values) {
  return std::any_of(values, values + Size, [](double value) { return std::isnan(value); });
}

/// All derivatives in one evaluation, for few variables.
template <typename Function, typename Values>
double ExpandAtOnce(const Values& values, double* gradient, double* hessian) {
  constexpr size_t nz = std::tuple_size_v<Values>;
  constexpr int n = static_cast<int>(nz);
  std::array<SecondDual<n>, nz> z;
  for (size_t i = 0; i < nz; ++i) z[i] = SecondVariable<n>(values[i], static_cast<int>(i));
  constexpr Function function;
  const SecondDual<n> reward =
      function(z.data(), z.data() + Function::kObservationDim,
               z.data() + Function::kObservationDim + Function::kActionDim);
  for (size_t i = 0; i < nz; ++i) {
    gradient[i] = reward.partial[i].value;
    std::ranges::copy(reward.partial[i].partial, hessian + i * nz);
  }
  return reward.value.value;
}

/// Derivatives by one pair of variables after the other, for many: what ExpandAtOnce keeps grows
/// with the cube of their number.
template <typename Function, typename Values>
double ExpandByPairs(const Values& values, double* gradient, double* hessian) {
  constexpr size_t nz = std::tuple_size_v<Values>;
  std::array<SecondDual<1>, nz> z;
  for (size_t i = 0; i < nz; ++i) z[i] = Dual<double, 1>(values[i]);
  constexpr Function function;
  const auto evaluate = [&] {
    return function(z.data(), z.data() + Function::kObservationDim,
                    z.data() + Function::kObservationDim + Function::kActionDim);
  };
  for (size_t i = 0; i < nz; ++i) {
    z[i].partial[0] = 1.0;
    for (size_t j = 0; j <= i; ++j) {
      z[j].value.partial[0] = 1.0;
      const SecondDual<1> reward = evaluate();
      z[j].value.partial[0] = 0.0;
      gradient[i] = reward.partial[0].value;
      hessian[i * nz + j] = hessian[j * nz + i] = reward.partial[0].partial[0];
    }
    z[i].partial[0] = 0.0;
  }
  return evaluate().value.value;
}

/// Value, gradient and Hessian of a reward function by second-order forward differentiation.
template <typename Function>
double ExpandReward(const double* observation, const double* action, const double* next,
                    double* gradient, double* hessian) {
  constexpr size_t no = Function::kObservationDim;
  constexpr size_t nu = Function::kActionDim;
  constexpr size_t kFew = 16;
  std::array<double, 2 * no + nu> values;
  std::copy_n(observation, no, values.begin());
  std::copy_n(action, nu, values.begin() + no);
  std::copy_n(next, no, values.begin() + no + nu);
  if constexpr (values.size() <= kFew) {
    return ExpandAtOnce<Function>(values, gradient, hessian);
  } else {
    return ExpandByPairs<Function>(values, gradient, hessian);
  }
}

/// Gradient of a reward function by first-order forward differentiation, a few variables at a time.
template <typename Function>
void GradientOfReward(const double* observation, const double* action, const double* next,
                      double* gradient) {
  constexpr int no = Function::kObservationDim;
  constexpr int nu = Function::kActionDim;
  constexpr int nz = 2 * no + nu;
  constexpr int kTogether = std::min(nz, 12);
  std::array<Dual<double, kTogether>, nz> z;
  std::copy_n(observation, no, z.begin());
  std::copy_n(action, nu, z.begin() + no);
  std::copy_n(next, no, z.begin() + no + nu);
  constexpr Function function;
  for (int first = 0; first < nz; first += kTogether) {
    const int count = std::min(kTogether, nz - first);
    for (int i = 0; i < count; ++i) z[first + i].partial[i] = 1.0;
    const auto reward = function(z.data(), z.data() + no, z.data() + no + nu);
    for (int i = 0; i < count; ++i) {
      gradient[first + i] = reward.partial[i];
      z[first + i].partial[i] = 0.0;
    }
  }
}

/// Derivatives of a reward function.
template <typename Function>
class DifferentiableReward : public Reward {
 public:
  [[nodiscard]] std::optional<TransitionSizes> sizes() const final {
    return TransitionSizes{Function::kObservationDim, Function::kActionDim};
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const final {
    constexpr int no = Function::kObservationDim;
    constexpr int nu = Function::kActionDim;
    for (int row = 0; row < batch.rows; ++row) {
      GradientOfReward<Function>(batch.observation + row * no, batch.action + row * nu,
                                 batch.next_observation + row * no, gradient + row * (2 * no + nu));
    }
  }
  double Expand(const double* observation, const double* action, const double* next,
                double* gradient, double* hessian) const final {
    return ExpandReward<Function>(observation, action, next, gradient, hessian);
  }
  double ExpandConcave(const double* observation, const double* action, const double* next,
                       double* gradient, double* hessian, int variables,
                       double* scratch) const final {
    if constexpr (requires { &Function::ExpandConcave; }) {
      return Function().ExpandConcave(observation, action, next, gradient, hessian);
    }
    return Reward::ExpandConcave(observation, action, next, gradient, hessian, variables, scratch);
  }
};

/// Runs a reward function over the rows of a batch, one by one.
template <typename Function>
class RewardOf final : public DifferentiableReward<Function> {
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

/// The same for a function that takes several rows at once. An infinite entry gives NaN, too.
template <typename Function>
  requires Function::kTakesLanes
class RewardOf<Function> final : public DifferentiableReward<Function> {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    static const RowReward<Function> rows = BestRowReward<Function>();
    const double* observation = batch.observation;
    const double* action = batch.action;
    const double* next = batch.next_observation;
    int row = 0;
    for (; row + rows.together <= batch.rows; row += rows.together) {
      rows.evaluate(observation + row * no, action + row * nu, next + row * no, reward + row);
    }
    if (row < batch.rows) {
      const int count = batch.rows - row;
      std::array<double, kMostRowsTogether * no> rest_observation{};
      std::array<double, kMostRowsTogether * nu> rest_action{};
      std::array<double, kMostRowsTogether * no> rest_next{};
      std::array<double, kMostRowsTogether> rest_reward;
      std::copy_n(observation + row * no, count * no, rest_observation.begin());
      std::copy_n(action + row * nu, count * nu, rest_action.begin());
      std::copy_n(next + row * no, count * no, rest_next.begin());
      rows.evaluate(rest_observation.data(), rest_action.data(), rest_next.data(),
                    rest_reward.data());
      std::copy_n(rest_reward.begin(), count, reward + row);
    }
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }

 private:
  static constexpr int no = Function::kObservationDim;
  static constexpr int nu = Function::kActionDim;
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

// Every shipped reward, by the name it has in task files.
constexpr std::array kRewards{
    std::pair{"centered_inverted_pendulum", &MakeRewardOf<CenteredInvertedPendulumReward>},
    std::pair{"gymnasium_ant", &MakeRewardOf<GymnasiumAntReward>},
    std::pair{"gymnasium_half_cheetah", &MakeRewardOf<GymnasiumHalfCheetahReward>},
    std::pair{"gymnasium_hopper", &MakeRewardOf<GymnasiumHopperReward>},
    std::pair{"gymnasium_humanoid", &MakeRewardOf<GymnasiumHumanoidReward>},
    std::pair{"gymnasium_inverted_double_pendulum",
              &MakeRewardOf<GymnasiumInvertedDoublePendulumReward>},
    std::pair{"gymnasium_pusher", &MakeRewardOf<GymnasiumPusherReward>},
    std::pair{"gymnasium_reacher", &MakeRewardOf<GymnasiumReacherReward>},
    std::pair{"gymnasium_swimmer", &MakeRewardOf<GymnasiumSwimmerReward>},
    std::pair{"gymnasium_walker2d", &MakeRewardOf<GymnasiumWalker2dReward>},
    std::pair{"inverted_pendulum", &MakeRewardOf<InvertedPendulumReward>},
    std::pair{"peg_insertion", &MakeRewardOf<PegInsertionReward>},
    std::pair{"pendulum", &MakeRewardOf<PendulumReward>},
    std::pair{"pets_cartpole", &MakeRewardOf<PetsCartPoleReward>},
    std::pair{"pets_half_cheetah", &MakeRewardOf<PetsHalfCheetahReward>},
    std::pair{"pets_pusher", &MakeRewardOf<PetsPusherReward>},
    std::pair{"pets_pusher_planning", &MakeRewardOf<PetsPusherPlanningReward>},
    std::pair{"pets_reacher3d", &MakeRewardOf<PetsReacher3dReward>},
};

Registry<RewardMaker>& Rewards() {
  static Registry<RewardMaker> rewards("reward", {kRewards.begin(), kRewards.end()});
  return rewards;
}

}  // namespace

void Reward::Gradient(const TransitionBatch& batch, double* gradient) const {
  const std::optional<TransitionSizes> of = sizes();
  if (!of) throw InputError("reward: found one without derivatives, expected one that has them");
  const int nz = 2 * of->observation + of->action;
  std::vector<double> hessian(static_cast<size_t>(nz) * static_cast<size_t>(nz));
  for (int row = 0; row < batch.rows; ++row) {
    Expand(batch.observation + row * of->observation, batch.action + row * of->action,
           batch.next_observation + row * of->observation, gradient + row * nz, hessian.data());
  }
}

double Reward::Expand(const double* /*observation*/, const double* /*action*/,
                      const double* /*next_observation*/, double* /*gradient*/,
                      double* /*hessian*/) const {
  throw InputError("reward: found one without derivatives, expected one that has them");
}

double Reward::ExpandConcave(const double* observation, const double* action,
                             const double* next_observation, double* gradient, double* hessian,
                             int variables, double* scratch) const {
  const double reward = Expand(observation, action, next_observation, gradient, hessian);
  const size_t size = static_cast<size_t>(variables) * static_cast<size_t>(variables);
  const auto negate = [&] { std::transform(hessian, hessian + size, hessian, std::negate<>()); };
  negate();
  ProjectToPositiveSemidefinite(variables, hessian, scratch, scratch + size);
  negate();
  return reward;
}

void CheckSizes(const std::string& where, const Reward& reward, const TransitionSizes& expected) {
  const std::optional<TransitionSizes> found = reward.sizes();
  if (!found || *found == expected) return;
  throw InputError(
      fmt::format("{}: found one for {} observation and {} action components, expected {} and {}",
                  where, found->observation, found->action, expected.observation, expected.action));
}

void RegisterReward(const std::string& name, RewardMaker make) {
  if (!make) throw InputError(fmt::format("reward '{}': found no function that makes it", name));
  Rewards().Add(name, std::move(make));
}

std::unique_ptr<const Reward> MakeReward(const std::string& name, int observation_dim,
                                         int action_dim) {
  auto reward =
      NotNull("reward", name, Rewards().Find("reward", name)(name, observation_dim, action_dim));
  CheckSizes(fmt::format("reward '{}'", name), *reward, {observation_dim, action_dim});
  return reward;
}

std::vector<std::string> RewardNames() { return Rewards().Names(); }

}  // namespace foreplan
