// Systems given by a formula: what they share, and the table of their names.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// Holds the state, clamps actions and watches for divergence. A derived class gives the formula
/// (Advance), the observation, the start states and Clone.
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

/// Throws InputError for an unknown name (with the nearest).
std::unique_ptr<SystemFactory> MakeClosedFormFactory(const std::string& name);
std::vector<std::string> ClosedFormNames();

}  // namespace foreplan
