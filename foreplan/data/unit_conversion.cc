#include "foreplan/data/unit_conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/unit.h"

namespace foreplan {
namespace {

constexpr double kDegree = std::numbers::pi / 180;

/// "rad/s" of "deg/s"; other units as they are.
std::string WithRadians(std::string unit) {
  for (const std::string_view degrees : {"degrees", "degree", "deg", "\xc2\xb0"}) {
    const size_t at = unit.find(degrees);
    if (at == std::string::npos) continue;
    unit.replace(at, degrees.size(), "rad");
    break;
  }
  return unit;
}

/// The components of observations, or of actions.
class Conversion {
 public:
  Conversion(const std::string& source, const std::vector<std::string>& names,
             const std::vector<std::string>& wanted, std::vector<std::string>& units)
      : source_(source), names_(names), wanted_(wanted), units_(units) {
    units_.resize(names.size());
    factors_.assign(names.size(), 1);
  }

  /// False where there is no such component.
  bool Scale(const std::string& name, double factor, bool to_radians) {
    const auto found = std::ranges::find(names_, name);
    if (found == names_.end()) return false;
    const auto i = static_cast<size_t>(found - names_.begin());
    factors_[i] *= factor;
    if (!to_radians) {
      units_[i] = i < wanted_.size() ? wanted_[i] : "";
      return true;
    }
    const std::optional<Unit> unit = ParseUnit(units_[i]);
    if (unit && unit->powers[5] == 0) {
      throw InputError(fmt::format("{}: --degrees {}: found a column in {}, expected an angle",
                                   source_, name, units_[i]));
    }
    if (unit && WithRadians(units_[i]) == units_[i]) {
      throw InputError(fmt::format("{}: --degrees {}: found a column in {}, expected degrees",
                                   source_, name, units_[i]));
    }
    units_[i] = unit ? WithRadians(units_[i]) : "rad";
    return true;
  }

  /// From the file's units to those that are wanted.
  void Convert(std::vector<std::string>& notes) {
    for (size_t i = 0; i < std::min(names_.size(), wanted_.size()); ++i) {
      const std::optional<Unit> from = ParseUnit(units_[i]);
      const std::optional<Unit> to = ParseUnit(wanted_[i]);
      if (!from || !to) continue;
      if (!from->Matches(*to)) {
        throw InputError(fmt::format(
            "{}: '{}': found the unit {}, expected {} as the task has it; --scale {}=FACTOR "
            "converts what the header calls otherwise",
            source_, names_[i], units_[i], wanted_[i], names_[i]));
      }
      const double factor = from->factor / to->factor;
      constexpr double kRounding = 1e-12;
      if (std::abs(factor - 1) <= kRounding) continue;
      factors_[i] *= factor;
      notes.push_back(
          fmt::format("{} was converted from {} to {}", names_[i], units_[i], wanted_[i]));
      units_[i] = wanted_[i];
    }
  }

  [[nodiscard]] bool changes() const {
    return std::ranges::any_of(factors_, [](double factor) { return factor != 1; });
  }
  [[nodiscard]] std::vector<double> Applied(std::span<const double> values) const {
    std::vector<double> applied(values.begin(), values.end());
    for (size_t i = 0; i < applied.size(); ++i) applied[i] *= factors_[i];
    return applied;
  }

 private:
  const std::string& source_;
  const std::vector<std::string>& names_;
  const std::vector<std::string>& wanted_;  // empty: nobody wants any
  std::vector<std::string>& units_;
  std::vector<double> factors_;
};

}  // namespace

void ConvertUnits(const std::string& source, const RecordingColumns& columns,
                  const LogOptions& options, Recording& recording) {
  Conversion observation(source, recording.observation, columns.observation_units,
                         recording.observation_units);
  Conversion action(source, recording.action, columns.action_units, recording.action_units);
  const auto scale = [&](const char* option, const std::string& name, double factor,
                         bool to_radians) {
    const bool of_observation = observation.Scale(name, factor, to_radians);
    const bool of_action = action.Scale(name, factor, to_radians);
    if (of_observation || of_action) return;
    std::vector<std::string> known = recording.observation;
    known.insert(known.end(), recording.action.begin(), recording.action.end());
    throw UnknownName(fmt::format("{}: {}", source, option), "component", name, known);
  };
  for (const auto& [name, factor] : options.scales) scale("--scale", name, factor, false);
  for (const std::string& name : options.degrees) scale("--degrees", name, kDegree, true);
  observation.Convert(recording.notes);
  action.Convert(recording.notes);
  if (!observation.changes() && !action.changes()) return;
  Dataset converted(recording.data.observation_dim(), recording.data.action_dim());
  for (int64_t row = 0; row < recording.data.size(); ++row) {
    Transition transition = recording.data.transition(row);
    const std::vector<double> here = observation.Applied(transition.observation);
    const std::vector<double> next = observation.Applied(transition.next_observation);
    const std::vector<double> done = action.Applied(transition.action);
    transition.observation = here;
    transition.next_observation = next;
    transition.action = done;
    converted.Add(transition);
  }
  recording.data = std::move(converted);
}

}  // namespace foreplan
