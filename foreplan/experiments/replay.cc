#include "foreplan/experiments/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/episode_recording.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void CheckNames(const std::string& file, const char* what, const std::vector<Component>& found,
                const std::vector<Component>& expected) {
  for (size_t i = 0; i < std::max(found.size(), expected.size()); ++i) {
    const std::string here = i < found.size() ? "'" + found[i].name + "'" : "none";
    const std::string wanted = i < expected.size() ? "'" + expected[i].name + "'" : "no more";
    if (here == wanted) continue;
    throw InputError(fmt::format("{}: found {} as component {} of the {}, expected {}", file, here,
                                 i + 1, what, wanted));
  }
}

StateRecording OfEpisode(const SystemSpec& spec, const fs::path& path) {
  const EpisodeRecording episode = ReadEpisodeRecording(path);
  const std::string file = path.string();
  if (episode.state.empty()) {
    throw InputError(fmt::format(
        "{}: found no states, expected a recording of a system whose state can be seen", file));
  }
  CheckNames(file, "state", episode.state, spec.state);
  CheckNames(file, "observation", episode.observation, spec.observation);
  CheckNames(file, "action", episode.action, spec.action);
  return {{{.states = episode.states,
            .observations = episode.observations,
            .actions = episode.actions,
            .rewards = episode.rewards,
            .ends = episode.ends}},
          {}};
}

/// Flat rows of a JSON file: [count x width], of which `width` follows.
std::vector<double> FlatRows(const std::string& file, const nlohmann::json& data, const char* key,
                             size_t count) {
  auto values = data.at(key).get<std::vector<double>>();
  if (count == 0 || values.size() % count == 0) return values;
  throw InputError(fmt::format("{}: {}: found {} numbers, expected as many for each of {} rows",
                               file, key, values.size(), count));
}

/// Appends rows of [found] to rows of [expected], whose rest is `rest`.
void AppendRows(const std::string& file, const char* what, std::span<const double> rows,
                size_t count, std::span<const double> rest, std::vector<double>& all) {
  const size_t found = count > 0 ? rows.size() / count : 0;
  if (found > rest.size()) {
    throw InputError(fmt::format("{}: found {} numbers of the {} in a row, expected at most {}",
                                 file, found, what, rest.size()));
  }
  for (size_t row = 0; row < count; ++row) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row * found);
    all.insert(all.end(), begin, begin + static_cast<std::ptrdiff_t>(found));
    all.insert(all.end(), rest.begin() + static_cast<std::ptrdiff_t>(found), rest.end());
  }
}

StateRecording OfJson(const SystemSpec& spec, const fs::path& path) {
  const std::string file = path.string();
  StateRecording recording;
  RecordedEpisode episode;
  try {
    const nlohmann::json data = nlohmann::json::parse(ReadFile(path));
    const auto steps = data.at("steps").get<size_t>();
    const nlohmann::json& initial = data.at("initial");
    std::vector<double> states = FlatRows(file, initial, "qpos", 1);
    const std::vector<double> velocity = FlatRows(file, initial, "qvel", 1);
    states.insert(states.end(), velocity.begin(), velocity.end());
    const std::vector<double> qpos = FlatRows(file, data, "qpos", steps);
    const std::vector<double> qvel = FlatRows(file, data, "qvel", steps);
    const size_t nq = qpos.size() / std::max<size_t>(steps, 1);
    const size_t nv = qvel.size() / std::max<size_t>(steps, 1);
    for (size_t row = 0; row < steps; ++row) {
      const auto add = [&](const std::vector<double>& rows, size_t width) {
        const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row * width);
        states.insert(states.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
      };
      add(qpos, nq);
      add(qvel, nv);
    }
    const std::vector<double> no_state(spec.state.size(), kNan);
    const std::vector<double> no_observation(spec.observation.size(), kNan);
    AppendRows(file, "state", states, steps + 1, no_state, episode.states);
    std::vector<double> observations = FlatRows(file, initial, "obs", 1);
    const std::vector<double> later = FlatRows(file, data, "obs", steps);
    observations.insert(observations.end(), later.begin(), later.end());
    AppendRows(file, "observation", observations, steps + 1, no_observation, episode.observations);
    episode.actions = FlatRows(file, data, "action", steps);
    episode.rewards = data.at("reward").get<std::vector<double>>();
    if (episode.rewards.size() != steps || episode.actions.size() != steps * spec.action.size()) {
      throw InputError(fmt::format(
          "{}: found {} rewards and {} numbers of actions, expected {} and {}", file,
          episode.rewards.size(), episode.actions.size(), steps, steps * spec.action.size()));
    }
  } catch (const nlohmann::json::exception& error) {
    throw InputError(
        fmt::format("{}: expected a JSON object with steps, initial, qpos, qvel, obs, action and "
                    "reward: {}",
                    file, error.what()));
  }
  recording.notes.emplace_back("ends are not recorded");
  const size_t given = static_cast<size_t>(
      std::ranges::count_if(episode.states.begin(), episode.states.begin() + std::ssize(spec.state),
                            [](double value) { return !std::isnan(value); }));
  if (given < spec.state.size()) {
    recording.notes.push_back(
        fmt::format("components of the state from '{}' on are not recorded and stay as a reset "
                    "leaves them",
                    spec.state[given].name));
  }
  recording.episodes.push_back(std::move(episode));
  return recording;
}

/// Rows that do not follow each other are episodes of their own.
StateRecording OfLog(const EnvironmentSpec& observed, const SystemSpec& spec, const fs::path& file,
                     const LogOptions& options) {
  RecordingColumns columns = ColumnsOf(observed);
  RecordingColumns state_columns = columns;
  state_columns.observation = Names(spec.state);
  state_columns.observation_units = Units(spec.state);
  const Recording states = ReadRecording(file, state_columns, options);
  StateRecording recording{{}, states.notes};
  std::optional<Recording> observations;
  try {
    observations = ReadRecording(file, columns, options);
  } catch (const InputError& error) {
    recording.notes.push_back(fmt::format("observations are not compared: {}", error.what()));
  }
  const auto append = [](std::vector<double>& all, std::span<const double> row) {
    all.insert(all.end(), row.begin(), row.end());
  };
  const std::vector<double> no_observation(spec.observation.size(), kNan);
  for (int64_t row = 0; row < states.data.size(); ++row) {
    if (row == 0 || !states.data.continues(row)) {
      RecordedEpisode& begun = recording.episodes.emplace_back();
      append(begun.states, states.data.observation(row));
      append(begun.observations,
             observations ? observations->data.observation(row) : no_observation);
    }
    RecordedEpisode& episode = recording.episodes.back();
    append(episode.states, states.data.next_observation(row));
    append(episode.observations,
           observations ? observations->data.next_observation(row) : no_observation);
    append(episode.actions, states.data.action(row));
    episode.rewards.push_back(states.data.reward(row));
    episode.ends.push_back(states.data.end(row));
  }
  return recording;
}

/// Keeps the larger, of numbers that are there.
void Raise(double& largest, double found, double recorded) {
  if (std::isnan(recorded)) return;
  const double error = std::abs(found - recorded);
  if (std::isnan(largest) || !(error <= largest)) largest = error;
}

class Replayer {
 public:
  explicit Replayer(const Task& task)
      : task_(task),
        system_(task.MakeSystem()),
        reset_(system_->spec().state.size()),
        state_(reset_.size()),
        observation_(task.spec().observation.size()),
        next_observation_(observation_.size()) {
    errors_.state.assign(reset_.size(), kNan);
    errors_.observation.assign(observation_.size(), kNan);
    system_->Reset(Key{});
    system_->GetState(reset_);
  }

  void Play(const RecordedEpisode& episode, int64_t number, ReplayMode mode) {
    for (int64_t step = 0; step < episode.steps(); ++step) {
      if (step == 0 || mode == ReplayMode::kOneStep) Begin(episode, step);
      if (!Step(episode, step, number) && mode == ReplayMode::kFreeRunning) return;
    }
  }

  [[nodiscard]] const ReplayErrors& errors() const { return errors_; }

 private:
  static std::span<const double> Row(const std::vector<double>& rows, int64_t row, size_t width) {
    return std::span(rows).subspan(static_cast<size_t>(row) * width, width);
  }

  /// In the recorded state, as far as it is recorded.
  void Begin(const RecordedEpisode& episode, int64_t step) {
    const auto recorded = Row(episode.states, step, reset_.size());
    for (size_t i = 0; i < reset_.size(); ++i) {
      state_[i] = std::isnan(recorded[i]) ? reset_[i] : recorded[i];
    }
    system_->SetState(state_);
    system_->Observe(observation_);
    if (step == 0) Compare(errors_.observation, observation_, episode.observations, 0);
  }

  static void Compare(std::vector<double>& largest, std::span<const double> found,
                      const std::vector<double>& rows, int64_t row) {
    const auto recorded = Row(rows, row, found.size());
    for (size_t i = 0; i < found.size(); ++i) Raise(largest[i], found[i], recorded[i]);
  }

  /// False where the system diverges.
  bool Step(const RecordedEpisode& episode, int64_t step, int64_t number) {
    ++errors_.steps;
    const auto action = Row(episode.actions, step, task_.spec().action.size());
    const StepOutcome outcome = system_->Step(action);
    if (outcome.status != StepStatus::kOk) {
      if (errors_.diverged++ == 0) {
        errors_.first_divergence =
            fmt::format("step {} of episode {}: {}", step, number, system_->Divergence());
      }
      return false;
    }
    system_->GetState(state_);
    system_->Observe(next_observation_);
    Compare(errors_.state, state_, episode.states, step + 1);
    Compare(errors_.observation, next_observation_, episode.observations, step + 1);
    Judge(outcome, action.data(), episode, step);
    std::swap(observation_, next_observation_);
    return true;
  }

  void Judge(const StepOutcome& outcome, const double* action, const RecordedEpisode& episode,
             int64_t step) {
    double reward = 0;
    uint8_t terminated = 0;
    if (task_.termination() != nullptr) {
      task_.termination()->Evaluate({.rows = 1,
                                     .observation = observation_.data(),
                                     .action = action,
                                     .next_observation = next_observation_.data()},
                                    &reward, &terminated);
    }
    if (task_.environment_pays()) reward = outcome.reward.value_or(kNan);
    Raise(errors_.reward, reward, episode.rewards[static_cast<size_t>(step)]);
    if (episode.ends.empty()) return;
    const bool ends = terminated != 0 || outcome.end == StepEnd::kTerminated;
    const bool ended = episode.ends[static_cast<size_t>(step)] == StepEnd::kTerminated;
    errors_.wrong_ends = errors_.wrong_ends.value_or(0) + (ends != ended ? 1 : 0);
  }

  const Task& task_;
  std::unique_ptr<System> system_;
  std::vector<double> reset_;                           // a state: [ns]
  std::vector<double> state_;                           // [ns]
  std::vector<double> observation_, next_observation_;  // the system's own: [no]
  ReplayErrors errors_;
};

}  // namespace

StateRecording ReadStates(const Task& task, const fs::path& file, const LogOptions& options) {
  const auto system = task.MakeSystem();
  const std::string extension = file.extension().string();
  if (extension == ".gz") return OfEpisode(system->spec(), file);
  if (extension == ".json") return OfJson(system->spec(), file);
  return OfLog(task.spec(), system->spec(), file, options);
}

ReplayErrors Replay(const Task& task, const StateRecording& recording, ReplayMode mode) {
  Replayer replayer(task);
  int64_t number = 0;
  for (const RecordedEpisode& episode : recording.episodes) replayer.Play(episode, ++number, mode);
  return replayer.errors();
}

}  // namespace foreplan
