// The networks of an ensemble's members.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "foreplan/nets/mlp.h"

namespace foreplan {

/// The network of so many members with layers of these widths, if the machine can hold what they
/// need: parameters, their packed copy and, in training, two moments, a gradient, the parameters
/// and moments that are in the making, their packed copy and, with early stopping, the best of
/// these. Throws InputError, which starts with `what`, if not.
[[nodiscard]] Mlp AffordableMlp(const std::string& what, int members, std::vector<int> widths,
                                const MlpOptions& options = {});

/// Packed weights of members begin with a cache line.
[[nodiscard]] constexpr size_t WholeCacheLines(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace foreplan
