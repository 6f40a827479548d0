#include "foreplan/models/local/rollout_view.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

void CheckFinite(const std::string& where, const char* name, const double* values, int count) {
  for (int i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) continue;
    throw RunError(
        fmt::format("{}, {} {}: found {}, expected a finite number", where, name, i, values[i]));
  }
}

}  // namespace

void RolloutView::Joint(int t, Eigen::Ref<Eigen::MatrixXd> z) const {
  for (int n = 0; n < rollouts; ++n) {
    z.col(n) << Eigen::Map<const Eigen::VectorXd>(state(n, t), nx),
        Eigen::Map<const Eigen::VectorXd>(action(n, t), nu),
        Eigen::Map<const Eigen::VectorXd>(state(n, t + 1), nx);
  }
}

void CheckRollouts(const char* where, const RolloutView& rollouts) {
  if (rollouts.rollouts < 1 || rollouts.transitions < 1 || rollouts.nx < 1 || rollouts.nu < 1) {
    throw InputError(
        fmt::format("{}: found {} rollouts of {} transitions, {} states and {} actions, expected "
                    "at least 1 of each",
                    where, rollouts.rollouts, rollouts.transitions, rollouts.nx, rollouts.nu));
  }
  const auto check = [&](int n, int t, const char* name, const double* values, int count) {
    if (Eigen::Map<const Eigen::VectorXd>(values, count).allFinite()) return;
    CheckFinite(fmt::format("{}: rollout {}, time {}", where, n, t), name, values, count);
  };
  for (int n = 0; n < rollouts.rollouts; ++n) {
    for (int t = 0; t <= rollouts.transitions; ++t) {
      check(n, t, "state", rollouts.state(n, t), rollouts.nx);
      if (t < rollouts.transitions) check(n, t, "action", rollouts.action(n, t), rollouts.nu);
    }
  }
}

}  // namespace foreplan
