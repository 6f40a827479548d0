#include "foreplan/learners/episode_row.h"

namespace foreplan {
namespace {

EpisodeEnd EndOf(const EpisodeResult& result, int length) {
  if (!result.divergence.empty()) return EpisodeEnd::kDiverged;
  if (!result.failure.empty()) return EpisodeEnd::kFailed;
  if (result.end == StepEnd::kTerminated) return EpisodeEnd::kTerminated;
  // A limit of the environment's own is one of time as well.
  const bool is_whole = result.end == StepEnd::kTruncated || result.steps == length;
  return is_whole ? EpisodeEnd::kLength : EpisodeEnd::kCutOff;
}

}  // namespace

EpisodeRow RowOf(const EpisodeResult& result, int length, int episode, int total_steps,
                 const std::string& controller) {
  return {.episode = episode,
          .controller = controller,
          .steps = result.steps,
          .total_steps = total_steps,
          .episode_return = result.episode_return,
          .end = EndOf(result, length),
          .note = result.divergence.empty() ? result.failure : result.divergence};
}

}  // namespace foreplan
