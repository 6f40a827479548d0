// The program: commands, messages, exit codes.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "apps/commands.h"
#include "apps/exit_codes.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/plain_text.h"

namespace foreplan::apps {
namespace {

/// Every failure is one line, below which only a part of the user's text may stand, indented. It
/// may quote a file of others: no control characters, and no more than a person reads.
int Fail(int code, std::string_view message) {
  constexpr size_t kMostBytes = 4000;
  std::istringstream parts(WithoutMiddle(message, kMostBytes));
  std::string lines = "foreplan:";
  for (std::string part; std::getline(parts, part);) {
    lines += part.starts_with("  ") ? '\n' : ' ';
    lines += PlainText(part);
  }
  WriteToStderr(lines + '\n');
  return code;
}

/// Opens /dev/null in place of standard streams that are closed: else the next file that is opened
/// would take their numbers, and messages would be written into it.
void KeepStandardStreamsOpen() {
  int opened = 0;
  do {
    opened = open("/dev/null", O_RDWR);
  } while (0 <= opened && opened <= STDERR_FILENO);
  if (opened > STDERR_FILENO) close(opened);
}

/// What is still in the buffer is part of the result.
void FinishOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw RunError(fmt::format("standard output: cannot be written: {}",
                             std::generic_category().message(errno)));
}

/// The parser would only say that an argument was not expected.
void CheckCommandName(const CLI::App& app, int argc, char** argv) {
  if (argc < 2) throw InputError("expected a command; 'foreplan --help' explains them");
  const std::string_view name = argv[1];
  if (name.starts_with('-')) return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    known.push_back(command->get_name());
  }
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw UnknownName("", "command", name, known);
  }
}

/// The same that every document and every run's machine.json says of the program.
void PrintVersion(bool json) {
  const nlohmann::ordered_json versions = VersionsJson();
  if (json) {
    fmt::print("{}\n", versions.dump(2));
    return;
  }
  fmt::print("foreplan {}\n", versions["foreplan"].get<std::string>());
  for (const auto& [name, value] : versions.items()) {
    if (name == "foreplan") continue;
    fmt::print("{:<16}  {}\n", name,
               value.is_null()     ? "none"
               : value.is_string() ? value.get<std::string>()
                                   : value.dump());
  }
}

const CLI::App& ChosenCommand(const CLI::App& app) {
  const std::vector<const CLI::App*> chosen =
      app.get_subcommands([](const CLI::App* command) { return command->parsed(); });
  return chosen.empty() ? app : *chosen.front();
}

std::string Usage(const CLI::App& command) {
  return fmt::format("'foreplan {} --help' explains it", command.get_name());
}

/// Who, found, expected of what was left behind a command.
InputError NotExpected(const CLI::App& command, const std::string& word) {
  if (!word.starts_with("--")) {
    return InputError(fmt::format("{}: found '{}', expected no such argument; {}",
                                  command.get_name(), word, Usage(command)));
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string flag = word.substr(0, word.find('='));
  const std::string nearest = NearestName(flag, known);
  return InputError(fmt::format("{}: unknown flag '{}'{}; {}", command.get_name(), flag,
                                nearest.empty() ? "" : " (did you mean '" + nearest + "'?)",
                                Usage(command)));
}

/// What the parser found wrong, in the program's words.
InputError Explained(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = ChosenCommand(app);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !command.remaining().empty()) {
    return NotExpected(command, command.remaining().front());
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : command.get_options()) {
      if (!option->get_required() || !option->empty()) continue;
      const std::string flag =
          option->get_lnames().empty() ? "" : "--" + option->get_lnames().front() + " ";
      return InputError(fmt::format("{}: expected {}{}; {}", command.get_name(), flag,
                                    option->get_type_name(), Usage(command)));
    }
  }
  return InputError(error.what());
}

int Main(int argc, char** argv) {
  CLI::App app("Learns how a system moves from data, and plans with what it learned.", "foreplan");
  app.set_version_flag("--version", "", "this build: version, revision, compiler, libraries");
  bool json = false;
  app.add_flag("--json", json, "with --version: as one JSON document")->needs("--version");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 2 wrong input, 3 run failed (its data are kept), 130 interrupted "
      "(resumable)\n\n"
      "  foreplan list\n"
      "  foreplan show pets_cartpole\n"
      "  foreplan new robot.xml\n"
      "  foreplan run pets_cartpole --episodes 12\n"
      "  foreplan eval RUN --compare\n"
      "  foreplan bench planning --case lite --threads 1");
  AddListCommand(app);
  AddShowCommand(app);
  AddNewCommand(app);
  AddRunCommand(app);
  AddEvalCommand(app);
  AddCompareCommand(app);
  AddPlanCommand(app);
  AddFitCommand(app);
  AddTuneCommand(app);
  AddPredictCommand(app);
  AddCheckCommand(app);
  AddExportCommand(app);
  AddReplayCommand(app);
  AddReportCommand(app);
  AddViewCommand(app);
  AddBenchCommand(app);
  AddCompletionCommand(app);
  AddManualCommand(app);

  CheckCommandName(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
  } catch (const CLI::CallForVersion&) {
    // Parsing ends at --version: what stands behind it was not looked at.
    PrintVersion(std::find(argv, argv + argc, std::string_view("--json")) != argv + argc);
  } catch (const CLI::ParseError& error) {
    throw Explained(app, error);
  }
  FinishOutput();
  return kDone;
}

}  // namespace
}  // namespace foreplan::apps

int main(int argc, char** argv) {
  using namespace foreplan;  // NOLINT(google-build-using-namespace): the program's own names
  apps::KeepStandardStreamsOpen();
  apps::TakeSignals();
  try {
    return apps::Main(argc, argv);
  } catch (const InputError& error) {
    return apps::Fail(apps::kWrongInput, error.what());
  } catch (const Interrupted& error) {
    return apps::Fail(apps::kInterrupted, error.what());
  } catch (const std::exception& error) {
    return apps::Fail(apps::kRunFailed, error.what());
  }
}
