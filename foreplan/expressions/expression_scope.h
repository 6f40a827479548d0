// The vectors whose components expressions name, and other numbers that have names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/data/component.h"

namespace foreplan {

/// Numbers of one moment that are no components: arrays of a simulator, as "qpos" or "xpos(tip)".
class ExpressionArrays {
 public:
  struct Rows {
    std::vector<int> inputs;  // row by row
    int width = 1;            // numbers per row; ranges count rows
  };

  virtual ~ExpressionArrays() = default;

  /// Array `name`, of the object that stands in parentheses ("": none does); nothing when there is
  /// no such array. Throws InputError for an object that does not exist or is missing.
  virtual std::optional<Rows> Find(const std::string& name, const std::string& object) = 0;
  /// The input that is the rate of change of a node.
  virtual int RateOf(int node) = 0;
  /// What stands without parentheses, and what with them.
  [[nodiscard]] virtual std::vector<std::string> Names() const = 0;
  [[nodiscard]] virtual std::vector<std::string> NamesOfObjects() const = 0;
};

/// What tasks add to an observation where expressions ask for it: "time", and the action before the
/// last decision, a component each.
inline constexpr const char* kTimeComponent = "episode_time";
inline constexpr const char* kPreviousPrefix = "previous_";

/// Whose components must outlive it: {spec.observation, spec.action, unobserved}.
struct ExpressionScope {
  std::span<const Component> observation;
  std::span<const Component> action;
  std::span<const Component> unobserved = {};
  /// In the place of components; inputs are then those of the next observation.
  ExpressionArrays* arrays = nullptr;
};

}  // namespace foreplan
