#include "foreplan/systems/system.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace foreplan {

void System::StepRows(const SystemRows& rows) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto ns = static_cast<size_t>(spec().state_dim());
  const auto no = static_cast<size_t>(spec().observation_dim());
  const auto nu = static_cast<size_t>(spec().action_dim());
  for (size_t row = 0; row < static_cast<size_t>(rows.rows); ++row) {
    const std::span<const double> state(rows.state + row * ns, ns);
    const std::span<double> next_state(rows.next_state + row * ns, ns);
    const std::span<double> next_observation(rows.next_observation + row * no, no);
    // A simulator must not see a NaN.
    bool ok = std::ranges::all_of(state, [](double value) { return std::isfinite(value); });
    if (ok) {
      SetState(state);
      ok = Step({rows.action + row * nu, nu}) == StepStatus::kOk;
    }
    if (ok) {
      GetState(next_state);
      Observe(next_observation);
    } else {
      std::ranges::fill(next_state, kNan);
      std::ranges::fill(next_observation, kNan);
    }
  }
}

void System::Difference(std::span<const double> state, std::span<const double> reference,
                        std::span<double> tangent) const {
  for (size_t i = 0; i < tangent.size(); ++i) tangent[i] = state[i] - reference[i];
}

namespace {

constexpr double kDifferenceStep = 1e-6;

/// column[i * stride] = (above[i] - below[i]) / width, or NaN.
void WriteColumn(bool ok, const std::vector<double>& above, const std::vector<double>& below,
                 double width, double* column, size_t stride) {
  for (size_t i = 0; i < above.size(); ++i) {
    column[i * stride] =
        ok ? (above[i] - below[i]) / width : std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace

void System::Linearize(const SystemDerivatives& d) {
  const auto ns = static_cast<size_t>(spec().state_dim());
  const auto nu = static_cast<size_t>(spec().action_dim());
  std::vector<double> state(d.state, d.state + ns);
  std::vector<double> action(d.action, d.action + nu);
  std::vector<double> above(ns);
  std::vector<double> below(ns);
  const auto step_into = [&](std::vector<double>& next) {
    SetState(state);
    const bool ok = Step(action) == StepStatus::kOk;
    GetState(next);
    return ok;
  };
  for (size_t j = 0; j < ns; ++j) {
    state[j] = d.state[j] + kDifferenceStep;
    bool ok = step_into(above);
    state[j] = d.state[j] - kDifferenceStep;
    ok = step_into(below) && ok;
    state[j] = d.state[j];
    WriteColumn(ok, above, below, 2 * kDifferenceStep, d.A + j, ns);
  }
  for (size_t j = 0; j < nu; ++j) {
    // Outside the bounds both ends are the bound, and the column is 0.
    action[j] = d.action[j] + kDifferenceStep;
    bool ok = step_into(above);
    action[j] = d.action[j] - kDifferenceStep;
    ok = step_into(below) && ok;
    action[j] = d.action[j];
    WriteColumn(ok, above, below, 2 * kDifferenceStep, d.B + j, nu);
  }
}

void System::ObservationJacobian(std::span<const double> state, std::span<double> jacobian) {
  std::vector<double> moved(state.begin(), state.end());
  std::vector<double> above(static_cast<size_t>(spec().observation_dim()));
  std::vector<double> below = above;
  for (size_t j = 0; j < moved.size(); ++j) {
    moved[j] = state[j] + kDifferenceStep;
    SetState(moved);
    Observe(above);
    moved[j] = state[j] - kDifferenceStep;
    SetState(moved);
    Observe(below);
    moved[j] = state[j];
    WriteColumn(true, above, below, 2 * kDifferenceStep, jacobian.data() + j, moved.size());
  }
}

}  // namespace foreplan
