// What an expression's program consists of.
#pragma once

#include <array>
#include <cstdint>

#include "foreplan/expressions/expression_graph.h"

namespace foreplan {

/// Sizes of the rows that an expression reads.
/// What is done in one go because it often comes together.
enum class ExpressionFusion : uint8_t {
  kNone,
  kMultiplyAdd,       // a b + c
  kMultiplySubtract,  // a b - c
  kSubtractProduct,   // c - a b
  kSinCos,            // of the same angle
};

struct ExpressionInstruction {
  ExpressionOp op = ExpressionOp::kConstant;
  ExpressionFusion fused = ExpressionFusion::kNone;
  std::array<int, 3> operands{};  // registers, or ~constant
  int to = 0;                     // register
  int also_to = 0;                // of kSinCos: register of the cosine
  int index = 0;                  // of an input
};

}  // namespace foreplan
