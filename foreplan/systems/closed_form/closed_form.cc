#include "foreplan/systems/closed_form/closed_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

/// Index of the first entry that is NaN or infinite; `values.size()` if there is none.
size_t FirstNonFinite(std::span<const double> values) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [](double value) { return !std::isfinite(value); });
  return static_cast<size_t>(found - values.begin());
}

}  // namespace

ClosedFormSystem::ClosedFormSystem(SystemSpec spec)
    : spec_(std::make_shared<const SystemSpec>(std::move(spec))),
      state_(spec_->state.size()),
      action_(spec_->action.size()) {}

StepOutcome ClosedFormSystem::Step(std::span<const double> action) {
  if (fault_.kind != Fault::Kind::kNone) return StepStatus::kDiverged;
  if (const size_t index = FirstNonFinite(action); index < action.size()) {
    fault_ = {Fault::Kind::kAction, index};
    return StepStatus::kDiverged;
  }
  for (size_t i = 0; i < action.size(); ++i) {
    action_[i] = std::clamp(action[i], spec_->action_low[i], spec_->action_high[i]);
  }
  Advance(action_, state_);
  if (const size_t index = FirstNonFinite(state_); index < state_.size()) {
    fault_ = {Fault::Kind::kState, index};
    return StepStatus::kDiverged;
  }
  return StepStatus::kOk;
}

void ClosedFormSystem::GetState(std::span<double> state) const {
  std::copy(state_.begin(), state_.end(), state.begin());
}

void ClosedFormSystem::SetState(std::span<const double> state) {
  std::copy(state.begin(), state.end(), state_.begin());
  fault_ = {};
}

std::string ClosedFormSystem::Divergence() const {
  switch (fault_.kind) {
    case Fault::Kind::kNone:
      break;
    case Fault::Kind::kAction:
      return fmt::format("action '{}' is not finite", spec_->action[fault_.index].name);
    case Fault::Kind::kState:
      return fmt::format("state '{}' is {}", spec_->state[fault_.index].name,
                         WithoutSignOfNan(state_[fault_.index]));
  }
  return "";
}

}  // namespace foreplan
