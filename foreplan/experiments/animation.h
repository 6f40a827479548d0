// A recorded episode as the page draws it: where everything was, and where it was imagined to be.
#pragma once

#include <string>
#include <vector>

#include "foreplan/data/episode_recording.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// A gzip stream of tensors (docs/animation.md).
struct Animation {
  std::string bytes;
  std::vector<std::string> left_out;  // to stay within the bound, sentences
};

/// Of a replay in a page, which then is not slow to open [MB of 10^6 bytes].
inline constexpr double kAnimationMb = 20;

/// Poses come from the recorded states, imagined ones from what was imagined of the observation
/// (observed_state.h), as far as it says. Of a task without states, or of a system without a
/// picture, it holds the numbers alone. Beyond `most_mb` in a page (base64) it leaves out, in this
/// order: every other step ahead; of the futures every other plan, and so on, then all; the
/// imagined plans likewise. Throws InputError where the recording is of other components than the
/// task's, and where steps and places alone need more than that.
Animation MakeAnimation(const EpisodeRecording& recording, const Task& task,
                        double most_mb = kAnimationMb);

/// The same of a system; null: nothing to draw because of `reason`.
Animation MakeAnimation(const EpisodeRecording& recording, const System* system,
                        const std::string& reason, double most_mb = kAnimationMb);

}  // namespace foreplan
