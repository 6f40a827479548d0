// Counts calls of operator new in the whole program, for tests that forbid allocation. Weak, so
// that several test files of one program may include it. Not for the library.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace foreplan::testing {

inline std::atomic<long> allocation_count{0};

inline void* CountedAllocation(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  ++allocation_count;
  return memory;
}

/// Number of allocations, on all threads, while `function` runs.
template <typename Function>
long CountAllocations(Function&& function) {
  const long before = allocation_count;
  function();
  return allocation_count - before;
}

}  // namespace foreplan::testing

// The forms for arrays call these. The nothrow form is here too, as AddressSanitizer's own would
// not match the delete below.
[[gnu::weak]] void* operator new(size_t size) {
  return foreplan::testing::CountedAllocation(std::malloc(size == 0 ? 1 : size));
}
[[gnu::weak]] void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory != nullptr) ++foreplan::testing::allocation_count;
  return memory;
}
[[gnu::weak]] void* operator new(size_t size, std::align_val_t alignment) {
  const auto step = static_cast<size_t>(alignment);
  return foreplan::testing::CountedAllocation(
      std::aligned_alloc(step, (size + step - 1) / step * step));
}
[[gnu::weak]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
