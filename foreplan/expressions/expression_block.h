// How an instruction of an expression's program runs over a block of rows.
#pragma once

#include <cstddef>
#include <cstring>

#include "foreplan/core/lanes.h"
#include "foreplan/data/transition_batch.h"
#include "foreplan/expressions/expression_instruction.h"

namespace foreplan {

inline Lanes LoadLanes(const double* from) {
  Lanes::Doubles values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

inline void StoreLanes(const Lanes& lanes, double* to) {
  std::memcpy(to, &lanes.v, sizeof lanes.v);
}

/// Rows that go through an instruction together.
inline constexpr int kExpressionGroup = LanePair::kRows;

/// What instructions work on: some rows, and a register's worth of memory for each number.
struct ExpressionBlock {
  struct Operand {
    const double* values;
    size_t step;  // from group to group; 0 for a constant
  };

  TransitionBatch rows;
  size_t groups = 0;  // the last one may be incomplete
  double* registers = nullptr;
  const double* constants = nullptr;

  [[nodiscard]] double* Register(int index) const {
    return registers + static_cast<size_t>(index) * groups * kExpressionGroup;
  }
  [[nodiscard]] Operand At(int operand) const {
    if (operand >= 0) return {Register(operand), kExpressionGroup};
    return {constants + static_cast<size_t>(~operand) * kExpressionGroup, 0};
  }
};

/// Runs one instruction on all rows of the block.
void Execute(const ExpressionInstruction& instruction, const ExpressionBlock& block,
             TransitionSizes sizes);

}  // namespace foreplan
