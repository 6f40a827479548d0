// Model-based reinforcement learning v1.5: plan at every step through a learned model, execute the
// first action, refit every N steps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/learner.h"
#include "foreplan/models/ensemble.h"
#include "foreplan/models/ensemble_trainer.h"
#include "foreplan/models/model_error.h"
#include "foreplan/planners/planner.h"

namespace foreplan {

/// Section [mpc].
struct MpcOptions {
  int refit_every = 0;  // steps between fits; 0: at the end of each episode
  std::string base_policy = "uniform";
  int base_episodes = 1;  // episodes of the base policy before the first fit

  void Visit(OptionsVisitor& visitor);
};

/// The v1.5 loop (Chua et al. 2018, algorithm 1, with a choice of when to refit):
///   base policy -> fit -> repeat (plan, execute the first action, observe, add), refit every N.
class MpcLearner final : public Learner {
 public:
  /// Reads sections mpc, model, fit and planner.<name> of `config`.
  MpcLearner(Config& config, const LearnerContext& context);

  void Run() override;
  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state) override;
  [[nodiscard]] TensorFile Model() const override;
  [[nodiscard]] TensorFile Data() const override;
  Policy& controller() override { return controller_; }
  [[nodiscard]] RunTimes times() const override { return times_; }

 private:
  struct EpisodeLog;  // what one episode leaves in metrics.csv

  [[nodiscard]] bool Done() const;
  [[nodiscard]] Key EpisodeKey(int episode) const;
  [[nodiscard]] int StepsLeft() const;
  void PlayEpisode(Policy& policy, const std::string& name);
  void Observe(const EpisodeStep& step, EpisodeLog& log);
  [[nodiscard]] double PlanningReward(const EpisodeStep& step) const;
  void Refit();
  void JudgeNewData();
  void Report(const EpisodeResult& result, const std::string& policy_name, const EpisodeLog& log);
  void Show(const EpisodeStep& step, const EpisodeLog& log, const std::string& activity);

  const LearnerContext context_;
  MpcOptions options_;
  Key key_;
  std::unique_ptr<System> system_;
  Dataset data_;
  Ensemble model_;
  EnsembleTrainer trainer_;
  ModelJudge judge_;
  std::unique_ptr<Policy> base_policy_;
  std::unique_ptr<Planner> planner_;
  MpcController controller_;
  RunTimes times_;
  int episodes_ = 0;         // finished
  int total_steps_ = 0;      // taken
  int fits_ = 0;             // done
  int64_t fitted_rows_ = 0;  // rows of data_ the last fit has seen
};

}  // namespace foreplan
