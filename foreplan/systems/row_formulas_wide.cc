// Compiled with AVX-512 and wide lanes (CMakeLists.txt); runs only where the processor has it.
#include "foreplan/core/processor.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/pendulum.h"
#include "foreplan/systems/rewards/reward_functions.h"
#include "foreplan/systems/row_formulas.h"

namespace foreplan {

template <typename Formula>
const RowStep<Formula>* WideRowStep() {
#ifdef FOREPLAN_WIDE_LANES
  static constexpr RowStep<Formula> kStep = wide::MakeRowStep<Formula>();
  if (ProcessorHasAvx512()) return &kStep;
#endif
  return nullptr;
}

template <typename Function>
const RowReward<Function>* WideRowReward() {
#ifdef FOREPLAN_WIDE_LANES
  static constexpr RowReward<Function> kReward = wide::MakeRowReward<Function>();
  if (ProcessorHasAvx512()) return &kReward;
#endif
  return nullptr;
}

template const RowStep<CartPole>* WideRowStep<CartPole>();
template const RowStep<Pendulum>* WideRowStep<Pendulum>();
template const RowReward<PendulumReward>* WideRowReward<PendulumReward>();
template const RowReward<PetsCartPoleReward>* WideRowReward<PetsCartPoleReward>();

}  // namespace foreplan
