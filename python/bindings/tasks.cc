#include "python/bindings/tasks.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "foreplan/core/error.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/task_definition.h"
#include "python/bindings/arrays.h"

namespace foreplan::python {
namespace {

Task Loaded(const PythonTask::Load& load) {
  RegisterLearnedSystem();
  auto [task, config] = load({});
  return MakeExperiment(std::move(task), std::move(config), {}).task;  // looks at every key
}

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// A shipped task by name, or a file.
PythonTask TaskOfFile(const std::string& name, const std::vector<std::string>& overrides) {
  return {[name, overrides](const std::vector<std::string>& more) {
            return Task::Load(name, Joined(overrides, more));
          },
          std::make_shared<Raised>()};
}

/// A task file's text, of which `name` is told in messages; `directory` is where its files are.
PythonTask TaskOfText(const std::string& text, const std::string& name,
                      const std::string& directory, const std::vector<std::string>& overrides) {
  const auto load = [text, name, directory, overrides](const std::vector<std::string>& more) {
    Config config = Config::FromString(text, name);
    for (const std::string& assignment : Joined(overrides, more)) config.Set(assignment);
    Task task = Task::FromConfig(config, directory);
    return std::pair(std::move(task), std::move(config));
  };
  return {load, std::make_shared<Raised>()};
}

/// What is said of an environment that is written in Python.
struct EnvironmentDescription {
  std::string name;
  double dt = 0;                                                 // [s]
  std::vector<std::pair<std::string, std::string>> observation;  // name, unit
  std::vector<std::pair<std::string, std::string>> action;
  std::vector<double> low, high;  // [nu]
};

EnvironmentSpec SpecOf(const EnvironmentDescription& description) {
  EnvironmentSpec spec;
  spec.dt = description.dt;
  for (const auto& [name, unit] : description.observation) spec.observation.push_back({name, unit});
  for (const auto& [name, unit] : description.action) spec.action.push_back({name, unit});
  spec.action_low = description.low;
  spec.action_high = description.high;
  return spec;
}

/// None: `otherwise`; a text: an expression or a reward's name; else a function of rows, which
/// joins what is `held`.
RewardSource RewardOf(const nb::object& reward, const EnvironmentSpec& spec, RewardSource otherwise,
                      const std::shared_ptr<Raised>& raised, std::vector<Shared>& held) {
  if (reward.is_none()) return otherwise;
  if (nb::isinstance<nb::str>(reward)) {
    const auto text = nb::cast<std::string>(reward);
    if (text == "environment") return PaidByEnvironment{};
    if (text == "learned") return LearnedFromData{};
    return ExpressionText{.text = text};
  }
  held.emplace_back(reward);
  return std::make_shared<const PythonReward>(
      held.back(), TransitionSizes{spec.observation_dim(), spec.action_dim()}, raised);
}

PythonTask TaskOfEnvironment(const nb::object& environment, const std::string& name, double dt,
                             std::vector<std::pair<std::string, std::string>> observation,
                             std::vector<std::pair<std::string, std::string>> action,
                             std::vector<double> low, std::vector<double> high,
                             const nb::object& reward, const nb::object& planning_reward,
                             const std::string& termination, int episode_length,
                             const std::vector<std::string>& sections,
                             const std::vector<std::string>& overrides) {
  auto raised = std::make_shared<Raised>();
  std::vector<Shared> held{Shared(environment)};
  const EnvironmentSpec spec = SpecOf(
      {name, dt, std::move(observation), std::move(action), std::move(low), std::move(high)});
  Config config = Config::FromString("", fmt::format("task '{}'", name));
  for (const std::string& assignment : sections) config.Set(assignment);
  TaskDefinition definition;
  definition.name = name;
  definition.environment = std::make_shared<PythonEnvironment>(spec, held.front(), raised);
  definition.reward = RewardOf(reward, spec, PaidByEnvironment{}, raised, held);
  definition.planning_reward = RewardOf(planning_reward, spec, {}, raised, held);
  definition.termination.text = termination;
  definition.episode_length = episode_length;
  definition.definitions = ExpressionDefinitions::Read(config);
  definition.encoding = ReadEncodingSection(config);
  config.ThrowOnUnknownKeys();
  const Task task(std::move(definition));
  const auto load = [task, name, overrides](const std::vector<std::string>& more) {
    Config configuration = Config::FromString("", fmt::format("task '{}'", name));
    for (const std::string& assignment : Joined(overrides, more)) configuration.Set(assignment);
    configuration.set_dt(task.spec().dt);
    return std::pair(task, std::move(configuration));
  };
  return {load, raised, std::move(held)};
}

std::vector<std::string> NamesOf(const std::vector<Component>& components) {
  std::vector<std::string> names;
  for (const Component& component : components) names.push_back(component.name);
  return names;
}
std::vector<std::string> UnitsOf(const std::vector<Component>& components) {
  std::vector<std::string> units;
  for (const Component& component : components) units.push_back(component.unit);
  return units;
}

/// (rewards [n], terminated [n]).
nb::tuple EvaluateReward(const PythonTask& self, nb::handle observation, nb::handle action,
                         nb::handle next_observation) {
  const EnvironmentSpec& spec = self.task().spec();
  const GivenRows before = RowsOf(observation, "observation", spec.observation_dim());
  const GivenRows acted = RowsOf(action, "action", spec.action_dim());
  const GivenRows after = RowsOf(next_observation, "next_observation", spec.observation_dim());
  CheckSameRows(before, "observation", acted, "action");
  CheckSameRows(before, "observation", after, "next_observation");
  std::vector<double> rewards(static_cast<size_t>(before.rows));
  std::vector<uint8_t> ends(rewards.size());
  self.raised()->Run([&] {
    self.task().reward().Evaluate({.rows = before.rows,
                                   .observation = before.data(),
                                   .action = acted.data(),
                                   .next_observation = after.data()},
                                  rewards.data(), ends.data());
  });
  nb::object terminated = ToVector({ends.begin(), ends.end()}).attr("astype")("bool");
  return nb::make_tuple(ToVector(std::move(rewards)), terminated);
}

// --- A simulator of its own

/// What a task's system is for Python: reset, stepped, observed, set.
class PythonSystem {
 public:
  explicit PythonSystem(const PythonTask& task)
      : task_(task.task()), system_(task_.MakeSystem()), raised_(task.raised()) {
    observation_.resize(static_cast<size_t>(task_.spec().observation_dim()));
    before_ = observation_;
  }

  nb::object Reset(int seed, int episode) {
    system_->Reset(
        Key{.seed = static_cast<uint64_t>(seed), .stream = 0}.Fold(static_cast<uint64_t>(episode)));
    return Observe();
  }

  nb::object Observe() {
    system_->Observe(observation_);
    return ToVector(observation_);
  }

  /// (observation, reward, terminated, diverged).
  nb::tuple Step(nb::handle action) {
    const GivenRows given = VectorOf(action, "action", task_.spec().action_dim());
    before_ = observation_;
    const StepOutcome outcome = system_->Step(given.row(0));
    system_->Observe(observation_);
    double reward = outcome.reward.value_or(0);
    bool terminated = outcome.end == StepEnd::kTerminated;
    if (!task_.environment_pays()) {
      uint8_t ended = 0;
      const std::vector<double> clamped = Clamped(given.row(0));
      task_.reward().Evaluate({.rows = 1,
                               .observation = before_.data(),
                               .action = clamped.data(),
                               .next_observation = observation_.data()},
                              &reward, &ended);
      terminated = terminated || ended != 0;
    }
    return nb::make_tuple(ToVector(observation_), reward, terminated,
                          outcome.status == StepStatus::kDiverged);
  }

  nb::object GetState() const {
    std::vector<double> state(static_cast<size_t>(system_->spec().state_dim()));
    system_->GetState(state);
    return ToVector(std::move(state));
  }
  void SetState(nb::handle state) {
    const GivenRows given = VectorOf(state, "state", system_->spec().state_dim());
    system_->SetState(given.row(0));
    system_->Observe(observation_);
  }
  [[nodiscard]] std::string Divergence() const { return system_->Divergence(); }

 private:
  [[nodiscard]] std::vector<double> Clamped(std::span<const double> action) const {
    const EnvironmentSpec& spec = task_.spec();
    std::vector<double> clamped(action.begin(), action.end());
    for (size_t i = 0; i < clamped.size(); ++i) {
      clamped[i] = std::clamp(clamped[i], spec.action_low[i], spec.action_high[i]);
    }
    return clamped;
  }

  Task task_;
  std::unique_ptr<System> system_;
  std::shared_ptr<Raised> raised_;
  std::vector<double> observation_;
  std::vector<double> before_;
};

}  // namespace

PythonTask::PythonTask(Load load, std::shared_ptr<Raised> raised, std::vector<Shared> held)
    : load_(std::move(load)),
      task_(Loaded(load_)),
      raised_(std::move(raised)),
      held_(std::move(held)) {}

Experiment PythonTask::MakeExperimentWith(const RunFlags& flags) const {
  auto [task, config] = load_(flags.assignments);
  return MakeExperiment(std::move(task), std::move(config), flags);
}

nb::object FromJson(const std::string& text) {
  return nb::module_::import_("json").attr("loads")(text);
}

void BindTasks(nb::module_& module) {
  nb::class_<PythonTask>(module, "Task", nb::type_slots(CycleSlots<PythonTask>()))
      .def_static("of_file", &TaskOfFile, nb::arg("name"), nb::arg("overrides"))
      .def_static("of_text", &TaskOfText, nb::arg("text"), nb::arg("name"), nb::arg("directory"),
                  nb::arg("overrides"))
      .def_static("of_environment", &TaskOfEnvironment, nb::arg("environment"), nb::arg("name"),
                  nb::arg("dt"), nb::arg("observation"), nb::arg("action"), nb::arg("low"),
                  nb::arg("high"), nb::arg("reward").none(), nb::arg("planning_reward").none(),
                  nb::arg("termination"), nb::arg("episode_length"), nb::arg("sections"),
                  nb::arg("overrides"))
      .def_prop_ro("name", [](const PythonTask& self) { return self.task().name(); })
      .def_prop_ro("summary", [](const PythonTask& self) { return self.task().summary(); })
      .def_prop_ro("dt", [](const PythonTask& self) { return self.task().spec().dt; })
      .def_prop_ro("episode_length",
                   [](const PythonTask& self) { return self.task().episode_length(); })
      .def_prop_ro("observation_names",
                   [](const PythonTask& self) { return NamesOf(self.task().spec().observation); })
      .def_prop_ro("observation_units",
                   [](const PythonTask& self) { return UnitsOf(self.task().spec().observation); })
      .def_prop_ro("action_names",
                   [](const PythonTask& self) { return NamesOf(self.task().spec().action); })
      .def_prop_ro("action_units",
                   [](const PythonTask& self) { return UnitsOf(self.task().spec().action); })
      .def_prop_ro("action_low",
                   [](const PythonTask& self) { return ToVector(self.task().spec().action_low); })
      .def_prop_ro("action_high",
                   [](const PythonTask& self) { return ToVector(self.task().spec().action_high); })
      .def_prop_ro("has_system", [](const PythonTask& self) { return self.task().has_system(); })
      .def_prop_ro("is_made_in_code",
                   [](const PythonTask& self) { return self.task().is_made_in_code(); })
      .def("reward", &EvaluateReward, nb::arg("observation"), nb::arg("action"),
           nb::arg("next_observation"));
  nb::class_<PythonSystem>(module, "System")
      .def(nb::init<const PythonTask&>(), nb::arg("task"))
      .def("reset", &PythonSystem::Reset, nb::arg("seed"), nb::arg("episode") = 0)
      .def("observe", &PythonSystem::Observe)
      .def("step", &PythonSystem::Step, nb::arg("action"))
      .def("get_state", &PythonSystem::GetState)
      .def("set_state", &PythonSystem::SetState, nb::arg("state"))
      .def("divergence", &PythonSystem::Divergence);
  module.def("task_names", &Task::ShippedNames);
}

}  // namespace foreplan::python
