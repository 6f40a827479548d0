// Learns a pendulum from what it pays and nothing else: no reward is known, for planning neither.
//
//   example_learn_what_is_paid                         a short run; fails when nothing is learned
//   example_learn_what_is_paid TASK SEED STEPS FOLDER [KEY=VALUE...]
//                                                      a shipped task that pays; a run in FOLDER,
//                                                      which goes on when it is there
#include <fmt/core.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/experiments/evaluation.h"
#include "foreplan/foreplan.h"

namespace {

// A simulator that says what each step was worth and whether it ended the task, and shows no more
// of itself. A robot with a camera on a scale would do as well.
class Paying final : public foreplan::Environment {
 public:
  explicit Paying(const foreplan::Task& task)
      : task_(task), system_(task.MakeSystem()), after_(spec().observation.size()) {}

  const foreplan::EnvironmentSpec& spec() const override { return system_->spec(); }
  void Reset(foreplan::Key key) override {
    system_->Reset(key);
    system_->Observe(after_);
  }
  foreplan::StepOutcome Step(std::span<const double> action) override {
    const std::vector<double> before = after_;
    foreplan::StepOutcome outcome = system_->Step(action);
    system_->Observe(after_);
    double reward = 0;
    uint8_t terminated = 0;
    task_.reward().Evaluate({1, before.data(), action.data(), after_.data()}, &reward, &terminated);
    outcome.reward = reward;
    if (terminated != 0) outcome.end = foreplan::StepEnd::kTerminated;
    return outcome;
  }
  void Observe(std::span<double> observation) const override { system_->Observe(observation); }

 private:
  foreplan::Task task_;
  std::unique_ptr<foreplan::System> system_;
  std::vector<double> after_;
};

foreplan::Experiment MakeExperiment(const std::string& name, int seed, int steps,
                                    const std::vector<std::string>& settings) {
  auto [shipped, config] = foreplan::Task::Load(name, settings);
  // The environment pays, which is what a definition says by default; planners maximise what is
  // learned of it.
  foreplan::Task task({.name = name,
                       .summary = shipped.summary(),
                       .make_environment = [shipped] { return std::make_unique<Paying>(shipped); },
                       .episode_length = shipped.episode_length(),
                       .encoding = shipped.encoding()});
  foreplan::RunOptions run;
  config.Read("run", run);
  run.seed = seed;
  run.episodes = 0;
  run.steps = steps;
  return {std::move(task), std::move(config), run};
}

// The run's document, as `foreplan run --json` writes it, with the returns of so many fresh starts.
nlohmann::ordered_json Learn(foreplan::Experiment experiment, const std::string& folder,
                             int fresh_starts) {
  const foreplan::Task task = experiment.task;
  foreplan::RunSession session(std::move(experiment), 2);
  if (std::filesystem::exists(folder)) {
    session.Resume(folder);
  } else {
    session.Create(folder);
  }
  session.Run();
  nlohmann::ordered_json document = session.Result();
  if (fresh_starts > 0) {
    document["fresh_returns"] = Evaluate(foreplan::kLearned, task, session.learner().controller(),
                                         {.episodes = fresh_starts})
                                    .returns;
  }
  return document;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (argc >= 5) {
    const std::vector<std::string> settings(words.begin() + 5, words.end());
    fmt::print("{}\n",
               Learn(MakeExperiment(words[1], std::stoi(words[2]), std::stoi(words[3]), settings),
                     words[4], 10)
                   .dump());
    return 0;
  }
  const std::string folder = fmt::format("learn_what_is_paid_{}", getpid());
  const nlohmann::ordered_json document = Learn(MakeExperiment("pendulum", 1, 600, {}), folder, 0);
  std::filesystem::remove_all(folder);
  const auto returns = document["episode_returns"].get<std::vector<double>>();
  for (const double value : returns) fmt::print("return {:.1f}\n", value);
  // From about -1000, as it hangs, to some hundred less, as it swings up.
  return returns.back() - returns.front() > 200 ? 0 : 1;
}
