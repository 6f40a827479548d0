// An expression made ready to run over many rows.
#pragma once

#include <cstdint>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/data/transition_batch.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_instruction.h"

namespace foreplan {

/// A list of instructions on registers, each of which holds one number for every row of a block:
/// what it costs to look at an instruction is shared by the rows. Const and shared between threads;
/// running it allocates nothing.
class ExpressionProgram {
 public:
  /// `condition` may be -1, which never holds. Throws InputError when there are too many numbers
  /// to keep at a time.
  ExpressionProgram(const ExpressionGraph& graph, const std::vector<int>& numbers, int condition,
                    TransitionSizes sizes);

  /// How many numbers it computes.
  [[nodiscard]] int count() const { return static_cast<int>(numbers_.size()); }
  /// numbers: [rows x count], NaN for a row that holds one; conditions: [rows], 0 or 1, or null.
  void Run(const TransitionBatch& batch, double* numbers, uint8_t* conditions) const;

  [[nodiscard]] size_t instructions() const { return instructions_.size(); }

 private:
  TransitionSizes sizes_;
  std::vector<ExpressionInstruction> instructions_;
  AlignedVector<double> constants_;  // [constants x LanePair::kRows], each repeated
  int block_rows_ = 0;
  std::vector<int> numbers_;  // operands that hold the results
  int condition_ = 0;         // operand that holds the result, unless the condition is fixed
  bool is_fixed_ = false;     // the condition does not depend on the row
  bool fixed_condition_ = false;
};

}  // namespace foreplan
