#include "apps/interrupt.h"

#include <unistd.h>

#include <csignal>

#include "apps/exit_codes.h"

namespace foreplan::apps {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler may not wait

extern "C" void OnSignal(int /*signal*/) {
  if (interrupted.exchange(true)) _exit(kInterrupted);
}

}  // namespace

const std::atomic<bool>& CatchInterrupts() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  return interrupted;
}

}  // namespace foreplan::apps
