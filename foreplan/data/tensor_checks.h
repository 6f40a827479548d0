// What numbers of a file must be before something is restored from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"

namespace foreplan {

// Each throws InputError naming file, tensor, the first element that is wrong, found and expected,
// and for a tensor that is missing.

/// No NaN, no infinity.
void CheckFinite(const TensorFile& file, const std::string& name);
/// That tensor's numbers, of any size, or of `size` in one dimension.
const std::vector<double>& FiniteDoubles(const TensorFile& file, const std::string& name,
                                         int64_t size = -1);
/// Finite and above 0, of a size that one can divide by: scales, deviations.
void CheckPositive(const TensorFile& file, const std::string& name);
/// Finite and at least `least`.
void CheckAtLeast(const TensorFile& file, const std::string& name, double least);
/// From 0 to a thousand million, which leaves room to count on.
void CheckCounters(const TensorFile& file, const std::string& name);
/// 0 or 1.
void CheckFlags(const TensorFile& file, const std::string& name);

}  // namespace foreplan
