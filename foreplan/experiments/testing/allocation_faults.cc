// The calls by which a program asks for memory, defined here instead of in the C library, whose own
// have other names, too.
#include "foreplan/experiments/testing/allocation_faults.h"

#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <string_view>

namespace foreplan::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasFaults = false;
#else
constexpr bool kHasFaults = true;
#endif

// They allocate and must not throw: a failure there ends the process, whoever calls them.
constexpr std::array<std::string_view, 3> kForeign = {
    "json_value7destroy",  // nlohmann::json's destructor
    "directory_iterator",  // libstdc++, the next entry of a folder
    "9ParseToml",          // toml++ within, where nodes are made
};

// Calls of the system that file_faults.cc plays: those ask for nothing.
constexpr std::array<std::string_view, 6> kPlayed = {"rename", "link",  "unlink",
                                                     "remove", "mkdir", "ftruncate"};

bool IsForeign(std::string_view function) {
  const auto is_in = [&](std::string_view part) { return function.find(part) != function.npos; };
  return std::ranges::any_of(kForeign, is_in) ||
         std::ranges::find(kPlayed, function) != kPlayed.end();
}

/// Whether one of them asks.
bool IsAskedByForeign() {
  std::array<void*, 64> frames{};
  const int depth = backtrace(frames.data(), static_cast<int>(frames.size()));
  for (int i = 0; i < depth; ++i) {
    Dl_info info{};
    const bool has_name =
        dladdr(frames[static_cast<size_t>(i)], &info) != 0 && info.dli_sname != nullptr;
    if (has_name && IsForeign(info.dli_sname)) return true;
  }
  return false;
}

constinit std::atomic<int64_t> count = 0;
constinit std::atomic<int64_t> first = -1;
constinit std::atomic<int64_t> last = -1;

}  // namespace

bool HasAllocationFaults() { return kHasFaults; }

void SetAllocationFaults(int64_t at, int64_t calls) {
  (void)IsAskedByForeign();  // allocates when it is called first
  first = at;
  last = at < 0 ? -1 : at + calls - 1;
  count = 0;
}

int64_t Allocations() { return count; }

/// Whether the next one fails.
bool AllocationFails() {
  const int64_t number = count++;
  if (number < first || number > last || IsAskedByForeign()) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace foreplan::testing

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {
void* __libc_malloc(size_t size);                      // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(size_t count, size_t size);        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, size_t size);       // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(size_t alignment, size_t size);  // NOLINT(bugprone-reserved-identifier)

void* malloc(size_t size) {
  return foreplan::testing::AllocationFails() ? nullptr : __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  return foreplan::testing::AllocationFails() ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  return foreplan::testing::AllocationFails() ? nullptr : __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  return foreplan::testing::AllocationFails() ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  if (foreplan::testing::AllocationFails()) return ENOMEM;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}
#endif
