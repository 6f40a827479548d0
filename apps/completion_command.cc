// foreplan completion: scripts for shells, and the names that they offer.
// foreplan manual: the manual page and docs/commands.md; hidden, as builds and tests need it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <memory>

#include "apps/commands.h"
#include "apps/completion/writers.h"
#include "foreplan/core/error.h"
#include "foreplan/learners/learner.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {
namespace {

using Printed = std::map<std::string, std::function<std::string()>>;

std::string Lines(const std::vector<std::string>& names) {
  return fmt::format("{}\n", fmt::join(names, "\n"));
}

/// A command that prints one of several texts, chosen by its only argument.
CLI::App& AddPrinter(CLI::App& app, const std::string& name, const std::string& text,
                     const std::string& argument, Printed printed) {
  std::vector<std::string> known;
  for (const auto& entry : printed) known.push_back(entry.first);
  auto chosen = std::make_shared<std::string>();
  CLI::App& command = *app.add_subcommand(name, text);
  command.add_option("what", *chosen, argument)
      ->required()
      ->type_name(fmt::format("{}", fmt::join(known, "|")));
  command.callback([name, chosen, known, printed = std::move(printed)] {
    const auto found = printed.find(*chosen);
    if (found == printed.end()) throw UnknownName(name, "word", *chosen, known);
    fmt::print("{}", found->second());
  });
  return command;
}

}  // namespace

void AddCompletionCommand(CLI::App& app) {
  AddPrinter(app, "completion", "print a script that completes this program's commands in a shell",
             "a shell, or what its script offers: tasks, algorithms, planners",
             {{"bash", [&app] { return BashCompletion(Described(app)); }},
              {"zsh", [&app] { return ZshCompletion(Described(app)); }},
              {"fish", [&app] { return FishCompletion(Described(app)); }},
              {"tasks", [] { return Lines(Task::ShippedNames()); }},
              {"algorithms", [] { return Lines(LearnerNames()); }},
              {"planners", [] { return Lines(PlannerNames()); }}});
}

void AddManualCommand(CLI::App& app) {
  AddPrinter(app, "manual", "print the manual page, or the page of the documentation", "which",
             {{"roff", [&app] { return ManualPage(Described(app)); }},
              {"markdown", [&app] { return CommandReference(Described(app)); }}})
      .group("");
}

}  // namespace foreplan::apps
