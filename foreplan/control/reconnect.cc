#include "foreplan/control/reconnect.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

using Seconds = std::chrono::duration<double>;

void Pause(Seconds pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wakes;
  std::unique_lock lock(mutex);
  wakes.wait_for(lock, stop, pause, [] { return false; });
  if (stop.stop_requested()) throw Interrupted("interrupted");
}

}  // namespace

void EnvironmentOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("reconnect_seconds", reconnect_seconds, {0, 1e9},
                "an environment that fails is tried again for so long [s]");
}

EpisodeResult RunWhenReachable(const EnvironmentOptions& options, const std::stop_token& stop,
                               const std::function<EpisodeResult()>& episode) {
  const auto begin = std::chrono::steady_clock::now();
  Seconds pause(0.05);
  for (;;) {
    try {
      return episode();
    } catch (const EnvironmentFailure& failure) {
      const Seconds passed = std::chrono::steady_clock::now() - begin;
      const Seconds left = Seconds(options.reconnect_seconds) - passed;
      if (left.count() <= 0) {
        throw EnvironmentFailure(
            fmt::format("the environment could not be reached for {:g} s "
                        "(environment.reconnect_seconds): {}",
                        options.reconnect_seconds, failure.what()));
      }
      Pause(std::min(pause, left), stop);
      pause = std::min(2 * pause, Seconds(1));
    }
  }
}

}  // namespace foreplan
