// What the loops share that learn one model from one growing data set.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/control/plan_log.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/log_options.h"
#include "foreplan/learners/episode_learner.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/model_error.h"
#include "foreplan/planners/planner.h"

namespace foreplan {

/// What a loop over a model is made of.
struct ModelLearnerParts {
  std::shared_ptr<LearnedModel> model;    // of the task's sizes; fitted by this learner alone; null
                                          // in a loop that learns none
  std::shared_ptr<Planner> planner = {};  // with that model; null in a loop that does not plan
  EnvironmentOptions environment = {};
};

/// With the present version of the model and what the task wants.
[[nodiscard]] PlanningProblem ProblemOf(const LearnerContext& context, const LearnedModel& model);

/// Reads sections model, model.physics, fit, environment and, where `plans`, planner.<name> of the
/// run's planner, whose horizon `plan_horizon` replaces.
[[nodiscard]] ModelLearnerParts ReadModelLearnerParts(Config& config, const LearnerContext& context,
                                                      bool plans,
                                                      std::optional<int> plan_horizon = {});

/// Model, fits, base policy, planner (of loops that plan), and what is reported about them. A loop
/// derives from it and says in Step() what happens in which order.
class ModelLearner : public EpisodeLearner {
 public:
  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset data) override;
  [[nodiscard]] TensorFile Model() const override;
  [[nodiscard]] RunTimes times() const override { return times_; }
  /// Member `model`: what can be told of the last fit, of models that tell something.
  [[nodiscard]] nlohmann::ordered_json Results() const override;

  /// Environment, model, physics and fit, and the run's planner.
  static void WriteSections(const RunOptions& run, Config& config, ConfigWriter& writer);

 protected:
  /// Throws InputError for a model of other sizes than the task's, and for none where one is
  /// needed.
  ModelLearner(const LearnerContext& context, ModelLearnerParts parts,
               const std::string& base_policy, bool needs_model = true);

  /// Episodes of the base policy before the first fit: as configured, or none when the run begins
  /// with a model.
  [[nodiscard]] int BaseEpisodes(int configured) const {
    return begins_with_model() ? 0 : configured;
  }
  [[nodiscard]] bool begins_with_model() const { return !context().run.model.empty(); }
  [[nodiscard]] int fits() const { return fits_; }  // done
  [[nodiscard]] bool has_new_data() const { return fitted_rows_ < data().size(); }
  /// For loops with a model.
  [[nodiscard]] PlanningProblem problem() const { return ProblemOf(context(), *model_); }
  /// Null in a loop that learns none.
  [[nodiscard]] const std::shared_ptr<LearnedModel>& model() const { return model_; }
  /// Throws InputError where there is none.
  [[nodiscard]] const std::shared_ptr<Planner>& planner() const;
  /// What planners maximise, at every step of the last episode.
  [[nodiscard]] const std::vector<double>& last_rewards() const { return last_rewards_; }

  /// One episode of a policy, which `name` stands for in the log; a step that acts by a plan says
  /// so to the observers. `observe` is called after each step and adds it to the data: AddToData,
  /// when there is nothing else to do. Afterwards the state is saved before anything is made of it.
  void PlayEpisode(const std::string& name, PlanningPolicy& policy, const StepFunction& observe);
  void PlayEpisode(const std::string& name, Policy& policy);
  void PlayEpisode(const std::string& name, PlanningPolicy& policy);
  void PlayBaseEpisode();
  [[nodiscard]] int64_t rows_since_fit() const { return data().size() - fitted_rows_; }
  /// Fits the model to all data.
  void Refit();
  /// The model's error on transitions that it has not been fitted to, those since the last fit or
  /// the last call: what it was wrong about where it acted. False when there were none, or no fit.
  bool JudgeNewData();
  /// Its error on an episode of the base policy that is only measured, never learned from: where
  /// the first data came from. Such episodes are no experience and are not counted.
  void JudgeBasePolicy();
  /// Begins with the transitions of a file, see ReadRecording; columns are found by the names of
  /// the task's components. Not for a run that begins with a model, which brings its own data.
  void LoadData(const std::string& file, const LogOptions& options);
  /// Time spent on what an episode acts by, besides fits.
  void CountPlanning(double seconds) { times_.planning_seconds += seconds; }

 private:
  void BeginWithModel();
  void Play(const std::string& name, Policy& policy, const PlanningPolicy* planned,
            const StepFunction& observe);
  void TellOfStep(const EpisodeStep& step) final;
  void TellOfEpisode() final;
  void RecordModelError(const std::string& prefix, const ModelError& error) const;

  Key key_;
  std::shared_ptr<LearnedModel> model_;
  std::optional<ModelJudge> judge_;  // of the model, where there is one
  std::string base_policy_name_;
  std::unique_ptr<Policy> base_policy_;
  std::shared_ptr<Planner> planner_;         // null in a loop that does not plan
  const PlanningPolicy* planned_ = nullptr;  // of the episode that is played; null: it has no plans
  PlanLog plans_;                            // of that episode
  std::vector<double> last_rewards_;
  RunTimes times_;
  int fits_ = 0;             // done
  int64_t fitted_rows_ = 0;  // rows of data() the last fit has seen
  int64_t judged_rows_ = 0;  // rows of data() that the model has been judged on, or fitted to
};

}  // namespace foreplan
