// What the log keeps of an episode.
#pragma once

#include <string>

#include "foreplan/control/episode.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

/// `length`: of the task's episodes [steps]. An episode that is shorter though nothing ended it was
/// cut off. total_steps: of the run, this episode included.
[[nodiscard]] EpisodeRow RowOf(const EpisodeResult& result, int length, int episode,
                               int total_steps, const std::string& controller);

}  // namespace foreplan
