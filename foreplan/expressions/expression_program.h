// An expression made ready to run over many rows.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/data/transition_batch.h"
#include "foreplan/expressions/expression_graph.h"

namespace foreplan {

/// Sizes of the rows that an expression reads.
struct ExpressionSizes {
  int observation = 0;
  int action = 0;
};

/// A list of instructions on registers, each of which holds one number for every row of a block:
/// what it costs to look at an instruction is shared by the rows. Const and shared between threads;
/// running it allocates nothing.
class ExpressionProgram {
 public:
  /// `condition` may be -1, which never holds. Throws InputError when there are too many numbers
  /// to keep at a time.
  ExpressionProgram(const ExpressionGraph& graph, const std::vector<int>& numbers, int condition,
                    ExpressionSizes sizes);

  /// How many numbers it computes.
  [[nodiscard]] int count() const { return static_cast<int>(numbers_.size()); }
  /// numbers: [rows x count], NaN for a row that holds one; conditions: [rows], 0 or 1, or null.
  void Run(const TransitionBatch& batch, double* numbers, uint8_t* conditions) const;

  [[nodiscard]] size_t instructions() const { return instructions_.size(); }

  /// What is done in one go because it often comes together.
  enum class Fused : uint8_t {
    kNone,
    kMultiplyAdd,       // a b + c
    kMultiplySubtract,  // a b - c
    kSubtractProduct,   // c - a b
    kSinCos,            // of the same angle
  };
  struct Instruction {
    ExpressionOp op = ExpressionOp::kConstant;
    Fused fused = Fused::kNone;
    std::array<int, 3> operands{};  // registers, or ~constant
    int to = 0;                     // register
    int also_to = 0;                // of kSinCos: register of the cosine
    int index = 0;                  // of an input
  };

 private:
  class Generator;

  ExpressionSizes sizes_;
  std::vector<Instruction> instructions_;
  AlignedVector<double> constants_;  // [constants x LanePair::kRows], each repeated
  int block_rows_ = 0;
  std::vector<int> numbers_;  // operands that hold the results
  int condition_ = 0;         // operand that holds the result, unless the condition is fixed
  bool is_fixed_ = false;     // the condition does not depend on the row
  bool fixed_condition_ = false;
};

}  // namespace foreplan
