// An observer of one's own: it looks on while a learner runs, and compares what plans promised with
// what became of them. Logs, displays and checkpoints are observers, too.
#include <fmt/core.h>

#include <memory>

#include "foreplan/foreplan.h"

/// Called in the order things happen, by the thread that runs the learner; what it is given is
/// valid during the call. What is not overridden does nothing; what it throws ends the run.
class PlanWatcher final : public foreplan::RunObserver {
 public:
  void OnEpisodeBegin(const foreplan::EpisodeBegin& /*episode*/) override {
    promised_ = earned_ = 0;
    plans_ = steps_ = 0;
  }
  // The plan whose first action the next step executes.
  void OnPlan(const foreplan::MadePlan& made) override {
    const auto horizon = static_cast<double>(made.plan.actions.size());  // one action a step
    promised_ += made.plan.expected_return / horizon;
    ++plans_;
  }
  void OnStep(const foreplan::ObservedStep& observed) override {
    earned_ += observed.step.reward;
    ++steps_;
  }
  void OnEpisodeEnd(const foreplan::EpisodeRow& row) override {
    fmt::print("episode {} by {}: {:.3f} per step", row.episode, row.controller, earned_ / steps_);
    if (plans_ > 0) fmt::print(", promised {:.3f} by {} plans", promised_ / plans_, plans_);
    fmt::print("\n");
    planned_ += plans_;
    seen_ += steps_;
  }

  int planned() const { return planned_; }
  int seen() const { return seen_; }

 private:
  double promised_ = 0, earned_ = 0;  // of this episode
  int plans_ = 0, steps_ = 0;         // of this episode
  int planned_ = 0, seen_ = 0;
};

int main() {
  auto [task, config] =
      foreplan::Task::Load("cartpole_closed_form",
                           {"episode_length=100", "model.width=64", "planner.icem.population=60"});
  const foreplan::RunOptions run{.episodes = 3};
  const auto learner = foreplan::MakeLearner("mpc", config, {task, run});
  const auto watcher = std::make_shared<PlanWatcher>();
  learner->AddObserver(watcher);
  learner->Run();
  // Every step is told, and every step but those of the first episode has a plan.
  return watcher->seen() == 300 && watcher->planned() == 200 ? 0 : 1;
}
