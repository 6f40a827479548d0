// Systems given by a formula: what they share, and the table of their names.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/dual.h"
#include "foreplan/systems/row_formulas.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// Holds the state, clamps actions and watches for divergence. A derived class gives the formula
/// (Advance), the observation, the start states and Clone; see ClosedFormOf.
class ClosedFormSystem : public System {
 public:
  [[nodiscard]] const SystemSpec& spec() const final { return *spec_; }
  [[nodiscard]] StepOutcome Step(std::span<const double> action) final;
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
template <typename Derived, size_t nx, size_t nu, size_t no>
class ClosedFormOf : public ClosedFormSystem {
 public:
  static constexpr size_t kStates = nx;
  static constexpr size_t kActions = nu;
  static constexpr size_t kObservations = no;

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
    static const RowStep<Derived> row_step = BestRowStep<Derived>();
    int done = 0;
    for (; done + row_step.together <= rows.rows; done += row_step.together) {
      StepTogether(row_step, From(rows, done));
    }
    if (done < rows.rows) StepRest(row_step, From(rows, done));
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

  static SystemRows From(const SystemRows& rows, int first) {
    return {.rows = rows.rows - first,
            .state = rows.state + static_cast<size_t>(first) * kStates,
            .action = rows.action + static_cast<size_t>(first) * kActions,
            .next_state = rows.next_state + static_cast<size_t>(first) * kStates,
            .next_observation = rows.next_observation + static_cast<size_t>(first) * kObservations};
  }

  void StepTogether(const RowStep<Derived>& row_step, const SystemRows& rows) const {
    row_step.step(self(), spec().action_low.data(), spec().action_high.data(), rows);
  }

  /// Fewer rows than go together, by way of a full set.
  void StepRest(const RowStep<Derived>& row_step, const SystemRows& rows) const {
    std::array<double, kMostRowsTogether * kStates> state{};
    std::array<double, kMostRowsTogether * kActions> action{};
    std::array<double, kMostRowsTogether * kStates> next_state;
    std::array<double, kMostRowsTogether * kObservations> next_observation;
    const auto count = static_cast<size_t>(rows.rows);
    std::copy_n(rows.state, count * kStates, state.begin());
    std::copy_n(rows.action, count * kActions, action.begin());
    StepTogether(row_step, {.rows = row_step.together,
                            .state = state.data(),
                            .action = action.data(),
                            .next_state = next_state.data(),
                            .next_observation = next_observation.data()});
    std::copy_n(next_state.begin(), count * kStates, rows.next_state);
    std::copy_n(next_observation.begin(), count * kObservations, rows.next_observation);
  }
};

}  // namespace foreplan
