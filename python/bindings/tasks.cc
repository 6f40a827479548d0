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

using NamesAndUnits = std::vector<std::pair<std::string, std::string>>;

std::vector<Component> Components(const NamesAndUnits& parts) {
  std::vector<Component> components;
  for (const auto& [name, unit] : parts) components.push_back({name, unit});
  return components;
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
                             const NamesAndUnits& observation, const NamesAndUnits& action,
                             std::vector<double> low, std::vector<double> high,
                             const nb::object& reward, const nb::object& planning_reward,
                             const std::string& termination, int episode_length,
                             const std::vector<std::string>& sections,
                             const std::vector<std::string>& overrides) {
  auto raised = std::make_shared<Raised>();
  std::vector<Shared> held{Shared(environment)};
  EnvironmentSpec spec;
  spec.dt = dt;
  spec.observation = Components(observation);
  spec.action = Components(action);
  spec.action_low = std::move(low);
  spec.action_high = std::move(high);
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

JsonObject FromJson(const std::string& text) {
  return nb::cast<nb::dict>(nb::module_::import_("json").attr("loads")(text));
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
      .def_prop_ro("dt", [](const PythonTask& self) { return self.task().spec().dt; })
      .def_prop_ro("episode_length",
                   [](const PythonTask& self) { return self.task().episode_length(); })
      .def_prop_ro("observation_names",
                   [](const PythonTask& self) { return NamesOf(self.task().spec().observation); })
      .def_prop_ro("action_names",
                   [](const PythonTask& self) { return NamesOf(self.task().spec().action); })
      .def_prop_ro("action_low",
                   [](const PythonTask& self) { return ToVector(self.task().spec().action_low); })
      .def_prop_ro("action_high",
                   [](const PythonTask& self) { return ToVector(self.task().spec().action_high); })
      .def("reward", &EvaluateReward, nb::arg("observation"), nb::arg("action"),
           nb::arg("next_observation"));
  module.def("task_names", &Task::ShippedNames);
}

}  // namespace foreplan::python
