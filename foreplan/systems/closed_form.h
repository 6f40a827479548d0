// Systems given by a formula: what they share, and the table of their names.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

  void StepRows(const SystemRows& rows) final {
    for (int first = 0; first < rows.rows; first += kLanes) {
      StepLanes(rows, static_cast<size_t>(first), std::min(kLanes, rows.rows - first));
    }
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

  /// Rows first ... first + count - 1, with count <= kLanes.
  void StepLanes(const SystemRows& rows, size_t first, int count) const {
    std::array<Lanes, kStates> x;
    std::array<Lanes, kActions> u;
    Lanes::Mask valid = Lanes(0.0) == Lanes(0.0);
    for (size_t i = 0; i < kStates; ++i) {
      x[i] = Lanes::Load(rows.state + first * kStates + i, kStates, count);
      valid &= x[i].IsFinite();
    }
    for (size_t i = 0; i < kActions; ++i) {
      u[i] = Lanes::Load(rows.action + first * kActions + i, kActions, count);
      valid &= u[i].IsFinite();
      u[i] = min(max(u[i], Lanes(spec().action_low[i])), Lanes(spec().action_high[i]));
    }
    const std::array<Lanes, kStates> next = self().template Next<Lanes>(x, u);
    for (const Lanes& entry : next) valid &= entry.IsFinite();
    const std::array<Lanes, kObservations> observation = self().template Observation<Lanes>(next);
    const Lanes nan = std::numeric_limits<double>::quiet_NaN();
    for (size_t i = 0; i < kStates; ++i) {
      Lanes::Select(valid, next[i], nan)
          .Store(rows.next_state + first * kStates + i, kStates, count);
    }
    for (size_t i = 0; i < kObservations; ++i) {
      Lanes::Select(valid, observation[i], nan)
          .Store(rows.next_observation + first * kObservations + i, kObservations, count);
    }
  }
};

/// Throws InputError for an unknown name (with the nearest).
std::unique_ptr<SystemFactory> MakeClosedFormFactory(const std::string& name);
std::vector<std::string> ClosedFormNames();

}  // namespace foreplan
