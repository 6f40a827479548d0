#include "foreplan/systems/system.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

}  // namespace foreplan
