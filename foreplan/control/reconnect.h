// Episodes of an environment that may fail: a robot that is switched off, a process that is gone.
#pragma once

#include <functional>
#include <stop_token>

#include "foreplan/control/episode.h"
#include "foreplan/core/options.h"

namespace foreplan {

/// Section [environment].
struct EnvironmentOptions {
  double reconnect_seconds = 60;  // an environment that fails is tried again for so long [s]

  void Visit(OptionsVisitor& visitor);
};

/// What `episode` gives, called again and again while it throws EnvironmentFailure, which
/// RunEpisode does where an episode cannot begin. Pauses in between, 0.05 s at first and 1 s at
/// most. Throws EnvironmentFailure when the time is over and Interrupted when `stop` asks for an
/// end.
EpisodeResult RunWhenReachable(const EnvironmentOptions& options, const std::stop_token& stop,
                               const std::function<EpisodeResult()>& episode);

}  // namespace foreplan
