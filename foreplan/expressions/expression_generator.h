// From a graph of operations to the instructions of a program.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_instruction.h"

namespace foreplan {

/// Turns a graph into instructions whose operands are nodes, then gives nodes registers.
class ExpressionGenerator {
 public:
  ExpressionGenerator(const ExpressionGraph& graph, std::vector<int> outputs)
      : graph_(graph), outputs_(std::move(outputs)) {}

  std::vector<ExpressionInstruction> Generate();

  /// Replaces nodes by registers and constants; the number of registers.
  int Allocate(std::vector<ExpressionInstruction>& instructions, AlignedVector<double>& constants);

  /// The operand that holds an output.
  int Place(int node, AlignedVector<double>& constants);

 private:
  static size_t Index(int k) { return static_cast<size_t>(k); }

  static int Operands(const ExpressionInstruction& instruction);
  void CountUses(const std::vector<int>& order);
  [[nodiscard]] int ProductIn(int node) const;
  void Emit(int node);
  void FindLastUses(const std::vector<ExpressionInstruction>& instructions);
  int TakeRegister(int node);

  const ExpressionGraph& graph_;
  std::vector<int> outputs_;
  std::vector<int> uses_;      // by node: how many operands it is
  std::vector<uint8_t> done_;  // by node: needs no instruction of its own any more
  std::map<int, int> sine_of_;
  std::map<int, int> cosine_of_;
  std::vector<ExpressionInstruction> instructions_;
  std::map<int, size_t> last_use_;  // node to instruction
  std::map<int, int> register_of_;
  std::map<int, int> constant_of_;
  std::vector<int> free_;
  int registers_ = 0;
};

}  // namespace foreplan
