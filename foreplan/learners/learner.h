// The loops. Each is one readable file; this header is what programs see of them.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/run_observer.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// What every run says, section [run] of its config.
struct RunOptions {
  std::string algorithm = "mpc";
  std::string planner = "icem";
  int seed = 0;
  int episodes = 0;        // stop after so many, the base policy's count; 0: not bounded so
  int steps = 0;           // stop within the episode that reaches so many; 0: not bounded so
  std::string model = {};  // folder of a fit or a run whose model and data it begins with; "": none

  /// So many episodes and steps are all that the options ask for.
  [[nodiscard]] bool IsOver(int episodes_done, int total_steps) const {
    return (episodes > 0 && episodes_done >= episodes) || (steps > 0 && total_steps >= steps);
  }
  void Visit(OptionsVisitor& visitor);
};

/// Where the time of a run went; the rest is simulation and writing.
struct RunTimes {
  double planning_seconds = 0;
  double fitting_seconds = 0;
};

/// What a learner works with.
struct LearnerContext {
  Task task;
  RunOptions run;
  std::shared_ptr<Executor> executor = std::make_shared<SerialExecutor>();
  std::stop_token stop = {};  // the learner throws Interrupted at the next step, and within fits
};

class Learner {
 public:
  virtual ~Learner() = default;

  /// The next episode, or iteration of several, after what is due of those before (a fit, a
  /// training); false when the options are used up: then nothing is due any more. Throws RunError
  /// when the run cannot go on, Interrupted when asked to stop.
  virtual bool Step() = 0;
  /// Steps to the end of the options.
  void Run();

  /// From now on it is told what happens. Throws InputError for null.
  void AddObserver(std::shared_ptr<RunObserver> observer);

  /// Adds transitions that others made, to be learned from like those of the learner's own; no
  /// episode of the run. Between two steps. Throws InputError for other sizes, and where a learner
  /// makes nothing of them, which is the default.
  virtual void AddData(const Dataset& data);

  /// Everything needed to go on, bit for bit, between two episodes, but for data(), which only
  /// grow: what it costs does not depend on how many there are.
  virtual void Save(TensorFile& state) const = 0;
  /// Goes on from what Save saved and the data that there were then. Throws InputError when the
  /// state does not fit the options or the data.
  virtual void Restore(const TensorFile& state, Dataset data) = 0;

  /// Of a run that was over: throws InputError where what it did last was done because it was to
  /// end there, so that it cannot be made one that goes on. By default there is no such thing.
  virtual void CheckMayGoOn() const {}

  /// What is learned, as others may read it; the default is what Save saves.
  [[nodiscard]] virtual TensorFile Model() const;
  /// Every transition; rows only join them.
  [[nodiscard]] virtual const Dataset& data() const = 0;

  /// The controller that acts with what was learned so far; owned by the learner.
  virtual Policy& controller() = 0;
  /// The same with the noise that its policy learned, as it explores; null where it has none.
  virtual Policy* sampled_controller() { return nullptr; }

  [[nodiscard]] virtual RunTimes times() const { return {}; }

  /// What it found beyond episodes and metrics, as members of the run's result.
  [[nodiscard]] virtual nlohmann::ordered_json Results() const;

  /// Appends the sections that it reads beside that of its own options.
  static void WriteSections(const RunOptions& /*run*/, Config& /*config*/,
                            ConfigWriter& /*writer*/) {}

 protected:
  /// Tells every observer, e.g. Tell(&RunObserver::OnPlan, plan).
  template <typename Event, typename... Arguments>
  void Tell(Event event, const Arguments&... arguments) const {
    for (const auto& observer : observers_) {
      try {
        (*observer.*event)(arguments...);
      } catch (...) {
        RethrowOfObserver(NameOf(event));
      }
    }
  }

 private:
  /// The error of a run, unless what is thrown is the library's own.
  [[noreturn]] static void RethrowOfObserver(const char* function);

  std::vector<std::shared_ptr<RunObserver>> observers_;
};

/// How a learner is made from the sections of a configuration, and how these are written as they
/// are in effect. Every section that may stand in a file is read by `write`, whatever is run.
struct LearnerEntry {
  std::function<std::unique_ptr<Learner>(Config& config, const LearnerContext& context)> make = {};
  std::function<void(const std::string& name, const RunOptions& run, Config& config,
                     ConfigWriter& writer)>
      write = {};
  bool plans = true;  // it acts through the run's planner
  /// Sets what it has values of its own for in sections that other algorithms read, too, and that
  /// nobody asked for otherwise; before anything reads them. Empty: nothing.
  std::function<void(Config& config)> prepare = {};
};

/// Of a learner that is made from (LearnerContext), or from (Config, LearnerContext). Nested
/// Options stand in the section that is named as the learner is, and are read by its constructor;
/// those of what it derives from in others.
template <typename LearnerType>
[[nodiscard]] LearnerEntry LearnerEntryOf(bool plans = false) {
  return {
      .make = [](Config& config, const LearnerContext& context) -> std::unique_ptr<Learner> {
        if constexpr (std::constructible_from<LearnerType, Config&, const LearnerContext&>) {
          return std::make_unique<LearnerType>(config, context);
        } else {
          static_cast<void>(config);
          return std::make_unique<LearnerType>(context);
        }
      },
      .write =
          [](const std::string& name, const RunOptions& run, Config& config, ConfigWriter& writer) {
            if constexpr (requires { typename LearnerType::Options; }) {
              auto options = ReadOptions<typename LearnerType::Options>(config, name);
              writer.Write(name, options);
            }
            LearnerType::WriteSections(run, config, writer);
          },
      .plans = plans};
}

/// From now on runs may name that learner. Throws InputError where the name is taken or a function
/// is missing.
void RegisterLearner(const std::string& name, LearnerEntry entry);

/// Reads the learner's sections of `config` and makes it, whatever algorithm context.run says.
/// Throws InputError for an unknown name.
std::unique_ptr<Learner> MakeLearner(const std::string& name, Config& config,
                                     const LearnerContext& context);
/// Appends the learner's sections (model, fit, planner, the loop's own) as they are in effect.
void WriteLearnerOptions(const std::string& name, const RunOptions& run, Config& config,
                         ConfigWriter& writer);
/// See LearnerEntry::prepare.
void PrepareConfig(const std::string& name, Config& config);
std::vector<std::string> LearnerNames();
/// Whether that learner acts through the run's planner.
bool LearnerPlans(const std::string& name);

}  // namespace foreplan
