// Ctrl-C as a flag that loops look at.
#pragma once

#include <atomic>

namespace foreplan::apps {

/// From now on SIGINT and SIGTERM set the returned flag; a second one ends the program at once
/// (files are written atomically, so none is left half-written).
const std::atomic<bool>& CatchInterrupts();

}  // namespace foreplan::apps
