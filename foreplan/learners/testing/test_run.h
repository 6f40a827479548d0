// A run of a learner that is small enough for a second or so; what it learns does not matter.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/thread_pool.h"
#include "foreplan/learners/learner.h"
#include "foreplan/learners/log_observer.h"

namespace foreplan {

inline const std::vector<std::string> kTinyRun = {"episode_length=25",
                                                  "model.width=8",
                                                  "model.members=2",
                                                  "fit.min_steps=5",
                                                  "fit.max_steps=5",
                                                  "mpc.refit_every=10",
                                                  "planner.icem.population=20",
                                                  "planner.icem.horizon=4",
                                                  "planner.icem.elites=4"};

/// A shipped task and the settings that make it small.
struct TestTask {
  std::string name = "cartpole_closed_form";
  std::vector<std::string> settings = kTinyRun;
};

struct TestRun {
  /// Calls what the test wants to be called.
  class CheckpointCall final : public RunObserver {
   public:
    explicit CheckpointCall(const TestRun& run) : run_(run) {}
    void OnStateComplete(const Learner& /*learner*/) override {
      if (run_.checkpoint) run_.checkpoint();
    }

   private:
    const TestRun& run_;
  };

  explicit TestRun(RunOptions options, int threads = 1,
                   const std::vector<std::string>& settings = {}, const TestTask& task = {})
      : loaded(Task::Load(task.name, Joined(task.settings, settings))),
        run(std::move(options)),
        executor(std::make_shared<ThreadPool>(threads)),
        learner(MakeLearner(run.algorithm, loaded.second,
                            {loaded.first, run, executor, stop.get_token()})) {
    learner->AddObserver(std::make_shared<LogObserver>(log, run, loaded.first.episode_length()));
    learner->AddObserver(std::make_shared<CheckpointCall>(*this));
  }

  static std::vector<std::string> Joined(std::vector<std::string> all,
                                         const std::vector<std::string>& settings) {
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }

  [[nodiscard]] std::vector<double> Values(const std::string& metric) const {
    std::vector<double> values;
    for (const MetricRow& row : log.metrics()) {
      if (row.name == metric) values.push_back(row.value);
    }
    return values;
  }
  [[nodiscard]] long Count(const std::string& metric) const {
    return std::ranges::count(log.metrics(), metric, &MetricRow::name);
  }

  std::pair<Task, Config> loaded;
  RunOptions run;
  std::shared_ptr<ThreadPool> executor;
  RunLog log;
  std::stop_source stop;
  std::function<void()> checkpoint;  // whenever the learner's state is complete
  std::unique_ptr<Learner> learner;
};

inline RunOptions Episodes(int episodes, const std::string& algorithm = "mpc") {
  RunOptions run;
  run.algorithm = algorithm;
  run.episodes = episodes;
  return run;
}

}  // namespace foreplan
