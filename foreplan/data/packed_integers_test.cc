#include "foreplan/data/packed_integers.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <variant>
#include <vector>

namespace foreplan {
namespace {

TEST(PackedIntegers, AreChangesAlongTheAxisZigzagCodedInPlanesOfBytes) {
  // Two frames of two numbers: changes along the frames are +300 and -1.
  const std::vector<int32_t> values = {5, -3, 305, -4};
  const Tensor packed = PackIntegers(values, {2, 2}, 0);
  EXPECT_EQ(packed.shape, (std::vector<int64_t>{2, 2, 2}));
  // Zigzag: 5 -> 10, -3 -> 5, 300 -> 600 = 2 * 256 + 88, -1 -> 1.
  EXPECT_EQ(std::get<std::vector<uint8_t>>(packed.values),
            (std::vector<uint8_t>{10, 5, 88, 1, 0, 0, 2, 0}));
  // Along the second axis the changes are -8 and -309.
  const Tensor along_second = PackIntegers(values, {2, 2}, 1);
  EXPECT_EQ(std::get<std::vector<uint8_t>>(along_second.values),
            (std::vector<uint8_t>{10, 15, 98, 105, 0, 0, 2, 2}));
}

TEST(PackedIntegers, ComeBackWhateverTheyAre) {
  constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
  std::vector<int32_t> values(2 * 3 * 4);
  std::iota(values.begin(), values.end(), -7);
  values[3] = kMin;
  values[15] = kMax;
  values[16] = kMin;
  for (const int axis : {-1, 0, 1, 2}) {
    const Tensor packed = PackIntegers(values, {2, 3, 4}, axis);
    EXPECT_EQ(UnpackIntegers(packed, axis), values) << axis;
  }
}

TEST(PackedIntegers, NeedAsManyPlanesAsTheLargestChange) {
  EXPECT_EQ(PackIntegers(std::vector<int32_t>{127, 0}, {2}, -1).shape[0], 1);
  EXPECT_EQ(PackIntegers(std::vector<int32_t>{128, 0}, {2}, -1).shape[0], 2);
  EXPECT_EQ(PackIntegers(std::vector<int32_t>{-129, 0}, {2}, -1).shape[0], 2);
  EXPECT_EQ(PackIntegers(std::vector<int32_t>{1 << 30, 0}, {2}, -1).shape[0], 4);
  EXPECT_EQ(PackIntegers({}, {0, 3}, 0).shape, (std::vector<int64_t>{1, 0, 3}));
}

}  // namespace
}  // namespace foreplan
