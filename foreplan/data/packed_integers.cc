#include "foreplan/data/packed_integers.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>

namespace foreplan {
namespace {

/// How far apart neighbours along the axis lie, and how many entries it has.
struct AxisSizes {
  size_t stride = 1;
  size_t length = 1;
};

AxisSizes SizesOf(std::span<const int64_t> shape, int axis) {
  if (axis < 0) return {};
  const auto at = static_cast<size_t>(axis);
  AxisSizes sizes{.length = static_cast<size_t>(shape[at])};
  for (size_t i = at + 1; i < shape.size(); ++i) sizes.stride *= static_cast<size_t>(shape[i]);
  return sizes;
}

/// Entry i has one before it along the axis.
bool HasOneBefore(size_t i, const AxisSizes& sizes) { return i / sizes.stride % sizes.length > 0; }

// Unsigned: changes may wrap around.
uint32_t Zigzag(uint32_t n) { return (n << 1) ^ (0 - (n >> 31)); }
uint32_t Unzigzag(uint32_t n) { return (n >> 1) ^ (0 - (n & 1)); }

}  // namespace

Tensor PackIntegers(std::span<const int32_t> values, std::vector<int64_t> shape, int axis) {
  const AxisSizes sizes = SizesOf(shape, axis);
  std::vector<uint32_t> changes(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<uint32_t>(values[i]);
    const uint32_t before =
        HasOneBefore(i, sizes) ? static_cast<uint32_t>(values[i - sizes.stride]) : 0;
    changes[i] = Zigzag(value - before);
  }
  const uint32_t largest = changes.empty() ? 0 : std::ranges::max(changes);
  size_t planes = 1;
  while (planes < 4 && (largest >> (8 * planes)) != 0) ++planes;
  std::vector<uint8_t> bytes(planes * values.size());
  for (size_t plane = 0; plane < planes; ++plane) {
    for (size_t i = 0; i < changes.size(); ++i) {
      bytes[plane * changes.size() + i] = static_cast<uint8_t>(changes[i] >> (8 * plane));
    }
  }
  shape.insert(shape.begin(), static_cast<int64_t>(planes));
  return {std::move(shape), std::move(bytes)};
}

std::vector<int32_t> UnpackIntegers(const Tensor& packed, int axis) {
  const auto& bytes = std::get<std::vector<uint8_t>>(packed.values);
  const auto planes = static_cast<size_t>(packed.shape.front());
  const AxisSizes sizes = SizesOf(std::span(packed.shape).subspan(1), axis);
  const size_t count = bytes.size() / planes;
  std::vector<int32_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    uint32_t change = 0;
    for (size_t plane = 0; plane < planes; ++plane) {
      change |= static_cast<uint32_t>(bytes[plane * count + i]) << (8 * plane);
    }
    const uint32_t before =
        HasOneBefore(i, sizes) ? static_cast<uint32_t>(values[i - sizes.stride]) : 0;
    values[i] = static_cast<int32_t>(Unzigzag(change) + before);
  }
  return values;
}

}  // namespace foreplan
