#include "foreplan/learners/episode_row.h"

namespace foreplan {
namespace {

EpisodeEnd EndOf(const EpisodeResult& result, int length) {
  if (!result.divergence.empty()) return EpisodeEnd::kDiverged;
  if (result.terminated) return EpisodeEnd::kTerminated;
  return result.steps < length ? EpisodeEnd::kCutOff : EpisodeEnd::kLength;
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
