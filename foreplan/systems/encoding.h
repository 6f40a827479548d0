// How observations enter and leave a learned model.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/input_expressions.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// A component of the observation whose motion is known: z' = keep z + gain u[action] + offset.
struct KnownMotion {
  int component = 0;
  double keep = 0;
  int action = -1;  // -1: none
  double gain = 0;
  double offset = 0;

  [[nodiscard]] double Next(const double* observation, const double* decision) const {
    return keep * observation[component] + offset + (action < 0 ? 0.0 : gain * decision[action]);
  }
};

/// Section [encoding]: by component name; in a file a '*' stands for any characters.
struct Encoding {
  std::vector<std::string> sin_cos = {};   // angles that enter as (sin, cos)
  std::vector<std::string> omit = {};      // components that do not enter the model
  std::vector<std::string> absolute = {};  // predicted as such instead of as a difference
  /// Components x whose rate is observed too, as x_velocity or x_rate: predicted as a difference
  /// from x + dt rate.
  std::vector<std::string> integrate = {};
  /// Expressions that enter the model besides.
  std::vector<std::string> input_texts = {};
  std::string inputs_where = {};  // where a file has them, for messages
  /// Of `input_texts`, by CompleteEncoding; null when there are none.
  std::shared_ptr<const InputExpressions> inputs = {};
  /// Of components that a task adds (decisions.h): nothing is learned of them.
  std::vector<KnownMotion> known = {};

  void Visit(OptionsVisitor& visitor);
};

/// Replaces patterns by the names they match, and compiles the inputs. Throws InputError, which
/// starts with `where`, for what is no component, has no rate, contradicts, or is no expression.
/// `unobserved`: what else of the system has a name.
Encoding CompleteEncoding(const std::string& where, Encoding encoding, const EnvironmentSpec& spec,
                          const ExpressionDefinitions& definitions,
                          std::span<const Component> unobserved = {});

/// The section as it stands in a file.
Encoding ReadEncodingSection(Config& config);
/// Both.
Encoding ReadEncoding(Config& config, const EnvironmentSpec& spec,
                      const ExpressionDefinitions& definitions);

/// The index of a component's rate, which has its name and "_velocity" or "_rate" behind it; -1
/// when none is observed.
int RateOf(const EnvironmentSpec& spec, const std::string& name);

}  // namespace foreplan
