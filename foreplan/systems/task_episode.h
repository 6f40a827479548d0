// One episode of a task in an environment, step by step: what is seen of it, what it earns, how it
// ends. Who acts is no part of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/transition.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// Whatever is random in an episode.
struct EpisodeKeys {
  EpisodeKeys() = default;
  /// Streams of one key.
  explicit EpisodeKeys(Key key);

  Key environment;   // of its reset
  Key policy;        // of its reset
  Key decisions;     // folded with the time
  Key measurements;  // folded with the time
};

/// What an action led to.
struct TaskStep {
  double reward = 0;
  StepEnd end = StepEnd::kContinues;  // as the environment or the task's reward says
};

/// The reward is what the environment pays where the task says so, otherwise the task's; either may
/// end the episode. Limits of time are others' business. Allocates nothing in a step. What the
/// environment or the reward throw becomes a RunError that says whose code it was.
class TaskEpisode {
 public:
  /// The environment outlives it. Throws InputError for one of other sizes than the task's.
  TaskEpisode(const Task& task, Environment& environment);

  /// Resets the environment, and puts a System into `state` [state_dim] where there is one. "" or
  /// what is no number at the start.
  [[nodiscard]] std::string Begin(const EpisodeKeys& keys, std::span<const double> state = {});

  /// Clamps the action and carries it out. "" or why it came to no number: then it was no
  /// transition, and the episode is over. Throws EnvironmentFailure.
  [[nodiscard]] std::string Step(std::span<double> action, TaskStep& step);
  /// From now on it is in that environment, which is of the same task and in the state in which
  /// this episode is; it outlives it.
  void MoveTo(Environment& environment) { environment_ = &environment; }
  /// Once for every step: the observation after it is the one before the next.
  void Advance();

  [[nodiscard]] int time() const { return time_; }  // steps so far
  /// As they are measured (Task::measurement_noise), before and after the last step: [no].
  [[nodiscard]] const std::vector<double>& observation() const { return buffers_.measured; }
  [[nodiscard]] const std::vector<double>& next_observation() const {
    return buffers_.next_measured;
  }

 private:
  // One step's vectors, all [no].
  struct Buffers {
    explicit Buffers(const EnvironmentSpec& spec);

    std::vector<double> observation;
    std::vector<double> next_observation;
    std::vector<double> measured;  // the observation with the task's noise
    std::vector<double> next_measured;
  };

  static TransitionBatch AsBatch(const Buffers& buffers, std::span<const double> action);
  [[nodiscard]] std::string Judge(const StepOutcome& outcome, std::span<const double> action,
                                  TaskStep& step) const;
  [[nodiscard]] std::string TakePay(const StepOutcome& outcome, TaskStep& step) const;

  Task task_;
  Environment* environment_;
  Buffers buffers_;
  EpisodeKeys keys_;
  int time_ = 0;
};

/// What others' code throws becomes the error of a run that says whose code it was.
[[noreturn]] void RethrowAt(const char* whom, int time);

template <typename Function>
auto AskAt(const char* whom, int time, const Function& function) {
  try {
    return function();
  } catch (...) {
    RethrowAt(whom, time);
  }
}

}  // namespace foreplan
