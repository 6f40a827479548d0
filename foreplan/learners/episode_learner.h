// What the loops share that play one episode after another.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "foreplan/control/episode.h"
#include "foreplan/control/reconnect.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/learner.h"

namespace foreplan {

/// Environment, data, and the counting of episodes; everything is told to the observers. A loop
/// derives from it and says in Step() what acts, and what it makes of the episode.
class EpisodeLearner : public Learner {
 public:
  explicit EpisodeLearner(const LearnerContext& context,
                          const EnvironmentOptions& environment = {});
  /// Reads section environment of `config`.
  EpisodeLearner(Config& config, const LearnerContext& context);

  void AddData(const Dataset& data) override { data_.AddEpisodes(data); }
  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset data) override;
  [[nodiscard]] const Dataset& data() const override { return data_; }

  /// Section environment.
  static void WriteSections(const RunOptions& run, Config& config, ConfigWriter& writer);

 protected:
  [[nodiscard]] const LearnerContext& context() const { return context_; }
  /// The run's options are used up.
  [[nodiscard]] bool Done() const { return context_.run.IsOver(episodes_, total_steps_); }
  [[nodiscard]] int episodes() const { return episodes_; }        // finished
  [[nodiscard]] int total_steps() const { return total_steps_; }  // taken
  /// Of all that is random in the next episode, and of nothing else: what is resumed draws the
  /// same. The episode itself folds it with 0 to 3.
  [[nodiscard]] Key EpisodeKey() const;

  using StepFunction = std::function<void(const EpisodeStep& step)>;
  /// One episode of a policy, which `name` stands for in the log. `observe` is called after each
  /// step and adds it to the data: AddToData, when there is nothing else to do. Afterwards
  /// Checkpoint() is due. Throws Interrupted when the run is asked to stop, EnvironmentFailure, and
  /// RunError for an episode without a step.
  EpisodeResult PlayEpisode(const std::string& name, Policy& policy, const StepFunction& observe);
  EpisodeResult PlayEpisode(const std::string& name, Policy& policy);
  /// The transition joins the data, as one of the episode that is being played.
  void AddToData(const EpisodeStep& step) { data_.Add(AsTransition(step, episode_id_)); }
  /// The same without a trace: no episode of the run. Throws EnvironmentFailure, Interrupted.
  EpisodeResult Act(Policy& policy, Key key, int max_steps, const StepFunction& observe);
  /// Told before OnStep and OnEpisodeEnd are, by those who have more to tell.
  virtual void TellOfStep(const EpisodeStep& /*step*/) {}
  virtual void TellOfEpisode() {}
  /// To begin with data that were there before.
  Dataset& data_before() { return data_; }
  void RestoreEpisodes(int episodes, int total_steps, Dataset data);
  /// Saves the run, between two episodes.
  void Checkpoint() const { Tell(&RunObserver::OnStateComplete, *this); }
  void Record(std::string_view name, double value) const;

 private:
  [[nodiscard]] int StepsLeft() const;

  const LearnerContext context_;
  Key key_;
  std::shared_ptr<Environment> environment_;
  EnvironmentOptions reconnecting_;
  Dataset data_;
  int episode_id_ = 0;   // in the data, of the episode that is being played
  int episodes_ = 0;     // finished
  int total_steps_ = 0;  // taken
};

}  // namespace foreplan
