// Counts of numbers in matrices.
#pragma once

#include <cstddef>

namespace foreplan {

/// a b c as a size or an offset: sizes are ints, their product need not fit into one.
[[nodiscard]] constexpr size_t Size(int a, int b = 1, int c = 1) {
  return static_cast<size_t>(a) * static_cast<size_t>(b) * static_cast<size_t>(c);
}

}  // namespace foreplan
