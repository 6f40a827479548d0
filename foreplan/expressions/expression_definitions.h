// What expressions of a task file may name beside the system's components.
#pragma once

#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/expressions/expression_syntax.h"

namespace foreplan {

/// A number or a list of numbers with a name.
struct NamedConstant {
  std::string name;
  std::string where;  // for messages
  std::vector<double> values;
};

/// An expression with a name.
struct NamedQuantity {
  std::string name;
  ExpressionText source;
};

/// The sections [constants] and [quantities] of a task file, whose keys are the user's.
struct ExpressionDefinitions {
  std::vector<NamedConstant> constants;
  std::vector<NamedQuantity> quantities;

  /// Throws InputError for values of other types.
  static ExpressionDefinitions Read(Config& config);
  void Write(ConfigWriter& writer) const;

  /// Throws InputError, with the nearest name, for a name given by --set that neither these texts
  /// nor the quantities contain: it is misspelt.
  void ThrowOnUnusedOverrides(std::vector<std::string> texts) const;
};

}  // namespace foreplan
