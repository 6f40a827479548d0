// Systems given by a formula: what they share, and the table of their names.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/dual.h"
#include "foreplan/core/lanes.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// Holds the state, clamps actions and watches for divergence. A derived class gives the formula
/// (Advance), the observation, the start states and Clone; see ClosedFormOf.
class ClosedFormSystem : public System {
 public:
  [[nodiscard]] const SystemSpec& spec() const final { return *spec_; }
  [[nodiscard]] StepStatus Step(std::span<const double> action) final;
  void GetState(std::span<double> state) const final;
  void SetState(std::span<const double> state) final;
  [[nodiscard]] std::string Divergence() const final;

 protected:
  explicit ClosedFormSystem(SystemSpec spec);
  ClosedFormSystem(const ClosedFormSystem&) = default;

  /// Replaces `state` by the state one control period later. `action` is inside the bounds.
  virtual void Advance(std::span<const double> action, std::span<double> state) const = 0;

  [[nodiscard]] std::span<const double> state() const { return state_; }  // [state_dim]

 private:
  // What is not finite: an action or a state entry, by its index.
  struct Fault {
    enum class Kind { kNone, kAction, kState } kind = Kind::kNone;
    size_t index = 0;
  };

  std::shared_ptr<const SystemSpec> spec_;
  std::vector<double> state_;   // [state_dim]
  std::vector<double> action_;  // [nu], clamped
  Fault fault_;
};

/// A closed form whose formulas are templates on their number type, so that several rows go through
/// them at once. `Derived` gives
///   template <typename T> std::array<T, nx> Next(const std::array<T, nx>& x,
///                                                const std::array<T, nu>& u) const;
///   template <typename T> std::array<T, no> Observation(const std::array<T, nx>& x) const;
/// without branches on numbers; the options' checks, start states and Clone remain its own.
template <typename Derived, size_t kStates, size_t kActions, size_t kObservations>
class ClosedFormOf : public ClosedFormSystem {
 public:
  void Observe(std::span<double> observation) const final {
    std::array<double, kStates> x;
    GetState(x);
    std::ranges::copy(self().template Observation<double>(x), observation.begin());
  }

  void Linearize(const SystemDerivatives& d) final {
    using T = Dual<double, static_cast<int>(kStates + kActions)>;
    std::array<T, kStates> x;
    std::array<T, kActions> u;
    for (size_t i = 0; i < kStates; ++i) x[i] = T::Variable(d.state[i], static_cast<int>(i));
    for (size_t i = 0; i < kActions; ++i) {
      const double clamped = std::clamp(d.action[i], spec().action_low[i], spec().action_high[i]);
      u[i] =
          clamped == d.action[i] ? T::Variable(clamped, static_cast<int>(kStates + i)) : T(clamped);
    }
    const std::array<T, kStates> next = self().template Next<T>(x, u);
    for (size_t i = 0; i < kStates; ++i) {
      std::copy_n(next[i].partial.begin(), kStates, d.A + i * kStates);
      std::copy_n(next[i].partial.begin() + kStates, kActions, d.B + i * kActions);
    }
  }

  void ObservationJacobian(std::span<const double> state, std::span<double> jacobian) final {
    using T = Dual<double, static_cast<int>(kStates)>;
    std::array<T, kStates> x;
    for (size_t i = 0; i < kStates; ++i) x[i] = T::Variable(state[i], static_cast<int>(i));
    const std::array<T, kObservations> observation = self().template Observation<T>(x);
    for (size_t i = 0; i < kObservations; ++i) {
      std::ranges::copy(observation[i].partial,
                        jacobian.begin() + static_cast<ptrdiff_t>(i * kStates));
    }
  }

  void StepRows(const SystemRows& rows) final {
    int done = 0;
    for (; done + kTogether <= rows.rows; done += kTogether) StepTogether(From(rows, done));
    if (done < rows.rows) StepRest(From(rows, done));
  }

 protected:
  using ClosedFormSystem::ClosedFormSystem;

  void Advance(std::span<const double> action, std::span<double> state) const final {
    std::array<double, kStates> x;
    std::array<double, kActions> u;
    std::copy_n(state.begin(), kStates, x.begin());
    std::copy_n(action.begin(), kActions, u.begin());
    std::ranges::copy(self().template Next<double>(x, u), state.begin());
  }

 private:
  [[nodiscard]] const Derived& self() const { return static_cast<const Derived&>(*this); }

  static constexpr int kTogether = LanePair::kRows;

  static SystemRows From(const SystemRows& rows, int first) {
    return {.rows = rows.rows - first,
            .state = rows.state + static_cast<size_t>(first) * kStates,
            .action = rows.action + static_cast<size_t>(first) * kActions,
            .next_state = rows.next_state + static_cast<size_t>(first) * kStates,
            .next_observation = rows.next_observation + static_cast<size_t>(first) * kObservations};
  }

  /// The first kTogether rows.
  void StepTogether(const SystemRows& rows) const {
    std::array<LanePair, kStates> x;
    std::array<LanePair, kActions> u;
    LanePair poison = 0.0;  // 0, or NaN where anything is not finite
    for (size_t i = 0; i < kStates; ++i) {
      x[i] = LanePair::Load(rows.state + i, kStates);
      poison += x[i] * 0.0;
    }
    for (size_t i = 0; i < kActions; ++i) {
      u[i] = LanePair::Load(rows.action + i, kActions);
      poison += u[i] * 0.0;
      u[i] = min(max(u[i], spec().action_low[i]), spec().action_high[i]);
    }
    const std::array<LanePair, kStates> next = self().template Next<LanePair>(x, u);
    for (const LanePair& entry : next) poison += entry * 0.0;
    const std::array<LanePair, kObservations> observation =
        self().template Observation<LanePair>(next);
    for (size_t i = 0; i < kStates; ++i) (next[i] + poison).Store(rows.next_state + i, kStates);
    for (size_t i = 0; i < kObservations; ++i) {
      (observation[i] + poison).Store(rows.next_observation + i, kObservations);
    }
  }

  /// Fewer than kTogether rows, by way of a full set.
  void StepRest(const SystemRows& rows) const {
    std::array<double, kTogether * kStates> state{};
    std::array<double, kTogether * kActions> action{};
    std::array<double, kTogether * kStates> next_state;
    std::array<double, kTogether * kObservations> next_observation;
    const auto count = static_cast<size_t>(rows.rows);
    std::copy_n(rows.state, count * kStates, state.begin());
    std::copy_n(rows.action, count * kActions, action.begin());
    StepTogether({.rows = kTogether,
                  .state = state.data(),
                  .action = action.data(),
                  .next_state = next_state.data(),
                  .next_observation = next_observation.data()});
    std::copy_n(next_state.begin(), count * kStates, rows.next_state);
    std::copy_n(next_observation.begin(), count * kObservations, rows.next_observation);
  }
};

/// Throws InputError for an unknown name (with the nearest).
std::unique_ptr<SystemFactory> MakeClosedFormFactory(const std::string& name);
std::vector<std::string> ClosedFormNames();

}  // namespace foreplan
