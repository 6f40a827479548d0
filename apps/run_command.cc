// foreplan run: learn to control a task.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/runs/returns.h"
#include "foreplan/runs/sparkline.h"
#include "foreplan/runs/terminal_style.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

constexpr int kCurveColumns = 60;  // most of a summary

struct RunRequest {
  std::string task;
  RunFlags flags;
  std::string out;
  std::string resume;
  std::vector<std::string> accept;
  int threads = 1;
  bool json = false;
  bool print_config = false;
};

struct PreparedRun {
  std::unique_ptr<RunSession> session;
  std::string horizon;  // how far it looks ahead; "": it does not plan
};

PreparedRun Resume(const RunRequest& request, const std::stop_token& stop) {
  const RunDirectory directory = RunDirectory::Open(request.resume);
  const RunFlags bounds{.episodes = request.flags.episodes, .steps = request.flags.steps};
  Experiment experiment = LoadExperiment(directory.config_file().string(), bounds);
  const std::string horizon = HorizonText(experiment);
  auto session = std::make_unique<RunSession>(std::move(experiment), request.threads, stop);
  session->Resume(request.resume, request.accept);
  PrintNotes(session->notes());
  return {std::move(session), horizon};
}

PreparedRun Begin(const RunRequest& request, Experiment experiment, const std::stop_token& stop) {
  const std::string horizon = HorizonText(experiment);
  const fs::path path =
      !request.out.empty() ? fs::path(request.out)
                           : RunDirectory::FreshPath("runs", experiment.task.name(),
                                                     experiment.run.algorithm, experiment.run.seed);
  auto session = std::make_unique<RunSession>(std::move(experiment), request.threads, stop);
  if (!request.out.empty()) NoteNewFolders(path);
  session->Create(path);
  return {std::move(session), horizon};
}

/// What is recorded of a run; without a flag the config says it.
void AddRecordFlags(CLI::App& command, RunFlags& flags) {
  CLI::Option* all = command.add_flag_callback(
      "--record", [&flags] { flags.record = RecordedEpisodes::kAll; },
      "record every episode into the folder recordings of the run; default: the last one");
  command
      .add_flag_callback(
          "--no-record", [&flags] { flags.record = RecordedEpisodes::kNone; }, "record none")
      ->excludes(all);
  command
      .add_option("--record-mb", flags.record_mb,
                  "most of one recording before it is packed; beyond it fewer plans keep what was "
                  "imagined of them. Default: 64")
      ->check(NumberFrom(0.1, 1000));
}

/// On a terminal the curve of the returns.
void PrintCurve(const RunSession& session) {
  const TerminalStyle style = StyleOf(STDOUT_FILENO);
  const std::vector<double> returns = ReturnsWithGaps(session.log().episodes());
  if (!style.is_terminal || returns.size() < 2) return;
  constexpr std::string_view kHeading = "returns  ";
  const int room = TerminalWidth(STDOUT_FILENO) - 1 - static_cast<int>(kHeading.size());
  const std::string curve = Sparkline(returns, std::min(room, kCurveColumns), style.glyphs);
  if (!curve.empty()) fmt::print("{}{}\n", kHeading, Colored(curve, Color::kCurve, style));
}

void PrintSummary(const RunSession& session, const std::string& horizon) {
  const WholeReturns whole = WholeReturnsOf(session.log().episodes());
  if (whole.returns.empty()) {
    fmt::print("no whole episode");
  } else {
    fmt::print("best return {:.2f} in episode {}; mean of the last {} {:.2f}",
               whole.returns[whole.best()], whole.episodes[whole.best()],
               Counted(whole.last_count(), "episode"), whole.MeanOfLast());
  }
  fmt::print("{}\n",
             whole.LeftOut().empty() ? "" : fmt::format(" (left out: {})", whole.LeftOut()));
  fmt::print("{} {}steps in {:.1f} s (planning {:.1f} s, fitting {:.1f} s)\n",
             session.log().episodes().back().total_steps,
             session.Result().at("imagined").get<bool>() ? "imagined " : "", session.wall_seconds(),
             session.times().planning_seconds, session.times().fitting_seconds);
  PrintCurve(session);
  if (!horizon.empty()) fmt::print("{}\n", horizon);
  fmt::print("report: {}\n", session.directory().report_file().string());
}

/// Throws InputError for what cannot be run.
std::optional<Experiment> LoadRequested(const RunRequest& request) {
  if (!request.resume.empty()) return std::nullopt;
  if (request.task.empty() && !request.flags.model) {
    throw InputError("run: expected a task or --resume DIR; 'foreplan list' names the tasks");
  }
  Experiment experiment = LoadExperiment(request.task, request.flags);
  PrintNotes(experiment.notes);
  return experiment;
}

void Run(const RunRequest& request) {
  const std::stop_token stop = CatchInterrupts();
  std::optional<Experiment> experiment = LoadRequested(request);
  if (request.print_config) return PrintConfig(*experiment);
  const auto [session, horizon] =
      experiment ? Begin(request, std::move(*experiment), stop) : Resume(request, stop);
  std::exception_ptr ended;
  try {
    session->Run();
  } catch (const Error&) {
    ended = std::current_exception();
  }
  try {
    if (request.json) fmt::print("{}\n", session->Result().dump(2));
  } catch (const std::system_error&) {
    if (!ended) throw;  // how the run ended matters more than where its document went
  }
  if (ended) std::rethrow_exception(ended);
  if (!request.json) PrintSummary(*session, horizon);
}

}  // namespace

void AddRunCommand(CLI::App& app) {
  auto request = std::make_shared<RunRequest>();
  CLI::App& command = *app.add_subcommand("run", "learn to control a task");
  const auto begins = {
      command
          .add_option(
              "task", request->task,
              "a shipped task, or a task file (.toml); with --model alone the model is the system")
          ->type_name("TASK"),
      command
          .add_option("--algorithm", request->flags.algorithm,
                      "the learning loop; default: the task's choice")
          ->type_name("ALGORITHM"),
      command.add_option("--seed", request->flags.seed, "of every random number of the run")
          ->check(IntegerFrom(0, 2147483647)),
      command
          .add_option("--out", request->out,
                      "folder to make; default: runs/<task>-<algorithm>-<seed>-<time>")
          ->type_name("DIR"),
  };
  AddModelFlag(command, request->flags);
  CLI::Option* episodes = command
                              .add_option("--episodes", request->flags.episodes,
                                          "stop after so many; those of the base policy count")
                              ->check(IntegerFrom(1, 1'000'000'000));
  CLI::Option* steps =
      command.add_option("--steps", request->flags.steps, "stop after so many environment steps")
          ->check(IntegerFrom(1, 2'000'000'000));
  episodes->excludes(steps);
  AddPlannerFlag(command, request->flags);
  AddRecordFlags(command, request->flags);
  AddDeadlineFlag(command, request->flags);
  AddSetFlag(command, request->flags);
  AddPrintConfigFlag(command, request->print_config);
  CLI::Option* resume = command
                            .add_option("--resume", request->resume,
                                        "go on with this run, exactly as if never stopped; with "
                                        "--episodes or --steps a longer one")
                            ->type_name("RUN");
  command
      .add_option("--accept", request->accept,
                  "go on though this is not what it was: program, processor, libraries, a key of "
                  "config.toml, or a file of the task; the run says so from then on")
      ->type_name("NAME")
      ->needs(resume);
  for (CLI::Option* option : begins) resume->excludes(option);
  for (const char* name : {"--planner", "--model", "--record", "--no-record", "--record-mb",
                           "--deadline-ms", "--set", "--print-config"}) {
    resume->excludes(command.get_option(name));
  }
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Run(*request); });
}

}  // namespace foreplan::apps
