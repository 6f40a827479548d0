// Counts calls of operator new in this program, so that a suite can report them.
#pragma once

namespace foreplan::apps {

/// Since the program started, on all threads.
long AllocationCount();

}  // namespace foreplan::apps
