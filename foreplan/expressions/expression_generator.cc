#include "foreplan/expressions/expression_generator.h"

#include "foreplan/expressions/expression_block.h"

namespace foreplan {

using Op = ExpressionOp;
using Fused = ExpressionFusion;

constexpr int kGroup = kExpressionGroup;

std::vector<ExpressionInstruction> ExpressionGenerator::Generate() {
  const std::vector<int> order = graph_.InOrder(outputs_);
  CountUses(order);
  for (const int node : order) Emit(node);
  return std::move(instructions_);
}

int ExpressionGenerator::Allocate(std::vector<ExpressionInstruction>& instructions,
                                  AlignedVector<double>& constants) {
  FindLastUses(instructions);
  for (size_t i = 0; i < instructions.size(); ++i) {
    ExpressionInstruction& instruction = instructions[i];
    const std::array<int, 3> nodes = instruction.operands;
    for (int k = 0; k < Operands(instruction); ++k) {
      instruction.operands[Index(k)] = Place(nodes[Index(k)], constants);
    }
    // What is used last here makes room for the result.
    for (int k = 0; k < Operands(instruction); ++k) {
      const int node = nodes[Index(k)];
      const auto last = last_use_.find(node);
      if (graph_.IsConstant(node) || last == last_use_.end() || last->second != i) continue;
      free_.push_back(register_of_.at(node));
      last_use_.erase(last);
    }
    instruction.to = TakeRegister(instruction.to);
    if (instruction.fused == Fused::kSinCos) {
      instruction.also_to = TakeRegister(instruction.also_to);
    }
  }
  return registers_;
}

int ExpressionGenerator::Place(int node, AlignedVector<double>& constants) {
  if (!graph_.IsConstant(node)) return register_of_.at(node);
  const auto count = static_cast<int>(constants.size() / kGroup);
  const auto [found, inserted] = constant_of_.try_emplace(node, count);
  if (inserted) constants.insert(constants.end(), kGroup, graph_[node].constant);
  return ~found->second;
}

int ExpressionGenerator::Operands(const ExpressionInstruction& instruction) {
  if (instruction.fused == Fused::kNone) return OperandCount(instruction.op);
  return instruction.fused == Fused::kSinCos ? 1 : 3;
}

void ExpressionGenerator::CountUses(const std::vector<int>& order) {
  uses_.assign(Index(graph_.size()), 0);
  done_.assign(Index(graph_.size()), 0);
  for (const int node : order) {
    for (const int operand : graph_[node].operands) {
      if (operand >= 0) ++uses_[Index(operand)];
    }
    if (graph_[node].op == Op::kCos) cosine_of_[graph_[node].operands[0]] = node;
    if (graph_[node].op == Op::kSin) sine_of_[graph_[node].operands[0]] = node;
  }
  for (const int output : outputs_) ++uses_[Index(output)];
  for (const int node : order) {
    if (const int product = ProductIn(node); product >= 0) done_[Index(product)] = 1;
  }
}

// The operand of a sum or difference that is a product for it alone, or -1.
int ExpressionGenerator::ProductIn(int node) const {
  const ExpressionNode& sum = graph_[node];
  if (sum.op != Op::kAdd && sum.op != Op::kSubtract) return -1;
  for (const int k : {1, 0}) {
    const int operand = sum.operands[Index(k)];
    if (graph_[operand].op == Op::kMultiply && uses_[Index(operand)] == 1) return operand;
  }
  return -1;
}

void ExpressionGenerator::Emit(int node) {
  if (graph_.IsConstant(node) || std::exchange(done_[Index(node)], 1) != 0) return;
  const ExpressionNode& from = graph_[node];
  ExpressionInstruction instruction{
      .op = from.op, .operands = from.operands, .to = node, .index = from.index};
  if (const int product = ProductIn(node); product >= 0) {
    const bool second = from.operands[1] == product;
    const auto& factors = graph_[product].operands;
    instruction.operands = {factors[0], factors[1], from.operands[second ? 0 : 1]};
    instruction.fused = from.op == Op::kAdd ? Fused::kMultiplyAdd
                        : second            ? Fused::kSubtractProduct
                                            : Fused::kMultiplySubtract;
  } else if (from.op == Op::kSin || from.op == Op::kCos) {
    const auto sine = sine_of_.find(from.operands[0]);
    const auto cosine = cosine_of_.find(from.operands[0]);
    if (sine != sine_of_.end() && cosine != cosine_of_.end()) {
      instruction.fused = Fused::kSinCos;
      instruction.to = sine->second;
      instruction.also_to = cosine->second;
      done_[Index(sine->second)] = done_[Index(cosine->second)] = 1;
    }
  }
  instructions_.push_back(instruction);
}

void ExpressionGenerator::FindLastUses(const std::vector<ExpressionInstruction>& instructions) {
  for (size_t i = 0; i < instructions.size(); ++i) {
    for (int k = 0; k < Operands(instructions[i]); ++k) {
      last_use_[instructions[i].operands[Index(k)]] = i;
    }
  }
  for (const int output : outputs_) last_use_[output] = instructions.size();
}

int ExpressionGenerator::TakeRegister(int node) {
  int taken = registers_;
  if (free_.empty()) {
    ++registers_;
  } else {
    taken = free_.back();
    free_.pop_back();
  }
  register_of_[node] = taken;
  return taken;
}

}  // namespace foreplan
