// Arrays of integers in the form that packs best: small changes, their bytes side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "foreplan/data/safetensors.h"

namespace foreplan {

/// `values`: row-major integers of `shape`. Along `axis` every entry but the first is replaced by
/// its change from the one before (axis -1: none is); changes are zigzag coded, (n << 1) ^ (n >>
/// 31), and their bytes written in planes, all lowest ones first, as many planes as the largest
/// needs: U8 [planes, shape...]. Changes wrap around at 32 bits, and come back so.
[[nodiscard]] Tensor PackIntegers(std::span<const int32_t> values, std::vector<int64_t> shape,
                                  int axis);

/// What was packed. `packed`: U8 [1 ... 4, ...].
[[nodiscard]] std::vector<int32_t> UnpackIntegers(const Tensor& packed, int axis);

}  // namespace foreplan
