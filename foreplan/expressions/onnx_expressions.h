// Expressions as graphs of ONNX.
#pragma once

#include <string>
#include <vector>

#include "foreplan/data/onnx_graph.h"
#include "foreplan/expressions/expression_graph.h"

namespace foreplan {

/// Appends what computes `outputs`, numbers that depend on observation and action alone, in
/// doubles. observation: [n, no], action: [n, nu]; gives [n, outputs].
[[nodiscard]] std::string AppendExpressions(const ExpressionGraph& expressions,
                                            const std::vector<int>& outputs,
                                            const std::string& observation,
                                            const std::string& action, OnnxGraph& onnx);

}  // namespace foreplan
