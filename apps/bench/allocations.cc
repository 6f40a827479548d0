#include "apps/bench/allocations.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace foreplan::apps {
namespace {

std::atomic<long> count{0};

void* Counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  count.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

}  // namespace

long AllocationCount() { return count.load(std::memory_order_relaxed); }

}  // namespace foreplan::apps

// The program's operator new. The other replaceable forms call these, but for the one that does not
// throw under AddressSanitizer, which brings its own.
void* operator new(size_t size) {
  return foreplan::apps::Counted(std::malloc(size == 0 ? 1 : size));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(size_t size, std::align_val_t alignment) {
  const auto step = static_cast<size_t>(alignment);
  return foreplan::apps::Counted(std::aligned_alloc(step, (size + step - 1) / step * step));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
