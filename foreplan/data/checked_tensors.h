// Tensors whose values can be what they stand for: a damaged or edited file must not become a model
// that predicts NaN in silence.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"

namespace foreplan {

// As TensorFile::Floats, Doubles and Ints. All throw InputError that names file, tensor and place
// of the first value that is none of the kind.

/// No NaN, no infinity: weights, means.
[[nodiscard]] const std::vector<float>& FiniteFloats(const TensorFile& file,
                                                     const std::string& name,
                                                     std::span<const int64_t> shape);
[[nodiscard]] const std::vector<double>& FiniteDoubles(const TensorFile& file,
                                                       const std::string& name,
                                                       std::span<const int64_t> shape);
/// Finite and >= 0: mean squares, deviations.
[[nodiscard]] const std::vector<float>& NonNegativeFloats(const TensorFile& file,
                                                          const std::string& name,
                                                          std::span<const int64_t> shape);
[[nodiscard]] const std::vector<double>& NonNegativeDoubles(const TensorFile& file,
                                                            const std::string& name,
                                                            std::span<const int64_t> shape);
/// Finite and > 0, of a size that one can divide by: scales.
[[nodiscard]] const std::vector<double>& PositiveDoubles(const TensorFile& file,
                                                         const std::string& name,
                                                         std::span<const int64_t> shape);
/// >= 0: steps taken, rows seen.
[[nodiscard]] const std::vector<int32_t>& Counts(const TensorFile& file, const std::string& name,
                                                 std::span<const int64_t> shape);

}  // namespace foreplan
