// What expressions can call.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "foreplan/expressions/expression_builder.h"

namespace foreplan {

struct ExpressionFunction {
  std::string_view name;
  // Numbers of arguments.
  size_t fewest;
  size_t most;
  std::string_view form;  // how it is called
  ExpressionValue (*make)(ExpressionBuilder& builder, const Syntax& call,
                          const std::vector<ExpressionValue>& arguments);
};

/// All of them, by name.
std::span<const ExpressionFunction> ExpressionFunctions();

}  // namespace foreplan
