// Suite deadlines: what planners do with the time they are given, on a learned cart-pole.
#include <algorithm>
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
#include "foreplan/models/ensemble.h"
#include "foreplan/models/ensemble_trainer.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {
namespace {

constexpr double kShort = 1;  // the deadline of the timed decisions [ms]
constexpr double kLate = -1;  // one that has passed before each decision but an episode's first

struct Sizes {
  int decisions = 1000;   // timed
  int steps = 200;        // of an episode
  int base_episodes = 5;  // of random actions, which the model learns from
  int gradient_steps = 1000;
  int refits = 5;  // after each of which a decision is timed

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("decisions", decisions, {1, 1e6}, "timed");
    visitor.Field("steps", steps, {1, 200}, "of an episode");
    visitor.Field("base_episodes", base_episodes, {1, 1000}, "of random actions");
    visitor.Field("gradient_steps", gradient_steps, {1, 1e6}, "of the model's fit");
    visitor.Field("refits", refits, {1, 1000}, "after each of which a decision is timed");
  }
};

/// Acts by a planner; past a deadline of kLate it follows the first plan of the episode.
class TimedController final : public Policy {
 public:
  TimedController(Planner& planner, const Dynamics& model, double deadline_ms)
      : follows_(deadline_ms == kLate),
        free_(planner, model),
        timed_(planner, model, follows_ ? std::chrono::nanoseconds(0) : DecisionTime(deadline_ms)) {
  }

  void Reset(Key key) override { free_.Reset(key); }
  void Act(const Situation& situation, std::span<double> action) override {
    MpcController& controller = follows_ && situation.time == 0 ? free_ : timed_;
    controller.Act(situation, action);
    seconds.push_back(controller.new_plan()->seconds);
  }

  std::vector<double> seconds;  // of each decision

 private:
  bool follows_;
  MpcController free_;
  MpcController timed_;
};

/// A model of the task cartpole_closed_form and one planner.
class Trial {
 public:
  Trial(const std::string& planner, const Sizes& sizes, ThreadPool& pool)
      : sizes_(sizes),
        loaded_(Task::Load("cartpole_closed_form")),
        data_(task().spec().observation_dim(), task().spec().action_dim()),
        model_(task().spec(), task().encoding(),
               ReadOptions<EnsembleOptions>(loaded_.second, "model"), Key{1, 0}),
        trainer_(model_, Fits(sizes.gradient_steps), pool) {
    const auto base = MakeBasePolicy("uniform", task().spec());
    for (int episode = 0; episode < sizes.base_episodes; ++episode) {
      const auto system = task().MakeSystem();
      RunEpisode(task(), *system, *base, Key{2, static_cast<uint64_t>(episode)}, sizes.steps,
                 [&](const EpisodeStep& step) {
                   data_.Add(step.observation, step.action, step.next_observation, episode);
                 });
    }
    Refit();
    planner_ = MakePlanner(planner, loaded_.second,
                           {model_, task().planning_reward(), task().spec(), pool});
  }

  void Refit() { trainer_.Fit(data_, Key{3, fits_++}); }

  /// The return of an episode; its decisions take deadline_ms at most, 0: no limit.
  double Play(double deadline_ms, int steps, std::vector<double>* seconds = nullptr) {
    TimedController controller(*planner_, model_, deadline_ms);
    const auto system = task().MakeSystem();
    const double earned =
        RunEpisode(task(), *system, controller, Key{4, 0}, steps, {}).episode_return;
    if (seconds != nullptr) {
      seconds->insert(seconds->end(), controller.seconds.begin(), controller.seconds.end());
    }
    return earned;
  }

  /// Times of decisions of kShort, sorted [s].
  std::vector<double> TimeDecisions() {
    std::vector<double> seconds;
    while (std::ssize(seconds) < sizes_.decisions) {
      Play(kShort, std::min<int>(sizes_.steps, sizes_.decisions - static_cast<int>(seconds.size())),
           &seconds);
    }
    std::ranges::sort(seconds);
    return seconds;
  }

  /// The longest of the decisions that are the first after a fit [s].
  double TimeAfterFits() {
    std::vector<double> seconds;
    for (int fit = 0; fit < sizes_.refits; ++fit) {
      Refit();
      Play(kShort, 1, &seconds);
    }
    return std::ranges::max(seconds);
  }

 private:
  static FitOptions Fits(int gradient_steps) {
    FitOptions options;
    options.min_steps = options.max_steps = gradient_steps;
    return options;
  }
  [[nodiscard]] const Task& task() const { return loaded_.first; }

  Sizes sizes_;
  std::pair<Task, Config> loaded_;
  Dataset data_;
  Ensemble model_;
  EnsembleTrainer trainer_;
  uint64_t fits_ = 0;
  std::unique_ptr<Planner> planner_;
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
  measurement.fields = {{"case", planner}, {"threads", options.pool->size()}};
  measurement.prepare = [=, &pool = *options.pool] {
    shared->trial = std::make_unique<Trial>(planner, sizes, pool);
  };
  measurement.sample = [=] {
    shared->seconds = shared->trial->TimeDecisions();
    return shared->seconds[shared->seconds.size() / 2];
  };
  measurement.finish = [=](double /*median*/, BenchRow& row) {
    const size_t count = shared->seconds.size();
    row["ms_p99"] = 1e3 * shared->seconds[std::min(count - 1, count * 99 / 100)];
    row["ms_after_fit"] = 1e3 * shared->trial->TimeAfterFits();
    for (const auto& [name, deadline_ms] :
         {std::pair{"return_1_ms", 1.0}, std::pair{"return_5_ms", 5.0},
          std::pair{"return_20_ms", 20.0}, std::pair{"return_100_ms", 100.0},
          std::pair{"return_unlimited", 0.0}, std::pair{"return_first_plan", kLate}}) {
      row[name] = shared->trial->Play(deadline_ms, sizes.steps);
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
