// Closed-form systems and rewards over several rows at once, and which of them also exist for wide
// lanes (core/lanes.h). Internal to systems/.
#pragma once

#include <array>
#include <cstddef>

#include "foreplan/core/lanes.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Steps exactly `together` rows; what a row gives is NaN where it holds anything that is not
/// finite. low, high: bounds of the actions, [nu].
template <typename Formula>
struct RowStep {
  int together;
  void (*step)(const Formula& formula, const double* low, const double* high,
               const SystemRows& rows);
};

/// Rewards of exactly `together` rows, NaN for those that hold anything that is not finite.
template <typename Function>
struct RowReward {
  int together;
  void (*evaluate)(const double* observation, const double* action, const double* next,
                   double* reward);
};

inline constexpr int kMostRowsTogether = 16;

inline namespace FOREPLAN_LANES_NAMESPACE {

static_assert(LanePair::kRows <= kMostRowsTogether);

template <typename Formula>
void StepTogether(const Formula& formula, const double* low, const double* high,
                  const SystemRows& rows) {
  constexpr size_t nx = Formula::kStates;
  constexpr size_t nu = Formula::kActions;
  constexpr size_t no = Formula::kObservations;
  std::array<LanePair, nx> x;
  std::array<LanePair, nu> u;
  LanePair poison = 0.0;  // 0, or NaN where anything is not finite
  LoadRows(rows.state, x);
  LoadRows(rows.action, u);
  for (size_t i = 0; i < nx; ++i) poison += x[i] * 0.0;
  for (size_t i = 0; i < nu; ++i) {
    poison += u[i] * 0.0;
    u[i] = min(max(u[i], low[i]), high[i]);
  }
  std::array<LanePair, nx> next = formula.template Next<LanePair>(x, u);
  for (size_t i = 0; i < nx; ++i) poison += next[i] * 0.0;
  std::array<LanePair, no> observation = formula.template Observation<LanePair>(next);
  for (size_t i = 0; i < nx; ++i) next[i] += poison;
  for (size_t i = 0; i < no; ++i) observation[i] += poison;
  StoreRows(next, rows.next_state);
  StoreRows(observation, rows.next_observation);
}

template <typename Function>
void EvaluateTogether(const double* observation, const double* action, const double* next,
                      double* reward) {
  constexpr size_t no = Function::kObservationDim;
  constexpr size_t nu = Function::kActionDim;
  std::array<LanePair, no> o;
  std::array<LanePair, nu> u;
  std::array<LanePair, no> o_next;
  LanePair poison = 0.0;  // NaN where an entry is NaN
  LoadRows(observation, o);
  LoadRows(action, u);
  LoadRows(next, o_next);
  for (size_t i = 0; i < no; ++i) poison += o[i] * 0.0 + o_next[i] * 0.0;
  for (size_t i = 0; i < nu; ++i) poison += u[i] * 0.0;
  constexpr Function function;
  (function(o.data(), u.data(), o_next.data()) + poison).Store(reward, 1);
}

template <typename Formula>
constexpr RowStep<Formula> MakeRowStep() {
  return {LanePair::kRows, &StepTogether<Formula>};
}
template <typename Function>
constexpr RowReward<Function> MakeRowReward() {
  return {LanePair::kRows, &EvaluateTogether<Function>};
}

}  // namespace FOREPLAN_LANES_NAMESPACE

/// Whether row_formulas_wide.cc has the formula, and what it has; null where this build or this
/// processor lacks AVX-512.
template <typename Formula>
inline constexpr bool kHasWideRows = false;
template <typename Formula>
const RowStep<Formula>* WideRowStep();
template <typename Function>
const RowReward<Function>* WideRowReward();

class CartPole;
class Pendulum;
struct PendulumReward;
struct PetsCartPoleReward;
template <>
inline constexpr bool kHasWideRows<CartPole> = true;
template <>
inline constexpr bool kHasWideRows<Pendulum> = true;
template <>
inline constexpr bool kHasWideRows<PendulumReward> = true;
template <>
inline constexpr bool kHasWideRows<PetsCartPoleReward> = true;

/// The widest this processor runs.
template <typename Formula>
RowStep<Formula> BestRowStep() {
  if constexpr (kHasWideRows<Formula>) {
    if (WideRowStep<Formula>() != nullptr) return *WideRowStep<Formula>();
  }
  return MakeRowStep<Formula>();
}
template <typename Function>
RowReward<Function> BestRowReward() {
  if constexpr (kHasWideRows<Function>) {
    if (WideRowReward<Function>() != nullptr) return *WideRowReward<Function>();
  }
  return MakeRowReward<Function>();
}

}  // namespace foreplan
