#include "apps/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <thread>

#include "foreplan/runs/message.h"

namespace foreplan::apps {

CLI::Validator IntegerFrom(int low, int high) {
  const auto check = [low, high](const std::string& text) -> std::string {
    int value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end && low <= value && value <= high) return "";
    return fmt::format("found '{}', expected an integer from {} to {}", text, low, high);
  };
  return CLI::Validator(check, "", "integer");
}

CLI::Validator NumberFrom(double low, double high) {
  const auto check = [low, high](const std::string& text) -> std::string {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end && low <= value && value <= high) return "";
    return fmt::format("found '{}', expected a number from {} to {}", text, low, high);
  };
  return CLI::Validator(check, "", "number");
}

void AddModelFlag(CLI::App& command, RunFlags& flags) {
  command
      .add_option("--model", flags.model, "the folder of a fit or a run: use its model and data")
      ->type_name("DIR");
}

void AddPlannerFlag(CLI::App& command, RunFlags& flags) {
  command.add_option("--planner", flags.planner, "what plans; default: the task's choice")
      ->type_name("PLANNER");
}

void AddSetFlag(CLI::App& command, RunFlags& flags) {
  command
      .add_option("--set", flags.assignments,
                  "change a value of the configuration, e.g. planner.icem.horizon=20; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

CLI::Option* AddThreadsFlag(CLI::App& command, int& threads) {
  constexpr int kMostThreads = 1024;
  threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
  return command
      .add_option("--threads", threads,
                  "threads that work; never changes a result. Default: the number of processors")
      ->check(IntegerFrom(1, kMostThreads));
}

void AddJsonFlag(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "write one JSON document to standard output");
}

void AddPrintConfigFlag(CLI::App& command, bool& print_config) {
  command.add_flag("--print-config", print_config,
                   "write the complete configuration as a task file to standard output, and end");
}

void PrintConfig(Experiment& experiment) { fmt::print("{}", ConfigText(experiment, "")); }

void AddDeadlineFlag(CLI::App& command, RunFlags& flags) {
  command
      .add_option(
          "--deadline-ms", flags.deadline_ms,
          "a decision takes no longer [ms]; 0: as long as its planner wants. The same as --set "
          "mpc.deadline_ms")
      ->check(NumberFrom(0, 1e6));
}

void NoteNewFolders(const std::filesystem::path& out) {
  const std::filesystem::path parent =
      (out.has_filename() ? out : out.parent_path()).parent_path().lexically_normal();
  std::error_code error;
  if (parent.empty() || parent == "runs" || std::filesystem::exists(parent, error)) return;
  WriteToStderr(
      fmt::format("foreplan: note: --out: makes the folder '{}' as well\n", parent.string()));
}

void PrintNotes(std::span<const std::string> notes) {
  for (const std::string& note : notes) {
    WriteToStderr(fmt::format("foreplan: note: {}\n", note));
  }
}

std::string HorizonText(Experiment& experiment) {
  if (!LearnerPlans(experiment.run.algorithm)) return "";
  const PlanningHorizon horizon = HorizonOf(experiment);
  if (horizon.steps == 0) return "";
  return fmt::format("planner {}: horizon of {} steps, {:.3g} s of an episode of {:.3g} s",
                     experiment.run.planner, horizon.steps, horizon.seconds,
                     horizon.episode_seconds);
}

}  // namespace foreplan::apps
