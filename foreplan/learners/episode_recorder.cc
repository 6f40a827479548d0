#include "foreplan/learners/episode_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/files.h"
#include "foreplan/runs/machine.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kRecorderStream = 0x7265636f;  // runs derive their keys from others of the seed
constexpr std::string_view kBegin = "episode_";
constexpr std::string_view kEnd = ".safetensors.gz";
constexpr size_t kHeaderBytes = 50'000;  // names, units and shapes, at most that many as a rule

/// Recordings in a folder, whole or half written.
std::vector<fs::path> FilesIn(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(kBegin)) files.push_back(entry.path());
  }
  return files;
}

/// The number in the name of a whole recording.
std::optional<int> NumberOf(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!name.ends_with(kEnd)) return {};
  int number = 0;
  const char* end = name.data() + name.size() - kEnd.size();
  const auto [stop, error] = std::from_chars(name.data() + kBegin.size(), end, number);
  if (error != std::errc() || stop != end) return {};
  return number;
}

template <typename T>
void Append(std::span<const double> values, std::vector<T>& to) {
  for (const double value : values) to.push_back(static_cast<T>(value));
}

/// Keeps every other of `count` rows that lie behind each other.
void KeepEveryOther(size_t count, std::vector<float>& rows) {
  const size_t size = rows.size() / count;
  for (size_t row = 2; row < count; row += 2) {
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(row * size), size,
                rows.begin() + static_cast<std::ptrdiff_t>(row / 2 * size));
  }
  rows.resize((count + 1) / 2 * size);
}

/// How many of `plans` are kept of every so manyth.
size_t CountOf(int64_t plans, int every) {
  return static_cast<size_t>((plans + every - 1) / every);
}

/// Row by row, up to where it is no number any more.
void KeepDistribution(const TrajectoryDistribution& expected, EpisodeRecording& recording) {
  for (size_t t = 0; t < expected.state_mean.size(); ++t) {
    const Eigen::VectorXd& mean = expected.state_mean[t];
    const Eigen::MatrixXd& covariance = expected.state_covariance[t];
    if (!mean.allFinite() || !covariance.allFinite()) return;
    recording.expected_mean.insert(recording.expected_mean.end(), mean.begin(), mean.end());
    recording.expected_covariance.insert(recording.expected_covariance.end(), covariance.data(),
                                         covariance.data() + covariance.size());  // symmetric
  }
}

}  // namespace

void RecordOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, RecordedEpisodes>> kEpisodes = {
      {"none", RecordedEpisodes::kNone},
      {"last", RecordedEpisodes::kLast},
      {"all", RecordedEpisodes::kAll}};
  visitor.Choice("episodes", episodes, std::span(kEpisodes),
                 "that are recorded, one file each: none, the last of the run, all");
  visitor.Field("futures", futures, {0, 1000}, "sampled of every plan");
  visitor.Field(
      "mb", mb, {0.1, 1000},
      "of one recording before it is packed; beyond it fewer plans keep what was imagined");
}

EpisodeRecorder::EpisodeRecorder(Task task, int seed, fs::path folder, const RecordOptions& options)
    : task_(std::move(task)),
      folder_(std::move(folder)),
      options_(Validated("record", options)),
      seed_(seed),
      key_{static_cast<uint64_t>(seed), kRecorderStream} {}

void EpisodeRecorder::OnEpisodeBegin(const EpisodeBegin& episode) {
  is_recording_ = options_.episodes == RecordedEpisodes::kAll ||
                  (options_.episodes == RecordedEpisodes::kLast && episode.may_be_last);
  if (!is_recording_) return;
  const auto* system = dynamic_cast<const System*>(&episode.environment);
  EpisodeRecording fresh;
  fresh.program = VersionsJson()["foreplan"].get<std::string>();
  fresh.task = task_.name();
  fresh.controller = episode.controller;
  fresh.episode = episode.episode;
  fresh.seed = seed_;
  fresh.condition = episode.condition;
  fresh.dt = task_.spec().dt;
  fresh.observation = task_.spec().observation;
  fresh.action = task_.spec().action;
  if (system != nullptr) fresh.state = system->spec().state;
  if (episode.expected) KeepDistribution(episode.expected(), fresh);
  recording_ = std::move(fresh);
}

void EpisodeRecorder::OnPlan(const MadePlan& made) {
  if (!is_recording_) return;
  KeepPlan(made);
  const auto number = static_cast<int>(recording_.plan_count()) - 1;
  const bool is_imagined = number % recording_.imagined_every == 0;
  const bool has_futures = number % recording_.futures_every == 0 && options_.futures > 0;
  if (!is_imagined && !has_futures) return;
  if (!rollout_ || rollout_->dynamics() != made.model.dynamics) {
    std::shared_ptr<const Reward> reward = made.model.reward;
    if (reward == nullptr && !task_.planning_reward_is_learned()) {
      reward = task_.shared_planning_reward();
    }
    rollout_.emplace(made.model.dynamics, std::move(reward));
  }
  if (is_imagined) Imagine(made);
  if (has_futures) ImagineFutures(made);
  HoldBound();
}

void EpisodeRecorder::KeepPlan(const MadePlan& made) {
  const auto horizon = static_cast<int>(made.plan.actions.size() / recording_.action.size());
  if (recording_.plan_count() == 0) recording_.horizon = horizon;
  if (horizon != recording_.horizon) {
    throw RunError(
        fmt::format("record: a plan of {} steps: found one of {} before it, expected "
                    "all of an episode to be of one length",
                    horizon, recording_.horizon));
  }
  recording_.first_steps.push_back(static_cast<int32_t>(made.plan.first_step));
  recording_.expected_returns.push_back(made.plan.expected_return);
  Append(made.plan.actions, recording_.planned_actions);
}

void EpisodeRecorder::Imagine(const MadePlan& made) {
  const size_t size = static_cast<size_t>(recording_.horizon + 1) * recording_.observation.size();
  recording_.imagined.resize(recording_.imagined.size() + size);
  rollout_->Expect(made.state, made.plan.actions, std::span(recording_.imagined).last(size));
}

void EpisodeRecorder::ImagineFutures(const MadePlan& made) {
  recording_.futures = options_.futures;
  const size_t sequence = made.plan.actions.size();
  candidates_.resize(static_cast<size_t>(options_.futures) * sequence);
  const int count = made.planner.CopyCandidates(candidates_);
  const Key key = key_.Fold(static_cast<uint64_t>(recording_.episode))
                      .Fold(static_cast<uint64_t>(made.plan.first_step));
  const size_t size = static_cast<size_t>(recording_.horizon + 1) * recording_.observation.size();
  for (int i = 0; i < options_.futures; ++i) {
    // Where there are fewer candidates, they have several futures each; where there are none, the
    // plan has.
    const std::span<const double> actions =
        count == 0
            ? std::span(made.plan.actions)
            : std::span(candidates_).subspan(static_cast<size_t>(i % count) * sequence, sequence);
    recording_.future_observations.resize(recording_.future_observations.size() + size);
    const double earned =
        rollout_->Sample(made.state, actions, {.number = i, .count = options_.futures, .key = key},
                         std::span(recording_.future_observations).last(size));
    constexpr double kMost = std::numeric_limits<float>::max();
    recording_.future_returns.push_back(static_cast<float>(std::min(earned, kMost)));
  }
}

// First fewer plans have futures, then fewer are imagined; one of each stays.
void EpisodeRecorder::HoldBound() {
  EpisodeRecording& r = recording_;
  const auto most = static_cast<size_t>(1e6 * options_.mb);
  while (r.bytes() + kHeaderBytes > most) {
    const size_t with_futures = r.futures > 0 ? CountOf(r.plan_count(), r.futures_every) : 0;
    const size_t imagined = CountOf(r.plan_count(), r.imagined_every);
    if (with_futures > 1) {
      KeepEveryOther(with_futures, r.future_observations);
      KeepEveryOther(with_futures, r.future_returns);
      r.futures_every *= 2;
    } else if (imagined > 1) {
      KeepEveryOther(imagined, r.imagined);
      r.imagined_every *= 2;
    } else {
      return;
    }
  }
}

void EpisodeRecorder::OnStep(const ObservedStep& observed) {
  if (!is_recording_) return;
  const EpisodeStep& step = observed.step;
  if (step.time == 0) {
    Append(step.observation, recording_.observations);
    Append(step.state, recording_.states);
  }
  Append(step.next_observation, recording_.observations);
  Append(step.next_state, recording_.states);
  Append(step.action, recording_.actions);
  recording_.rewards.push_back(step.reward);
  recording_.ends.push_back(step.end);
  recording_.plans.push_back(static_cast<int32_t>(recording_.plan_count()) - 1);
  if (recording_.bytes() + kHeaderBytes <= kLargestEpisodeRecording) return;
  is_recording_ = false;  // no reader would take it
  recording_ = EpisodeRecording();
}

void EpisodeRecorder::OnEpisodeEnd(const EpisodeRow& episode) {
  if (!std::exchange(is_recording_, false) || episode.steps == 0) return;
  if (recording_.ends.back() == StepEnd::kContinues) recording_.ends.back() = StepEnd::kTruncated;
  recording_.episode_return = episode.episode_return;
  recording_.end = NameOf(episode.end);
  recording_.note = episode.note;
  if (recording_.plan_count() > 0) HoldBound();
  const auto frames = static_cast<size_t>(recording_.steps()) + 1;
  const size_t no = recording_.observation.size();
  if (recording_.expected_mean.size() > frames * no) {  // it ended before its time
    recording_.expected_mean.resize(frames * no);
    recording_.expected_covariance.resize(frames * no * no);
  }
  if (const std::error_code error = MakeFolderDurably(folder_)) {
    throw RunError(fmt::format("{}: cannot be made: {}", folder_.string(), error.message()));
  }
  const fs::path file = RecordingFile(folder_, recording_.episode);
  WriteEpisodeRecording(file, recording_);
  if (options_.episodes != RecordedEpisodes::kLast) return;
  std::error_code error;  // what stays does no harm
  for (const fs::path& other : FilesIn(folder_)) {
    if (other != file) fs::remove(other, error);
  }
}

fs::path RecordingFile(const fs::path& folder, int episode) {
  return folder / fmt::format("{}{:06}{}", kBegin, episode, kEnd);
}

std::vector<fs::path> RecordingsIn(const fs::path& folder) {
  std::vector<fs::path> files = FilesIn(folder);
  std::erase_if(files, [](const fs::path& file) { return !NumberOf(file); });
  std::ranges::sort(files, {}, [](const fs::path& file) { return *NumberOf(file); });
  return files;
}

void RemoveRecordingsAfter(const fs::path& folder, int last) {
  std::error_code error;  // what stays is replaced or does no harm
  for (const fs::path& file : FilesIn(folder)) {
    if (const std::optional<int> number = NumberOf(file); number && *number <= last) continue;
    fs::remove(file, error);
  }
}

}  // namespace foreplan
