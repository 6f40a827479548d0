#include "foreplan/expressions/expression_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "foreplan/core/lanes.h"

namespace foreplan {
namespace {

using Op = ExpressionOp;
using Fused = ExpressionProgram::Fused;
using Instruction = ExpressionProgram::Instruction;

constexpr int kGroup = LanePair::kRows;  // rows that go through an instruction together
constexpr int kMaxBlockRows = 64;
constexpr int kMemory = 4096;  // doubles of all registers: a first-level cache

Lanes LoadLanes(const double* from) {
  Lanes::Doubles values;
  std::memcpy(&values, from, sizeof values);
  return values;
}
void StoreLanes(const Lanes& lanes, double* to) { std::memcpy(to, &lanes.v, sizeof lanes.v); }

// A register holds a condition as all bits of a lane, or none.
Lanes AsLanes(const Lanes::Mask& mask) { return Lanes::FromWords(Lanes::Words(mask)); }
Lanes::Mask AsMask(const Lanes& lanes) { return Lanes::Mask(lanes.words()); }

template <typename Function>
Lanes EachLane(const Lanes& a, const Lanes& b, Function function) {
  Lanes result;
  for (int i = 0; i < kLanes; ++i) result.v[i] = function(a.v[i], b.v[i]);
  return result;
}

bool HoldsNan(const double* values, size_t count) {
  Lanes::Mask found{};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Lanes lanes = LoadLanes(values + i);
    found |= lanes.v != lanes.v;
  }
  bool rest = false;
  for (; i < count; ++i) rest |= std::isnan(values[i]);
  return rest || Lanes::Any(found);
}

/// What instructions work on: some rows, and a register's worth of memory for each number.
struct Block {
  struct Operand {
    const double* values;
    size_t step;  // from group to group; 0 for a constant
  };

  TransitionBatch rows;
  size_t groups = 0;  // the last one may be incomplete
  double* registers = nullptr;
  const double* constants = nullptr;

  [[nodiscard]] double* Register(int index) const {
    return registers + static_cast<size_t>(index) * groups * kGroup;
  }
  [[nodiscard]] Operand At(int operand) const {
    if (operand >= 0) return {Register(operand), kGroup};
    return {constants + static_cast<size_t>(~operand) * kGroup, 0};
  }
};

/// to = function(a, b, c), or fewer; functions are of Lanes.
template <typename Function>
void OfOne(const Instruction& instruction, const Block& block, Function function) {
  const auto [a, step] = block.At(instruction.operands[0]);
  double* to = block.Register(instruction.to);
  for (size_t i = 0; i < block.groups; ++i) {
    const double* from = a + i * step;
    const Lanes low = function(LoadLanes(from));
    const Lanes high = function(LoadLanes(from + kLanes));
    StoreLanes(low, to + i * kGroup);
    StoreLanes(high, to + i * kGroup + kLanes);
  }
}

template <typename Function>
void OfTwo(const Instruction& instruction, const Block& block, Function function) {
  const auto [a, step_a] = block.At(instruction.operands[0]);
  const auto [b, step_b] = block.At(instruction.operands[1]);
  double* to = block.Register(instruction.to);
  for (size_t i = 0; i < block.groups; ++i) {
    const double* from_a = a + i * step_a;
    const double* from_b = b + i * step_b;
    const Lanes low = function(LoadLanes(from_a), LoadLanes(from_b));
    const Lanes high = function(LoadLanes(from_a + kLanes), LoadLanes(from_b + kLanes));
    StoreLanes(low, to + i * kGroup);
    StoreLanes(high, to + i * kGroup + kLanes);
  }
}

template <typename Function>
void OfThree(const Instruction& instruction, const Block& block, Function function) {
  const auto [a, step_a] = block.At(instruction.operands[0]);
  const auto [b, step_b] = block.At(instruction.operands[1]);
  const auto [c, step_c] = block.At(instruction.operands[2]);
  double* to = block.Register(instruction.to);
  for (size_t i = 0; i < block.groups; ++i) {
    for (size_t half = 0; half < kGroup; half += kLanes) {
      StoreLanes(function(LoadLanes(a + i * step_a + half), LoadLanes(b + i * step_b + half),
                          LoadLanes(c + i * step_c + half)),
                 to + i * kGroup + half);
    }
  }
}

void SineAndCosine(const Instruction& instruction, const Block& block) {
  const auto [a, step] = block.At(instruction.operands[0]);
  double* sine = block.Register(instruction.to);
  double* cosine = block.Register(instruction.also_to);
  for (size_t i = 0; i < block.groups; ++i) {
    for (size_t half = 0; half < kGroup; half += kLanes) {
      const Lanes angle = LoadLanes(a + i * step + half);
      StoreLanes(sin(angle), sine + i * kGroup + half);
      StoreLanes(cos(angle), cosine + i * kGroup + half);
    }
  }
}

// One column of a row-major matrix; rows that an incomplete group lacks are 0.
void LoadColumn(const double* matrix, size_t stride, const Instruction& instruction,
                const Block& block) {
  const double* from = matrix + instruction.index;
  double* to = block.Register(instruction.to);
  const auto rows = static_cast<size_t>(block.rows.rows);
  size_t row = 0;
  for (; row + kGroup <= rows; row += kGroup) {
    const LanePair lanes = LanePair::Load(from + row * stride, stride);
    StoreLanes(lanes.low, to + row);
    StoreLanes(lanes.high, to + row + kLanes);
  }
  for (; row < block.groups * kGroup; ++row) to[row] = row < rows ? from[row * stride] : 0.0;
}

void ExecuteFused(const Instruction& instruction, const Block& block) {
  switch (instruction.fused) {
    case Fused::kNone:
      break;
    case Fused::kMultiplyAdd:
      return OfThree(instruction, block,
                     [](const Lanes& a, const Lanes& b, const Lanes& c) { return a * b + c; });
    case Fused::kMultiplySubtract:
      return OfThree(instruction, block,
                     [](const Lanes& a, const Lanes& b, const Lanes& c) { return a * b - c; });
    case Fused::kSubtractProduct:
      return OfThree(instruction, block,
                     [](const Lanes& a, const Lanes& b, const Lanes& c) { return c - a * b; });
    case Fused::kSinCos:
      return SineAndCosine(instruction, block);
  }
}

void ExecuteFunction(const Instruction& instruction, const Block& block) {
  switch (instruction.op) {
    case Op::kAbs:
      return OfOne(instruction, block, [](const Lanes& a) { return abs(a); });
    case Op::kSign:
      return OfOne(instruction, block, [](const Lanes& a) {
        return Lanes::Select(a > Lanes(0.0), 1.0, Lanes::Select(a < Lanes(0.0), -1.0, a));
      });
    case Op::kSqrt:
      return OfOne(instruction, block, [](const Lanes& a) { return sqrt(a); });
    case Op::kExp:
      return OfOne(instruction, block, [](const Lanes& a) { return exp(a); });
    case Op::kLog:
      return OfOne(instruction, block, [](const Lanes& a) { return log(a); });
    case Op::kSin:
      return OfOne(instruction, block, [](const Lanes& a) { return sin(a); });
    case Op::kCos:
      return OfOne(instruction, block, [](const Lanes& a) { return cos(a); });
    case Op::kTan:
      return OfOne(instruction, block, [](const Lanes& a) { return sin(a) / cos(a); });
    case Op::kAsin:
      return OfOne(instruction, block, [](const Lanes& a) {
        return EachLane(a, a, [](double x, double) { return std::asin(x); });
      });
    case Op::kAcos:
      return OfOne(instruction, block, [](const Lanes& a) {
        return EachLane(a, a, [](double x, double) { return std::acos(x); });
      });
    case Op::kTanh:
      return OfOne(instruction, block, [](const Lanes& a) {
        return EachLane(a, a, [](double x, double) { return std::tanh(x); });
      });
    case Op::kAtan2:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return atan2(a, b); });
    case Op::kPower:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) {
        return EachLane(a, b, [](double x, double y) { return std::pow(x, y); });
      });
    default:
      break;
  }
}

void ExecuteCondition(const Instruction& instruction, const Block& block) {
  switch (instruction.op) {
    case Op::kIsFinite:
      return OfOne(instruction, block, [](const Lanes& a) { return AsLanes(a.IsFinite()); });
    case Op::kNot:
      return OfOne(instruction, block, [](const Lanes& a) { return Lanes::FromWords(~a.words()); });
    case Op::kLess:
      return OfTwo(instruction, block,
                   [](const Lanes& a, const Lanes& b) { return AsLanes(a < b); });
    case Op::kLessEqual:
      return OfTwo(instruction, block,
                   [](const Lanes& a, const Lanes& b) { return AsLanes(a.v <= b.v); });
    case Op::kEqual:
      return OfTwo(instruction, block,
                   [](const Lanes& a, const Lanes& b) { return AsLanes(a == b); });
    case Op::kAnd:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) {
        return Lanes::FromWords(a.words() & b.words());
      });
    case Op::kOr:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) {
        return Lanes::FromWords(a.words() | b.words());
      });
    case Op::kSelect:
      return OfThree(instruction, block,
                     [](const Lanes& condition, const Lanes& yes, const Lanes& no) {
                       return Lanes::Select(AsMask(condition), yes, no);
                     });
    default:
      break;
  }
}

void Execute(const Instruction& instruction, const Block& block, ExpressionSizes sizes) {
  if (instruction.fused != Fused::kNone) return ExecuteFused(instruction, block);
  const auto no = static_cast<size_t>(sizes.observation);
  const auto nu = static_cast<size_t>(sizes.action);
  switch (instruction.op) {
    case Op::kPrevious:
      return LoadColumn(block.rows.observation, no, instruction, block);
    case Op::kAction:
      return LoadColumn(block.rows.action, nu, instruction, block);
    case Op::kNext:
      return LoadColumn(block.rows.next_observation, no, instruction, block);
    case Op::kNegate:
      return OfOne(instruction, block, [](const Lanes& a) { return -a; });
    case Op::kAdd:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return a + b; });
    case Op::kSubtract:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return a - b; });
    case Op::kMultiply:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return a * b; });
    case Op::kDivide:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return a / b; });
    case Op::kMin:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return min(a, b); });
    case Op::kMax:
      return OfTwo(instruction, block, [](const Lanes& a, const Lanes& b) { return max(a, b); });
    case Op::kIsFinite:
    case Op::kNot:
    case Op::kLess:
    case Op::kLessEqual:
    case Op::kEqual:
    case Op::kAnd:
    case Op::kOr:
    case Op::kSelect:
      return ExecuteCondition(instruction, block);
    default:
      return ExecuteFunction(instruction, block);
  }
}

TransitionBatch RowsFrom(const TransitionBatch& batch, int first, int rows, ExpressionSizes sizes) {
  const auto observations = static_cast<size_t>(first) * static_cast<size_t>(sizes.observation);
  return {.rows = rows,
          .observation = batch.observation + observations,
          .action = batch.action + static_cast<size_t>(first) * static_cast<size_t>(sizes.action),
          .next_observation = batch.next_observation + observations};
}

/// NaN for the rows that hold one.
void SpoilRowsWithNan(const TransitionBatch& rows, ExpressionSizes sizes, double* numbers,
                      size_t numbers_per_row) {
  const auto count = static_cast<size_t>(rows.rows);
  const auto no = static_cast<size_t>(sizes.observation);
  const auto nu = static_cast<size_t>(sizes.action);
  const auto any = [&](size_t first, size_t of) {
    return HoldsNan(rows.observation + first * no, of * no) ||
           HoldsNan(rows.action + first * nu, of * nu) ||
           HoldsNan(rows.next_observation + first * no, of * no);
  };
  if (!any(0, count)) return;
  for (size_t row = 0; row < count; ++row) {
    if (!any(row, 1)) continue;
    std::fill_n(numbers + row * numbers_per_row, numbers_per_row,
                std::numeric_limits<double>::quiet_NaN());
  }
}

}  // namespace

/// Turns a graph into instructions whose operands are nodes, then gives nodes registers.
class ExpressionProgram::Generator {
 public:
  Generator(const ExpressionGraph& graph, std::vector<int> outputs)
      : graph_(graph), outputs_(std::move(outputs)) {}

  std::vector<Instruction> Generate() {
    const std::vector<int> order = graph_.InOrder(outputs_);
    CountUses(order);
    for (const int node : order) Emit(node);
    return std::move(instructions_);
  }

  /// Replaces nodes by registers and constants; the number of registers.
  int Allocate(std::vector<Instruction>& instructions, AlignedVector<double>& constants) {
    FindLastUses(instructions);
    for (size_t i = 0; i < instructions.size(); ++i) {
      Instruction& instruction = instructions[i];
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

  /// The operand that holds an output.
  int Place(int node, AlignedVector<double>& constants) {
    if (!graph_.IsConstant(node)) return register_of_.at(node);
    const auto count = static_cast<int>(constants.size() / kGroup);
    const auto [found, inserted] = constant_of_.try_emplace(node, count);
    if (inserted) constants.insert(constants.end(), kGroup, graph_[node].constant);
    return ~found->second;
  }

 private:
  static size_t Index(int k) { return static_cast<size_t>(k); }

  static int Operands(const Instruction& instruction) {
    if (instruction.fused == Fused::kNone) return OperandCount(instruction.op);
    return instruction.fused == Fused::kSinCos ? 1 : 3;
  }

  void CountUses(const std::vector<int>& order) {
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
  [[nodiscard]] int ProductIn(int node) const {
    const ExpressionNode& sum = graph_[node];
    if (sum.op != Op::kAdd && sum.op != Op::kSubtract) return -1;
    for (const int k : {1, 0}) {
      const int operand = sum.operands[Index(k)];
      if (graph_[operand].op == Op::kMultiply && uses_[Index(operand)] == 1) return operand;
    }
    return -1;
  }

  void Emit(int node) {
    if (graph_.IsConstant(node) || std::exchange(done_[Index(node)], 1) != 0) return;
    const ExpressionNode& from = graph_[node];
    Instruction instruction{
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

  void FindLastUses(const std::vector<Instruction>& instructions) {
    for (size_t i = 0; i < instructions.size(); ++i) {
      for (int k = 0; k < Operands(instructions[i]); ++k) {
        last_use_[instructions[i].operands[Index(k)]] = i;
      }
    }
    for (const int output : outputs_) last_use_[output] = instructions.size();
  }

  int TakeRegister(int node) {
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

  const ExpressionGraph& graph_;
  std::vector<int> outputs_;
  std::vector<int> uses_;      // by node: how many operands it is
  std::vector<uint8_t> done_;  // by node: needs no instruction of its own any more
  std::map<int, int> sine_of_;
  std::map<int, int> cosine_of_;
  std::vector<Instruction> instructions_;
  std::map<int, size_t> last_use_;  // node to instruction
  std::map<int, int> register_of_;
  std::map<int, int> constant_of_;
  std::vector<int> free_;
  int registers_ = 0;
};

ExpressionProgram::ExpressionProgram(const ExpressionGraph& graph, const std::vector<int>& numbers,
                                     int condition, ExpressionSizes sizes)
    : sizes_(sizes), is_fixed_(condition < 0 || graph.IsConstant(condition)) {
  fixed_condition_ = is_fixed_ && condition >= 0 && graph[condition].constant != 0;
  std::vector<int> outputs = numbers;
  if (!is_fixed_) outputs.push_back(condition);
  Generator generator(graph, outputs);
  instructions_ = generator.Generate();
  const int registers = std::max(1, generator.Allocate(instructions_, constants_));
  for (const int number : numbers) numbers_.push_back(generator.Place(number, constants_));
  if (!is_fixed_) condition_ = generator.Place(condition, constants_);
  block_rows_ = std::min(kMaxBlockRows, kMemory / registers / kGroup * kGroup);
  if (block_rows_ == 0) {
    const ExpressionNode& last = graph[numbers.back()];
    throw graph.source(last.source)
        .Error(last.position,
               fmt::format("found {} numbers that are needed at the same time, expected at most {}",
                           registers, kMemory / kGroup));
  }
}

void ExpressionProgram::Run(const TransitionBatch& batch, double* numbers,
                            uint8_t* conditions) const {
  alignas(64) std::array<double, kMemory> memory;
  for (int first = 0; first < batch.rows; first += block_rows_) {
    const int rows = std::min(block_rows_, batch.rows - first);
    const Block block{.rows = RowsFrom(batch, first, rows, sizes_),
                      .groups = static_cast<size_t>((rows + kGroup - 1) / kGroup),
                      .registers = memory.data(),
                      .constants = constants_.data()};
    for (const Instruction& instruction : instructions_) Execute(instruction, block, sizes_);
    double* results = numbers + first * count();
    for (int k = 0; k < count(); ++k) {
      const auto [from, step] = block.At(numbers_[static_cast<size_t>(k)]);
      for (int row = 0; row < rows; ++row) {
        const auto group = static_cast<size_t>(row / kGroup);
        results[row * count() + k] = from[group * step + static_cast<size_t>(row % kGroup)];
      }
    }
    SpoilRowsWithNan(block.rows, sizes_, results, numbers_.size());
    if (conditions == nullptr) continue;
    if (is_fixed_) {
      std::fill_n(conditions + first, rows, static_cast<uint8_t>(fixed_condition_ ? 1 : 0));
      continue;
    }
    const double* holds = block.Register(condition_);
    for (int row = 0; row < rows; ++row) {
      conditions[first + row] = std::bit_cast<uint64_t>(holds[row]) != 0 ? 1 : 0;
    }
  }
}

}  // namespace foreplan
