#include "foreplan/expressions/expression_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "foreplan/core/lanes.h"
#include "foreplan/expressions/expression_block.h"
#include "foreplan/expressions/expression_generator.h"

namespace foreplan {
namespace {

using Block = ExpressionBlock;
using Instruction = ExpressionInstruction;

constexpr int kGroup = kExpressionGroup;
constexpr int kMaxBlockRows = 64;
constexpr int kMemory = 4096;  // doubles of all registers: a first-level cache

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

TransitionBatch RowsFrom(const TransitionBatch& batch, int first, int rows, TransitionSizes sizes) {
  const auto observations = static_cast<size_t>(first) * static_cast<size_t>(sizes.observation);
  return {.rows = rows,
          .observation = batch.observation + observations,
          .action = batch.action + static_cast<size_t>(first) * static_cast<size_t>(sizes.action),
          .next_observation = batch.next_observation + observations};
}

/// NaN for the rows that hold one.
void SpoilRowsWithNan(const TransitionBatch& rows, TransitionSizes sizes, double* numbers,
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

ExpressionProgram::ExpressionProgram(const ExpressionGraph& graph, const std::vector<int>& numbers,
                                     int condition, TransitionSizes sizes)
    : sizes_(sizes), is_fixed_(condition < 0 || graph.IsConstant(condition)) {
  fixed_condition_ = is_fixed_ && condition >= 0 && graph[condition].constant != 0;
  std::vector<int> outputs = numbers;
  if (!is_fixed_) outputs.push_back(condition);
  ExpressionGenerator generator(graph, outputs);
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
