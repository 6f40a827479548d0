#include "foreplan/systems/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "foreplan/core/describe_exception.h"
#include "foreplan/core/error.h"
#include "foreplan/expressions/expression_needs.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/task_text.h"

namespace foreplan {
namespace {

void CheckNumbers(const TaskDefinition& task) {
  constexpr int kLongest = 1'000'000;
  if (task.episode_length < 1 || task.episode_length > kLongest) {
    throw InputError(fmt::format("{}: episode_length: found {}, expected 1 ... {} steps",
                                 task.where, task.episode_length, kLongest));
  }
  constexpr int kMostPeriods = 1000;
  if (task.action_repeat < 1 || task.action_repeat > kMostPeriods) {
    throw InputError(fmt::format("{}: action_repeat: found {}, expected 1 ... {} control periods",
                                 task.where, task.action_repeat, kMostPeriods));
  }
  if (!(task.action_filter >= 0 && std::isfinite(task.action_filter))) {
    throw InputError(fmt::format("{}: action_filter: found {}, expected a time from 0 on [s]",
                                 task.where, task.action_filter));
  }
  if (!(task.measurement_noise >= 0 && std::isfinite(task.measurement_noise))) {
    throw InputError(fmt::format("{}: measurement_noise: found {}, expected a number from 0 on",
                                 task.where, task.measurement_noise));
  }
}

void CheckComponents(const std::string& where, const std::vector<Component>& components) {
  if (components.empty()) {
    throw InputError(fmt::format("{}: found none, expected one at least", where));
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < components.size(); ++i) {
    const Component& component = components[i];
    if (component.name.empty()) {
      throw InputError(fmt::format("{}: found no name of component {} of {}, expected one", where,
                                   i + 1, components.size()));
    }
    if (!names.insert(component.name).second) {
      throw InputError(fmt::format("{}: found the name '{}' twice, expected another for each",
                                   where, component.name));
    }
  }
}

/// What acts may be another program's: it is looked at before anything is made of it.
void CheckSpec(const std::string& where, const EnvironmentSpec& spec) {
  const std::string who = where + ": environment";
  if (!(spec.dt > 0 && std::isfinite(spec.dt))) {
    throw InputError(fmt::format("{}: dt: found {}, expected a time above 0 [s]", who, spec.dt));
  }
  CheckComponents(who + ": observation", spec.observation);
  CheckComponents(who + ": action", spec.action);
  for (const auto& [name, bound] :
       {std::pair{"action_low", &spec.action_low}, std::pair{"action_high", &spec.action_high}}) {
    if (bound->size() == spec.action.size()) continue;
    throw InputError(fmt::format("{}: {}: found {} numbers, expected {}, one per action", who, name,
                                 bound->size(), spec.action.size()));
  }
  for (size_t i = 0; i < spec.action.size(); ++i) {
    const double low = spec.action_low[i];
    const double high = spec.action_high[i];
    if (std::isfinite(low) && std::isfinite(high) && low < high) continue;
    throw InputError(
        fmt::format("{}: action '{}': found the bounds {} and {}, expected two finite numbers, the "
                    "lower one first",
                    who, spec.action[i].name, low, high));
  }
}

void CheckSameSpec(const std::string& where, const std::string& first,
                   const EnvironmentSpec& expected, const EnvironmentSpec& found) {
  if (Names(found.observation) == Names(expected.observation) &&
      Names(found.action) == Names(expected.action) && found.dt == expected.dt) {
    return;
  }
  throw InputError(fmt::format(
      "{}: found a system of {} observed components, {} actions, {} s per step, expected those of "
      "{}: {}, {}, {} s",
      where, found.observation_dim(), found.action_dim(), found.dt, first,
      expected.observation_dim(), expected.action_dim(), expected.dt));
}

// A failure of the environment may pass: whoever asks tries again.
std::unique_ptr<Environment> Made(const TaskDefinition& task) {
  const std::string where = task.where + ": make_environment";
  std::unique_ptr<Environment> made;
  try {
    made = task.make_environment();
  } catch (const EnvironmentFailure&) {
    throw;
  } catch (...) {
    throw InputError(fmt::format("{} throws: {}", where, DescribeException()));
  }
  if (made == nullptr) throw InputError(where + ": found null, expected an environment");
  return made;
}

EnvironmentSpec SpecOf(const TaskDefinition& task) {
  const int given = (task.system != nullptr ? 1 : 0) + (task.environment != nullptr ? 1 : 0) +
                    (task.make_environment ? 1 : 0);
  if (given != 1) {
    throw InputError(
        fmt::format("{}: found {} of system, environment and make_environment, "
                    "expected one",
                    task.where, given == 0 ? "none" : "several"));
  }
  if (task.system != nullptr) return task.system->spec();
  if (task.environment != nullptr) return task.environment->spec();
  return Made(task)->spec();
}

void FillPlaces(TaskDefinition& task) {
  if (task.where.empty()) task.where = fmt::format("task '{}'", task.name);
  const auto fill = [&](const char* key, ExpressionText& text) {
    if (text.where.empty()) text.where = fmt::format("{}: {}", task.where, key);
  };
  if (auto* text = std::get_if<ExpressionText>(&task.reward)) fill("reward", *text);
  if (auto* text = std::get_if<ExpressionText>(&task.planning_reward)) {
    fill("planning_reward", *text);
  }
  fill("termination", task.termination);
}

DecisionOptions DecisionsOf(const TaskDefinition& task, const EnvironmentSpec& spec) {
  std::vector<ExpressionText> texts{task.termination};
  for (const RewardSource* source : {&task.reward, &task.planning_reward}) {
    if (const auto* text = std::get_if<ExpressionText>(source)) texts.push_back(*text);
  }
  for (const std::string& text : task.encoding.input_texts) texts.push_back({"", text});
  const ExpressionNeeds needs = NeedsOf(texts, task.definitions, {spec.observation, spec.action});
  return {.repeat = task.action_repeat,
          .filter = task.action_filter,
          .observes_time = needs.time,
          .observes_previous_action = needs.previous_action};
}

/// Whatever acts in the task, acting on decisions.
void ActOnDecisions(const TaskDefinition& inner, const std::shared_ptr<const DecisionRule>& rule,
                    const DecisionPay& pay, TaskDefinition& task) {
  const auto wrapped = [&](const std::shared_ptr<const System>& system) {
    return std::shared_ptr<const System>(WithDecisions(system->Clone(), rule, pay));
  };
  if (inner.system != nullptr) task.system = wrapped(inner.system);
  if (inner.environment != nullptr) task.environment = WithDecisions(inner.environment, rule, pay);
  if (inner.make_environment) {
    task.make_environment = [make = inner.make_environment, rule,
                             pay]() -> std::unique_ptr<Environment> {
      std::shared_ptr<Environment> made = make();
      return made == nullptr ? nullptr : WithDecisions(std::move(made), rule, pay);
    };
  }
  std::ranges::transform(inner.conditions, task.conditions.begin(), wrapped);
  std::ranges::transform(inner.unseen, task.unseen.begin(), wrapped);
}

}  // namespace

Task::Task(TaskDefinition definition) {
  FillPlaces(definition);
  CheckTaskName(definition.where, definition.name);
  CheckNumbers(definition);
  spec_ = std::make_shared<const EnvironmentSpec>(SpecOf(definition));
  CheckSpec(definition.where, *spec_);
  for (const auto* systems : {&definition.conditions, &definition.unseen}) {
    for (const auto& system : *systems) {
      if (system == nullptr) {
        throw InputError(definition.where + ": conditions: found null, expected a system");
      }
      CheckSameSpec(definition.where + ": conditions", "the first condition", *spec_,
                    system->spec());
    }
  }
  const TaskDefinition inner = definition;
  if (const DecisionOptions options = DecisionsOf(definition, *spec_); options.any()) {
    decisions_ = std::make_shared<const DecisionRule>(*spec_, options);
    spec_ = std::make_shared<const EnvironmentSpec>(decisions_->SpecOf(*spec_));
    ActOnDecisions(inner, decisions_, {}, definition);
    std::ranges::copy(decisions_->NotOfTheMotion(), std::back_inserter(definition.encoding.omit));
    definition.encoding.known = decisions_->motions();
  }
  goal_ = Goal(definition.where, definition.goal, *spec_);
  std::vector<Component> unobserved;
  if (definition.system != nullptr) unobserved = Unobserved(definition.system->spec());
  encoding_ = CompleteEncoding(definition.where, definition.encoding, *spec_,
                               definition.definitions, unobserved);
  if (encoding_.inputs && definition.system != nullptr) {
    encoding_.inputs->CheckAtReset(*definition.system->Clone());
  }
  rewards_ = MakeTaskRewards(definition, *spec_, definition.system.get());
  if (definition.action_repeat > 1) {
    ActOnDecisions(inner, decisions_, {rewards_.environment_pays, rewards_.reward}, definition);
    rewards_.environment_pays = true;
    rewards_.reward = nullptr;
    rewards_.planning = OfPeriods(rewards_.planning, definition.action_repeat,
                                  {spec_->observation_dim(), spec_->action_dim()});
  }
  definition_ = std::make_shared<const TaskDefinition>(std::move(definition));
}

std::shared_ptr<Environment> Task::MakeEnvironment() const {
  if (definition_->environment != nullptr) return definition_->environment;
  if (definition_->system != nullptr) return definition_->system->Clone();
  std::shared_ptr<Environment> made = Made(*definition_);
  CheckSameSpec(definition_->where + ": make_environment", "the first it made", *spec_,
                made->spec());
  return made;
}

std::unique_ptr<System> Task::MakeSystem() const {
  if (has_system()) return definition_->system->Clone();
  throw InputError(
      fmt::format("{}: found an environment whose state can neither be read nor set, expected a "
                  "system: the true model, physics with unknown parameters, local models and exact "
                  "starts need one",
                  definition_->where));
}

int Task::condition_count() const {
  return std::max<int>(1, static_cast<int>(definition_->conditions.size()));
}

std::unique_ptr<System> Task::MakeUnseenSystem(int unseen) const {
  return definition_->unseen[static_cast<size_t>(unseen)]->Clone();
}

std::unique_ptr<System> Task::MakeSystem(int condition) const {
  const auto& conditions = definition_->conditions;
  return conditions.empty() ? MakeSystem() : conditions[static_cast<size_t>(condition)]->Clone();
}

SystemFamily Task::MakeFamily(const std::string& where,
                              const std::vector<std::string>& parameters) const {
  if (text_ == nullptr) {
    throw InputError(
        fmt::format("{}: found a task made in code, whose system has no parameters by "
                    "name, expected one of a task file",
                    where));
  }
  if (!definition_->conditions.empty()) {
    throw InputError(
        fmt::format("{}: found a task with [conditions], expected one of a single system", where));
  }
  SystemFamily family = text_->MakeFamily(where, parameters);
  if (decisions_ == nullptr) return family;
  return [family = std::move(family), rule = decisions_](std::span<const double> values) {
    return WithDecisions(family(values), rule, {});
  };
}

const Reward& Task::reward() const {
  if (!environment_pays()) return *rewards_.reward;
  if (definition_->action_repeat > 1) {
    throw InputError(fmt::format(
        "{}: found no reward of a whole step, as it earns the sum of its {} control periods",
        definition_->where, definition_->action_repeat));
  }
  throw InputError(
      fmt::format("{}: found no reward of its own, as the environment pays", definition_->where));
}

const Reward& Task::planning_reward() const { return *shared_planning_reward(); }

std::shared_ptr<const Reward> Task::shared_planning_reward() const {
  if (rewards_.planning != nullptr) return rewards_.planning;
  throw InputError(fmt::format(
      "{}: planning_reward: found one that is learned beside a model, expected an "
      "expression, the name of a reward or a function: local models, the true model and "
      "planning without learning need one",
      definition_->where));
}

}  // namespace foreplan
