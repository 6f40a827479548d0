// Suite deadlines: what planners do with the time they are given, on a learned cart-pole.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/error.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {
namespace {

constexpr double kShort = 1;  // the deadline of the timed decisions [ms]
constexpr std::array kDeadlines = {1.0, 5.0, 20.0, 100.0, 0.0};  // [ms], 0: no limit

struct Sizes {
  int decisions = 1000;       // timed
  int steps = 200;            // of an episode
  int base_episodes = 5;      // of random actions, which the model learns from first
  int learning_episodes = 5;  // of iCEM without a limit, each after a fit
  int gradient_steps = 1000;
  int refits = 5;    // after each of which a decision is timed
  int episodes = 5;  // that a return is the mean of

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("decisions", decisions, {1, 1e6}, "timed");
    visitor.Field("steps", steps, {1, 200}, "of an episode");
    visitor.Field("base_episodes", base_episodes, {1, 1000}, "of random actions");
    visitor.Field("learning_episodes", learning_episodes, {0, 1000},
                  "of iCEM without a limit, each after a fit");
    visitor.Field("gradient_steps", gradient_steps, {1, 1e6}, "of the model's fit");
    visitor.Field("refits", refits, {1, 1000}, "after each of which a decision is timed");
    visitor.Field("episodes", episodes, {1, 1000}, "that a return is the mean of");
  }
};

enum class Decisions {
  kAll,    // one at every step
  kFirst,  // the shifted first plan is followed to the episode's end
};

/// Acts by a planner whose decisions take so long at most.
class TimedController final : public Policy {
 public:
  TimedController(const std::shared_ptr<Planner>& planner, const ModelSource& model,
                  double deadline_ms, Decisions decisions)
      : decisions_(decisions),
        timed_(planner, model, {.deadline = DecisionTime(deadline_ms)}),
        late_(planner, model, {.deadline = std::chrono::nanoseconds(0)}) {}

  void Reset(Key key) override { timed_.Reset(key); }
  void Act(const Situation& situation, std::span<double> action) override {
    const bool follows = decisions_ == Decisions::kFirst && situation.time > 0;
    MpcController& controller = follows ? late_ : timed_;
    controller.Act(situation, action);
    seconds.push_back(controller.new_plan()->seconds);
  }

  std::vector<double> seconds;  // of each decision

 private:
  Decisions decisions_;
  MpcController timed_;
  MpcController late_;  // no time: what is left of the last plan is executed
};

/// A model of the task cartpole_closed_form, learned as v1.5 does, and one planner.
class Trial {
 public:
  Trial(const std::string& planner, const Sizes& sizes, const std::shared_ptr<Executor>& executor)
      : sizes_(sizes),
        loaded_(Task::Load("cartpole_closed_form")),
        data_(task().spec().observation_dim(), task().spec().action_dim()),
        trainer_(std::make_shared<const Ensemble>(
                     task().spec(), task().encoding(),
                     ReadOptions<EnsembleOptions>(loaded_.second, "model"), Key{1, 0}),
                 Fits(sizes.gradient_steps), executor) {
    const PlanningProblem problem{trainer_.ensemble(), task().shared_planning_reward(),
                                  task().spec(), executor};
    const auto base = MakeBasePolicy("uniform", task().spec());
    for (int episode = 0; episode < sizes.base_episodes; ++episode) Record(*base, episode);
    Refit();
    const std::shared_ptr<Planner> learner = MakePlanner("icem", loaded_.second, problem);
    for (int episode = 0; episode < sizes.learning_episodes; ++episode) {
      TimedController controller(learner, trainer_.ensemble(), 0, Decisions::kAll);
      Record(controller, sizes.base_episodes + episode);
      Refit();
    }
    planner_ = MakePlanner(planner, loaded_.second, problem);
  }

  void Refit() { trainer_.Fit(data_, Key{3, fits_++}); }

  struct Played {
    double earned = 0;
    std::vector<double> seconds;  // of each decision
  };
  /// An episode; its decisions take deadline_ms at most, 0: no limit.
  Played Play(double deadline_ms, int steps, Decisions decisions = Decisions::kAll,
              int episode = 0) {
    TimedController controller(planner_, trainer_.ensemble(), deadline_ms, decisions);
    const auto system = task().MakeSystem();
    const Key key{4, static_cast<uint64_t>(episode)};
    const double earned = RunEpisode(task(), *system, controller, key, steps, {}).episode_return;
    return {earned, std::move(controller.seconds)};
  }

  /// Its mean over episodes.
  double Return(double deadline_ms, Decisions decisions) {
    double sum = 0;
    for (int episode = 0; episode < sizes_.episodes; ++episode) {
      sum += Play(deadline_ms, sizes_.steps, decisions, episode).earned;
    }
    return sum / sizes_.episodes;
  }

  /// Times of decisions of kShort, sorted [s].
  std::vector<double> TimeDecisions() {
    std::vector<double> seconds;
    while (std::ssize(seconds) < sizes_.decisions) {
      const int left = sizes_.decisions - static_cast<int>(seconds.size());
      const Played played = Play(kShort, std::min(sizes_.steps, left));
      seconds.insert(seconds.end(), played.seconds.begin(), played.seconds.end());
    }
    std::ranges::sort(seconds);
    return seconds;
  }

  /// The longest of the decisions that are the first after a fit [s].
  double TimeAfterFits() {
    std::vector<double> seconds;
    for (int fit = 0; fit < sizes_.refits; ++fit) {
      Refit();
      seconds.push_back(Play(kShort, 1).seconds.front());
    }
    return std::ranges::max(seconds);
  }

 private:
  /// Plays an episode and keeps what happened.
  void Record(Policy& policy, int episode) {
    const auto system = task().MakeSystem();
    RunEpisode(task(), *system, policy, Key{2, static_cast<uint64_t>(episode)}, sizes_.steps,
               [&](const EpisodeStep& step) {
                 data_.Add(step.observation, step.action, step.next_observation, episode);
               });
  }

  static FitOptions Fits(int gradient_steps) {
    FitOptions options;
    options.min_steps = options.max_steps = gradient_steps;
    return options;
  }
  [[nodiscard]] const Task& task() const { return loaded_.first; }

  Sizes sizes_;
  std::pair<Task, Config> loaded_;
  Dataset data_;
  EnsembleTrainer trainer_;
  uint64_t fits_ = 0;
  std::shared_ptr<Planner> planner_;
};

Measurement Measure(const std::string& planner, const BenchOptions& options) {
  RefuseFlag("deadlines", "--model", options.model);
  RefuseFlag("deadlines", "--precision", options.precision);
  Sizes sizes;
  options.config->Read("", sizes);
  struct Shared {
    std::unique_ptr<Trial> trial;
    std::vector<double> seconds;  // of the last sample's decisions, sorted
  };
  const auto shared = std::make_shared<Shared>();
  Measurement measurement;
  measurement.fields = {{"case", planner}, {"threads", options.executor->size()}};
  measurement.prepare = [=, executor = options.executor] {
    shared->trial = std::make_unique<Trial>(planner, sizes, executor);
  };
  measurement.sample = [=] {
    shared->seconds = shared->trial->TimeDecisions();
    return shared->seconds[shared->seconds.size() / 2];
  };
  measurement.finish = [=](double /*median*/, BenchRow& row) {
    const size_t count = shared->seconds.size();
    row["ms_p99"] = 1e3 * shared->seconds[std::min(count - 1, count * 99 / 100)];
    row["ms_after_fit"] = 1e3 * shared->trial->TimeAfterFits();
    for (const double deadline : kDeadlines) {
      const std::string time = deadline > 0 ? fmt::format("{}_ms", deadline) : "unlimited";
      row["return_" + time] = shared->trial->Return(deadline, Decisions::kAll);
      row["follow_" + time] = shared->trial->Return(deadline, Decisions::kFirst);
    }
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> DeadlineCases() {
  std::vector<BenchCase> cases;
  for (const std::string& planner : PlannerNames()) {
    cases.push_back(
        {planner, [planner](const BenchOptions& options) { return Measure(planner, options); }});
  }
  return cases;
}

}  // namespace foreplan::apps
