#include "foreplan/data/log_rows.h"

namespace foreplan {

void AddTransitions(const std::vector<LogRow>& rows, bool has_times, Recording& recording) {
  const auto no = static_cast<size_t>(recording.data.observation_dim());
  const auto nu = static_cast<size_t>(recording.data.action_dim());
  int episode = 0;
  bool fresh = true;  // the next transition is the first of its episode
  for (size_t row = 0; row < rows.size(); ++row) {
    const LogRow& here = rows[row];
    fresh = fresh || here.begins;
    if (!HasNext(rows, row)) continue;
    if (fresh) ++episode;
    fresh = false;
    const bool continues = Continues(rows, row);
    // What a row without action says of an end, it says of the step that led to it.
    const bool is_said_behind =
        here.end == StepEnd::kContinues && continues && rows[row + 1].action == nullptr;
    recording.Add(
        {.observation = {here.observation, no},
         .action = {here.action, nu},
         .next_observation = {here.next != nullptr ? here.next : rows[row + 1].observation, no},
         .episode = episode,
         .reward = here.reward,
         .end = is_said_behind ? rows[row + 1].end : here.end},
        here.place);
    if (!has_times) continue;
    recording.times.push_back(here.time);
    recording.next_times.push_back(continues ? rows[row + 1].time : here.time + recording.dt);
  }
}

}  // namespace foreplan
