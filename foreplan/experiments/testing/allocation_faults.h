// Memory that ends. What is linked with allocation_faults.cc allocates through calls that count and
// fail where they are told to; not under sanitizers, which have their own.
#pragma once

#include <cstdint>

namespace foreplan::testing {

/// Whether this build can.
[[nodiscard]] bool HasAllocationFaults();
/// From now on: the allocation with this number, from 0, fails, and `calls` - 1 after it; below 0:
/// none does. Counts from 0. What foreign destructors and others ask for that must not throw does
/// not fail.
void SetAllocationFaults(int64_t at, int64_t calls = 1);
/// Counted since.
[[nodiscard]] int64_t Allocations();

}  // namespace foreplan::testing
