// What an episode is judged by besides its return.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/systems/environment.h"

namespace foreplan {

/// Section [goal]: what an episode is judged by besides its return, at its last observation.
struct GoalOptions {
  std::string distance = "distance";         // name of |components - target|
  std::vector<std::string> components = {};  // observation components; empty: no goal
  std::vector<double> target = {};           // as many
  std::string success = "success";  // name of: success_component, or the distance, < success_below
  std::string success_component = {};  // empty: the distance
  double success_below = 0;

  void Visit(OptionsVisitor& visitor);
};

/// The same, looked up in the observation.
class Goal {
 public:
  Goal() = default;
  /// Throws InputError, which starts with `where`, for unknown components and a target of another
  /// size.
  Goal(const std::string& where, const GoalOptions& options, const EnvironmentSpec& spec);

  [[nodiscard]] bool exists() const { return !places_.empty(); }
  [[nodiscard]] const GoalOptions& options() const { return options_; }
  [[nodiscard]] double Distance(std::span<const double> observation) const;
  [[nodiscard]] bool Reached(std::span<const double> observation) const;

 private:
  GoalOptions options_;
  std::vector<size_t> places_;
  std::optional<size_t> success_place_;  // none: the distance
};

}  // namespace foreplan
