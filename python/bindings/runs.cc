#include "python/bindings/runs.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/runs/run_directory.h"
#include "python/bindings/arrays.h"
#include "python/bindings/callbacks.h"
#include "python/bindings/tasks.h"

namespace foreplan::python {
namespace {

nb::dict AsDict(const EpisodeRow& row) {
  nb::dict dict;
  dict["episode"] = row.episode;
  dict["controller"] = row.controller;
  dict["steps"] = row.steps;
  dict["total_steps"] = row.total_steps;
  dict["episode_return"] = row.episode_return;
  dict["end"] = std::string(NameOf(row.end));
  dict["note"] = row.note;
  return dict;
}

nb::dict AsDict(const Evaluation& evaluation) {
  nb::dict dict;
  dict["controller"] = evaluation.controller;
  dict["returns"] = ToVector(evaluation.returns);
  dict["steps"] = evaluation.steps;
  dict["mean"] = evaluation.summary.mean;
  dict["ci95"] = evaluation.summary.ci95;
  dict["ms_per_decision"] = evaluation.ms_per_decision;
  return dict;
}

/// Tells Python of every step and fit.
class PythonObserver final : public RunObserver {
 public:
  PythonObserver(Shared on_step, Shared on_fit, std::shared_ptr<Raised> raised)
      : on_step_(std::move(on_step)), on_fit_(std::move(on_fit)), raised_(std::move(raised)) {}

  void OnStep(const ObservedStep& observed) override {
    if (on_step_.get().is_none()) return;
    CallPython(*raised_, "on_step", [&] {
      const EpisodeStep& step = observed.step;
      nb::dict dict;
      dict["episode"] = observed.episode;
      dict["total_steps"] = observed.total_steps;
      dict["episode_return"] = observed.episode_return;
      dict["observation"] = ToVector({step.observation.begin(), step.observation.end()});
      dict["action"] = ToVector({step.action.begin(), step.action.end()});
      dict["next_observation"] =
          ToVector({step.next_observation.begin(), step.next_observation.end()});
      dict["reward"] = step.reward;
      dict["terminated"] = step.end == StepEnd::kTerminated;
      dict["truncated"] = step.end == StepEnd::kTruncated;
      on_step_.get()(dict);
    });
  }
  void OnFit(const FitMetrics& metrics) override {
    if (on_fit_.get().is_none()) return;
    CallPython(*raised_, "on_fit", [&] {
      nb::dict dict;
      for (const auto& [name, value] : metrics) dict[name.c_str()] = value;
      on_fit_.get()(dict);
    });
  }

 private:
  Shared on_step_;
  Shared on_fit_;
  std::shared_ptr<Raised> raised_;
};

RunFlags FlagsOf(const std::optional<std::string>& algorithm,
                 const std::optional<std::string>& planner, std::optional<int> seed,
                 std::optional<int> episodes, std::optional<int> steps,
                 const std::optional<std::string>& model, std::vector<std::string> assignments) {
  RunFlags flags;
  flags.algorithm = algorithm;
  flags.planner = planner;
  flags.seed = seed;
  flags.episodes = episodes;
  flags.steps = steps;
  flags.model = model;
  flags.assignments = std::move(assignments);
  return flags;
}

/// A run that is driven step by step.
class PythonRun {
 public:
  PythonRun(const PythonTask& task, const std::optional<std::string>& algorithm,
            const std::optional<std::string>& planner, std::optional<int> seed,
            std::optional<int> episodes, std::optional<int> steps,
            const std::optional<std::string>& model, std::vector<std::string> assignments,
            int threads, const std::string& folder, bool resume, std::vector<std::string> accept,
            const nb::object& on_step, const nb::object& on_fit)
      : raised_(task.raised()),
        held_{Shared(on_step), Shared(on_fit)},
        own_(task),
        flags_(FlagsOf(algorithm, planner, seed, episodes, steps, model, std::move(assignments))),
        threads_(threads),
        accept_(std::move(accept)) {
    Experiment experiment = own_.MakeExperimentWith(flags_);
    notes_ = experiment.notes;
    bounds_ = {experiment.run.episodes, experiment.run.steps};
    path_ = !folder.empty() ? folder
                            : RunDirectory::FreshPath("runs", experiment.task.name(),
                                                      experiment.run.algorithm, experiment.run.seed)
                                  .string();
    Open(std::move(experiment), resume);
  }

  /// False when the run is over.
  bool Step() {
    CheckNotStepping();
    RunSession& run = session();
    state_ = State::kStepping;
    try {
      const bool goes_on = raised_->Run(stop_, [&] { return run.Step(); });
      state_ = State::kBetweenSteps;
      return goes_on;
    } catch (...) {
      state_ = State::kBroken;
      throw;
    }
  }
  [[nodiscard]] std::vector<Shared>& held() { return held_; }
  /// Lets go of the folder; what is asked afterwards throws.
  void Close() {
    CheckNotStepping();
    session_.reset();
    state_ = State::kClosed;
  }

  nb::list Episodes(size_t from) {
    nb::list rows;
    const auto& episodes = session().log().episodes();
    for (size_t i = from; i < episodes.size(); ++i) rows.append(AsDict(episodes[i]));
    return rows;
  }
  nb::list Metrics() {
    nb::list rows;
    for (const MetricRow& row : session().log().metrics()) {
      rows.append(nb::make_tuple(row.episode, row.total_steps, row.name, row.value));
    }
    return rows;
  }

  /// What the controller does in a situation.
  NumpyArray Act(nb::handle observation, int time, int seed) {
    const GivenRows given =
        VectorOf(observation, "observation", own_.task().spec().observation_dim());
    std::vector<double> action(static_cast<size_t>(own_.task().spec().action_dim()));
    Policy& controller = session().learner().controller();
    raised_->Run(stop_, [&] {
      const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
      if (time == 0) controller.Reset(key);
      controller.Act(
          {.observation = given.row(0), .time = time, .key = key.Fold(static_cast<uint64_t>(time))},
          action);
    });
    return ToVector(std::move(action));
  }

  nb::dict Evaluate(int episodes, int seed) {
    Policy& controller = session().learner().controller();
    const Evaluation evaluation = raised_->Run(stop_, [&] {
      return foreplan::Evaluate(kLearned, own_.task(), controller,
                                {.episodes = episodes, .seed = seed}, stop_.get_token());
    });
    return AsDict(evaluation);
  }

  nb::tuple Data() {
    const Dataset& data = session().learner().data();
    const int no = data.observation_dim();
    const int nu = data.action_dim();
    std::vector<double> observation, action, next, reward, terminated, episode;
    for (int64_t first = 0; first < data.size();) {
      const TransitionRows rows = data.RowsFrom(first);
      observation.insert(observation.end(), rows.observation.begin(), rows.observation.end());
      action.insert(action.end(), rows.action.begin(), rows.action.end());
      next.insert(next.end(), rows.next_observation.begin(), rows.next_observation.end());
      reward.insert(reward.end(), rows.reward.begin(), rows.reward.end());
      for (int64_t i = 0; i < rows.rows; ++i) {
        terminated.push_back(rows.end[static_cast<size_t>(i)] == StepEnd::kTerminated ? 1 : 0);
        episode.push_back(rows.episode[static_cast<size_t>(i)]);
      }
      first += rows.rows;
    }
    const int size = static_cast<int>(data.size());
    return nb::make_tuple(ToArray(std::move(observation), size, no),
                          ToArray(std::move(action), size, nu), ToArray(std::move(next), size, no),
                          ToVector(std::move(reward)), ToVector(std::move(terminated)),
                          ToVector(std::move(episode)));
  }

  JsonObject Result() { return FromJson(session().Result().dump()); }
  [[nodiscard]] const std::string& folder() const { return path_; }
  [[nodiscard]] std::string ReportFile() { return session().directory().report_file().string(); }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  /// Episodes and steps at which it ends; 0: no bound.
  [[nodiscard]] std::pair<int, int> bounds() const { return bounds_; }

 private:
  enum class State { kBetweenSteps, kStepping, kBroken, kClosed };

  /// Callbacks of a step may ask for what there is, and no more.
  void CheckNotStepping() const {
    if (state_ != State::kStepping) return;
    throw InputError("run: found a callback of its step, expected a call between two steps");
  }

  void Open(Experiment experiment, bool resume) {
    session_ = std::make_unique<RunSession>(
        std::move(experiment), std::make_shared<PythonExecutor>(threads_), stop_.get_token(),
        MakeExperimentsLearner, Progress::Mode::kSilent);
    raised_->Run([&] { resume ? session_->Resume(path_, accept_) : session_->Create(path_); });
    notes_.insert(notes_.end(), session_->notes().begin(), session_->notes().end());
    session_->learner().AddObserver(std::make_shared<PythonObserver>(held_[0], held_[1], raised_));
  }

  /// After Ctrl-C and after what Python raised it is that of the last checkpoint.
  [[nodiscard]] RunSession& session() {
    if (state_ == State::kClosed) throw InputError("run: found one that is closed");
    const bool ended = state_ == State::kBetweenSteps && stop_.stop_requested();
    if (ended || state_ == State::kBroken) {
      session_.reset();  // lets go of the folder
      stop_ = {};
      Open(own_.MakeExperimentWith(flags_), /*resume=*/true);
      state_ = State::kBetweenSteps;
    }
    return *session_;
  }

  std::shared_ptr<Raised> raised_;
  std::stop_source stop_;
  std::vector<Shared> held_;  // observers
  PythonTask own_;
  RunFlags flags_;
  int threads_;
  std::vector<std::string> accept_;
  std::string path_;
  std::vector<std::string> notes_;
  std::pair<int, int> bounds_;
  std::unique_ptr<RunSession> session_;
  State state_ = State::kBetweenSteps;
};

/// Of "uniform", "zero", ..., or "true_model".
nb::dict EvaluateTask(const PythonTask& task, const std::string& controller,
                      const std::optional<std::string>& planner, int episodes, int seed,
                      std::vector<std::string> assignments, int threads) {
  RunFlags flags;
  flags.planner = planner;
  flags.assignments = std::move(assignments);
  Experiment experiment = task.MakeExperimentWith(flags);
  const auto executor = std::make_shared<PythonExecutor>(threads);
  const std::stop_source stop;
  const Evaluation evaluation = task.raised()->Run(stop, [&] {
    return EvaluateController(controller, experiment, "", {.episodes = episodes, .seed = seed},
                              executor, stop.get_token());
  });
  return AsDict(evaluation);
}

}  // namespace

void BindRuns(nb::module_& module) {
  nb::class_<PythonRun>(module, "Run", nb::type_slots(CycleSlots<PythonRun>()))
      .def(nb::init<const PythonTask&, std::optional<std::string>, std::optional<std::string>,
                    std::optional<int>, std::optional<int>, std::optional<int>,
                    std::optional<std::string>, std::vector<std::string>, int, std::string, bool,
                    std::vector<std::string>, nb::object, nb::object>(),
           nb::arg("task"), nb::arg("algorithm").none(), nb::arg("planner").none(),
           nb::arg("seed").none(), nb::arg("episodes").none(), nb::arg("steps").none(),
           nb::arg("model").none(), nb::arg("assignments"), nb::arg("threads"), nb::arg("folder"),
           nb::arg("resume"), nb::arg("accept"), nb::arg("on_step").none(),
           nb::arg("on_fit").none())
      .def("step", &PythonRun::Step)
      .def("close", &PythonRun::Close)
      .def("episodes", &PythonRun::Episodes, nb::arg("start") = 0)
      .def("metrics", &PythonRun::Metrics)
      .def("act", &PythonRun::Act, nb::arg("observation"), nb::arg("time"), nb::arg("seed"))
      .def("evaluate", &PythonRun::Evaluate, nb::arg("episodes"), nb::arg("seed"))
      .def("data", &PythonRun::Data)
      .def("result", &PythonRun::Result)
      .def_prop_ro("folder", &PythonRun::folder)
      .def_prop_ro("report_file", &PythonRun::ReportFile)
      .def_prop_ro("bounds", &PythonRun::bounds)
      .def_prop_ro("notes", &PythonRun::notes);
  module.def("evaluate", &EvaluateTask, nb::arg("task"), nb::arg("controller"),
             nb::arg("planner").none(), nb::arg("episodes"), nb::arg("seed"),
             nb::arg("assignments"), nb::arg("threads"));
}

}  // namespace foreplan::python
