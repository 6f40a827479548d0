// Environments of one task that are stepped together.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_episode.h"

namespace foreplan {

/// When an environment whose episode is over begins the next.
enum class Autoreset {
  kNextStep,  // in the step after, whose action is ignored and which earns 0
  kSameStep,  // within the step that ended it; what was seen last is kept
  kDisabled,  // when it is told to
};

struct EnvironmentBatchOptions {
  int count = 1;
  int observed = 0;                                 // components shown, the first; 0: all
  int max_steps = std::numeric_limits<int>::max();  // of an episode, which is then truncated
  Autoreset autoreset = Autoreset::kNextStep;
};

/// Each environment has its own sequence of episodes, episode e with the random numbers of
/// EpisodeKeys(key.Fold(e)): what happens in one is a function of its key and its actions, whatever
/// the others and the threads do. Steps allocate nothing.
///
/// A step that comes to no number truncates the episode: it earns 0, what was seen before is seen
/// again, and `troubles` says why. One call at a time.
class EnvironmentBatch {
 public:
  /// Throws InputError for options out of range, and where the task has but one environment for
  /// all.
  EnvironmentBatch(const Task& task, const EnvironmentBatchOptions& options);

  [[nodiscard]] int count() const { return static_cast<int>(places_.size()); }
  [[nodiscard]] int observed() const { return static_cast<int>(observed_); }
  [[nodiscard]] int state_dim() const { return static_cast<int>(state_dim_); }  // 0: none is shown

  /// The next Reset begins the first episode of that key.
  void Seed(int environment, Key key);
  /// Begins an episode in all environments, or where `chosen` [count] is not 0; in the states
  /// [count x state_dim], if there are some. Throws RunError for a start that is no number, and
  /// InputError for states of what shows none.
  void Reset(Executor& executor, std::span<const uint8_t> chosen = {},
             std::span<const double> states = {});
  /// actions: [count x nu]; entries outside the bounds are clamped. Throws InputError for an
  /// environment that has not begun or waits for a reset, what environments and rewards throw, and
  /// RunError for a start that is no number.
  void Step(std::span<const double> actions, Executor& executor);
  /// What as many Steps do, but none waits for the others: actions are [steps x count x nu]. What
  /// the last step gave remains.
  void RollOut(std::span<const double> actions, int steps, Executor& executor);

  // Of the last Reset or Step; memory that stays where it is.
  [[nodiscard]] std::span<const double> observations() const { return observations_; }
  /// kSameStep: as they were before the reset, where an episode ended.
  [[nodiscard]] std::span<const double> final_observations() const { return final_observations_; }
  [[nodiscard]] std::span<const double> rewards() const { return rewards_; }
  [[nodiscard]] std::span<const uint8_t> terminated() const { return terminated_; }
  [[nodiscard]] std::span<const uint8_t> truncated() const { return truncated_; }
  /// Of an environment: why its last step came to no number, mostly "".
  [[nodiscard]] const std::string& trouble(int environment) const {
    return places_[static_cast<size_t>(environment)].trouble;
  }
  /// Of Systems: [count x state_dim].
  [[nodiscard]] std::span<const double> states() const { return states_; }
  /// One as it is; a System that stands for others too, until the next call.
  [[nodiscard]] const Environment& environment(int index) {
    return Enter(static_cast<size_t>(index), 0);
  }

 private:
  struct Place {
    std::shared_ptr<Environment> own;  // null: a System, which a worker's stands for
    TaskEpisode episode;
    std::vector<double> action;  // [nu]
    Key key;
    uint64_t episodes = 0;  // that have begun
    std::string trouble;
  };

  /// Calls work(i) for every place, whose episode is then in an environment as the last call left
  /// it.
  template <typename Work>
  void ForPlaces(Executor& executor, const Work& work);
  Environment& Enter(size_t i, size_t worker);
  void Leave(size_t i, size_t worker);
  void Begin(size_t i, std::span<const double> state);
  /// And forgets what the step before gave.
  void BeginAnew(size_t i, std::span<const double> state);
  void StepOne(size_t i, std::span<const double> action);
  /// Reward, flags and observation of the action.
  void Act(size_t i, std::span<const double> action);
  [[nodiscard]] bool IsOver(size_t i) const { return terminated_[i] != 0 || truncated_[i] != 0; }
  [[nodiscard]] std::span<double> Row(std::vector<double>& rows, size_t i) const {
    return std::span(rows).subspan(i * observed_, observed_);
  }

  Task task_;
  EnvironmentBatchOptions options_;
  size_t action_dim_;
  size_t observed_;
  size_t state_dim_ = 0;
  // A simulator for each worker, which stays in its cache, instead of one for each place: what is
  // known of a System is its state.
  std::vector<std::shared_ptr<System>> simulators_;
  std::vector<double> states_;  // [count x state_dim]
  std::vector<Place> places_;
  std::vector<double> observations_;        // [count x observed]
  std::vector<double> final_observations_;  // [count x observed]
  std::vector<double> rewards_;             // [count]
  std::vector<uint8_t> terminated_;         // [count]
  std::vector<uint8_t> truncated_;          // [count]
};

}  // namespace foreplan
