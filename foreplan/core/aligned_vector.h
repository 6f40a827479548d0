// Vectors whose memory starts at a cache line, for code that reads them as wide registers.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace foreplan {

template <typename T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};  // [bytes]

  AlignedAllocator() = default;
  template <typename Other>
  // NOLINTNEXTLINE(google-explicit-constructor): containers convert allocators
  AlignedAllocator(const AlignedAllocator<Other>& /*other*/) {}

  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
  }
  void deallocate(T* values, size_t /*count*/) { ::operator delete(values, kAlignment); }

  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

template <typename T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

}  // namespace foreplan
