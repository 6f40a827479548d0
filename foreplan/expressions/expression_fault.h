// Where an expression stops being a finite number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "foreplan/data/transition_batch.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_scope.h"
#include "foreplan/expressions/expression_tape.h"

namespace foreplan {

/// The operation that a number is not finite by, and what it was applied to.
struct ExpressionFault {
  int node = 0;        // of the graph
  std::string found;   // "a division by zero"
  std::string inputs;  // "hinge = 0"; "" for none
};

/// None when the tape's number is finite at a transition (one row).
std::optional<ExpressionFault> FindFault(const ExpressionGraph& graph, const ExpressionTape& tape,
                                         const ExpressionScope& scope,
                                         const TransitionBatch& transition);

/// When the tape's number is not finite at a transition (one row): throws InputError that points to
/// the operation it comes from and tells what that was applied to, "found a division by zero
/// <when>, at hinge = 0, expected <expected>".
void ThrowIfNotFinite(const ExpressionGraph& graph, const ExpressionTape& tape,
                      const ExpressionScope& scope, const TransitionBatch& transition,
                      std::string_view when, std::string_view expected);

}  // namespace foreplan
