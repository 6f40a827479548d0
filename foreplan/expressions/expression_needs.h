// What expressions ask for that is neither observed nor acted.
#pragma once

#include <vector>

#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/expressions/expression_scope.h"
#include "foreplan/expressions/expression_syntax.h"

namespace foreplan {

struct ExpressionNeeds {
  bool time = false;             // "time", "previous.time", "phase(...)"
  bool previous_action = false;  // "previous.u", "previous.<action>"
};

/// Of the texts and of all quantities. What has these names in the scope or among the definitions
/// is that. A text that is no expression needs nothing; its compiler says why.
[[nodiscard]] ExpressionNeeds NeedsOf(const std::vector<ExpressionText>& texts,
                                      const ExpressionDefinitions& definitions,
                                      const ExpressionScope& scope);

}  // namespace foreplan
