#include "foreplan/expressions/expression_block.h"

#include <cmath>

namespace foreplan {
namespace {

using Op = ExpressionOp;
using Fused = ExpressionFusion;
using Instruction = ExpressionInstruction;
using Block = ExpressionBlock;

constexpr int kGroup = kExpressionGroup;

// A register holds a condition as all bits of a lane, or none.
Lanes AsLanes(const Lanes::Mask& mask) { return Lanes::FromWords(Lanes::Words(mask)); }
Lanes::Mask AsMask(const Lanes& lanes) { return Lanes::Mask(lanes.words()); }

template <typename Function>
Lanes EachLane(const Lanes& a, const Lanes& b, Function function) {
  Lanes result;
  for (int i = 0; i < kLanes; ++i) result.v[i] = function(a.v[i], b.v[i]);
  return result;
}

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

}  // namespace

void Execute(const Instruction& instruction, const Block& block, TransitionSizes sizes) {
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

}  // namespace foreplan
