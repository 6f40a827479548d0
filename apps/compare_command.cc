// foreplan compare: runs side by side, new ones or those that are there; the systems of the
// lecture.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/command_text.h"
#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/comparison/compared_runs.h"
#include "foreplan/experiments/comparison/lecture.h"
#include "foreplan/experiments/comparison/run_folders.h"
#include "foreplan/experiments/comparison/run_grid.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/plain_text.h"
#include "foreplan/runs/sparkline.h"
#include "foreplan/runs/table.h"
#include "foreplan/runs/terminal_style.h"
#include "foreplan/systems/task_files.h"
#include "foreplan/systems/task_text.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct CompareRequest {
  std::vector<std::string> what;
  Comparison lecture{.task = "pets_cartpole",
                     .episodes = 6,
                     .final_episodes = 2,
                     .settings = {},
                     .folder = "runs/compare-lecture",
                     .threads = 1,
                     .studies = {}};
  RunGrid grid;
  std::string out;
  RunFlags flags;
  std::vector<std::string> only;
  std::optional<int> seeds;
  std::string command;  // as it could be typed again
  int threads = 1;
  bool json = false;
};

void PrintTables(const nlohmann::ordered_json& answer) {
  for (const auto& [name, rows] : answer.items()) {
    if (!rows.is_array()) continue;
    fmt::print("{}\n{}\n", name == "rows" ? "systems" : name,
               PlainTable(rows.get<std::vector<nlohmann::ordered_json>>()));
  }
  fmt::print("page: {}\n", answer["page"].get<std::string>());
}

nlohmann::ordered_json LectureOf(CompareRequest& request) {
  request.lecture.settings = request.flags.assignments;
  request.lecture.threads = request.threads;
  if (request.flags.episodes) request.lecture.episodes = *request.flags.episodes;
  if (request.lecture.episodes < 2) {
    throw InputError("--episodes: found '1', expected an integer from 2, for 'compare lecture'");
  }
  if (!request.out.empty()) request.lecture.folder = request.out;
  return CompareLecture(request.lecture, request.seeds.value_or(3), request.only,
                        CatchInterrupts());
}

/// How wide a table for people may be.
constexpr int kTableColumns = 100;
constexpr size_t kLongestName = 24;  // of a group in it
constexpr int kSparklineColumns = 24;

/// For people: a row per group, which is named by its number where names are long.
std::vector<nlohmann::ordered_json> GroupRows(const nlohmann::ordered_json& answer,
                                              bool by_number) {
  std::vector<nlohmann::ordered_json> rows;
  for (const auto& group : answer["groups"]) {
    const auto name = PlainText(group["name"].get<std::string>());
    nlohmann::ordered_json row = {{"group", by_number ? fmt::format("{}", rows.size() + 1) : name},
                                  {"seeds", group["seeds"].size()},
                                  {"mean", group["final_return_mean"]},
                                  {"ci95", group["final_return_ci95"]},
                                  {"iqm", group["final_return_iqm"]},
                                  {"diff", nullptr},
                                  {"diff_ci95", nullptr},
                                  {"improves", nullptr},
                                  {"best", group["best_return"]}};
    for (const auto& difference : answer["differences"]) {
      if (difference["name"] != group["name"]) continue;
      row["diff"] = difference["mean"];
      row["diff_ci95"] = difference["ci95"];
      row["improves"] = difference["probability_of_improvement"];
    }
    if (group["imagined"]) row["steps"] = "imagined";
    const auto left_out = group["left_out"].get<std::string>();
    if (!left_out.empty()) row["left_out"] = left_out;
    const auto changed = group["changed"].get<std::string>();
    if (!changed.empty()) row["changed"] = changed;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Columns of a text's lines, which end with two blanks.
int WidestLine(std::string_view text) {
  size_t widest = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    widest = std::max(widest, ColumnsOf(line));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return static_cast<int>(widest);
}

/// On a terminal with a column of the groups' mean returns, as wide as there is room for it.
std::string GroupTable(const nlohmann::ordered_json& answer, const std::vector<ComparedRun>& runs,
                       bool by_number) {
  std::vector<nlohmann::ordered_json> rows = GroupRows(answer, by_number);
  std::string table = PlainTable(rows);
  const TerminalStyle style = StyleOf(STDOUT_FILENO);
  // A full last column would wrap on some terminals.
  const int room =
      std::min(kTableColumns, TerminalWidth(STDOUT_FILENO) - 1) - WidestLine(table) - 2;
  constexpr std::string_view kHeading = "returns";
  if (!style.is_terminal || room < std::ssize(kHeading)) return table;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto name = answer["groups"][i]["name"].get<std::string>();
    rows[i][std::string(kHeading)] =
        Sparkline(MeanReturns(runs, name), std::min(kSparklineColumns, room), style.glyphs);
  }
  return PlainTable(rows);
}

void PrintGroups(const nlohmann::ordered_json& answer, const std::vector<ComparedRun>& runs) {
  std::vector<std::string> names;
  for (const auto& group : answer["groups"]) {
    names.push_back(PlainText(group["name"].get<std::string>()));
  }
  const bool by_number = std::ranges::any_of(
      names, [](const std::string& name) { return ColumnsOf(name) > kLongestName; });
  fmt::print("mean return of the last 5 whole episodes of each run, 95 % intervals over seeds\n");
  fmt::print("iqm: mean of the middle half of the runs\n");
  if (names.size() > 1) {
    fmt::print("diff: to {0}; improves: probability that a run earns more than one of {0}\n",
               by_number ? "1" : names.front());
  }
  fmt::print("\n");
  for (size_t i = 0; by_number && i < names.size(); ++i) fmt::print("{}: {}\n", i + 1, names[i]);
  fmt::print("{}\n", GroupTable(answer, runs, by_number));
  for (const char* file : {"table", "figure", "page", "markdown"}) {
    fmt::print("{}: {}\n", file, answer[file].get<std::string>());
  }
}

bool IsFolderOrPattern(const std::string& name) {
  std::error_code error;
  return fs::is_directory(name, error) || IsPattern(name);
}

/// What is compared, and what was found of it.
struct Answer {
  nlohmann::ordered_json json;
  std::vector<ComparedRun> runs;  // none of the lecture
};

Answer CompareFolders(const CompareRequest& request) {
  const bool asks_for_runs = request.seeds || request.flags.episodes || request.flags.steps ||
                             request.flags.model || !request.flags.assignments.empty() ||
                             !request.grid.planners.empty() || !request.grid.algorithms.empty() ||
                             !request.grid.varied.empty();
  if (asks_for_runs) {
    throw InputError("compare: found folders of runs beside flags of new ones, expected a task");
  }
  const RunFolders folders = FindRunFolders(request.what);
  Answer answer{.json = {}, .runs = ReadComparedRuns(folders.runs)};
  answer.json = CompareRuns(answer.runs,
                            request.out.empty() ? fs::path("runs/compare") : fs::path(request.out),
                            request.command);
  answer.json["skipped"] = nlohmann::ordered_json::array();
  for (const fs::path& folder : folders.skipped) {
    answer.json["skipped"].push_back(folder.string());
    WriteToStderr(fmt::format("{}: is no run, left out\n", PlainText(folder.string())));
  }
  return answer;
}

void CheckTask(const std::string& task) {
  const std::vector<std::string> known = TaskFileNames();
  if (!fs::path(task).extension().empty() || std::ranges::find(known, task) != known.end()) return;
  const std::vector<std::string> lecture = {"lecture"};
  if (!NearestName(task, lecture).empty()) {
    throw UnknownName("compare", "task, folder or comparison", task, lecture);
  }
  throw UnknownTask("compare", "task or folder of a run", task);
}

Answer CompareNewRuns(CompareRequest& request) {
  RunGrid& grid = request.grid;
  grid.task = request.what.front();
  CheckTask(grid.task);
  grid.flags = request.flags;
  grid.seeds = request.seeds.value_or(5);
  grid.threads = request.threads;
  const std::string name = LoadExperiment(grid.task, grid.flags).task.name();
  grid.folder =
      request.out.empty() ? fs::path("runs") / ("compare-" + name) : fs::path(request.out);
  request.out = grid.folder.string();
  Answer answer{.json = {}, .runs = ReadComparedRuns(RunAll(grid, CatchInterrupts()))};
  answer.json = CompareRuns(answer.runs, grid.folder, request.command);
  return answer;
}

void CompareRequested(CompareRequest& request, bool is_lecture, bool are_folders) {
  const Answer answer = is_lecture    ? Answer{.json = LectureOf(request), .runs = {}}
                        : are_folders ? CompareFolders(request)
                                      : CompareNewRuns(request);
  if (request.json) {
    // Names of folders may be no UTF-8.
    fmt::print("{}\n",
               answer.json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    is_lecture ? PrintTables(answer.json) : PrintGroups(answer.json, answer.runs);
  }
}

void Compare(CompareRequest request) {
  const bool is_lecture = request.what == std::vector<std::string>{"lecture"};
  if (!is_lecture && (!request.only.empty() || !request.lecture.studies.empty())) {
    throw InputError("compare: --only and --study are of 'compare lecture'");
  }
  const bool are_folders = !is_lecture && std::ranges::all_of(request.what, IsFolderOrPattern);
  if (!is_lecture && !are_folders && request.what.size() > 1) {
    throw InputError(
        fmt::format("compare: found '{}', expected one task, folders of runs, or "
                    "'lecture'",
                    fmt::join(request.what, "', '")));
  }
  if (!request.out.empty()) NoteNewFolders(request.out);
  try {
    CompareRequested(request, is_lecture, are_folders);
  } catch (const Interrupted&) {
    throw Interrupted("interrupted; the same command goes on with what is in " +
                      (is_lecture ? request.lecture.folder.string() : request.out));
  }
}

}  // namespace

void AddCompareCommand(CLI::App& app) {
  auto request = std::make_shared<CompareRequest>();
  CLI::App& command = *app.add_subcommand(
      "compare", "runs side by side: of planners, algorithms and settings over seeds");
  command
      .add_option("what", request->what,
                  "a task, which is run by every --planner, --algorithm and --vary with every "
                  "seed; folders of runs that are there, or patterns of them ('runs/*icem*'); or "
                  "'lecture': v0.5, v1.0, v1.5, v2.0, local "
                  "models and the true model, and what replanning buys")
      ->required()
      ->type_name("TASK|RUN...|lecture");
  command.add_option("--planner", request->grid.planners, "of a task: these, e.g. icem,mppi")
      ->type_name("PLANNER,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--algorithm", request->grid.algorithms, "of a task: these, e.g. mpc,aggregate")
      ->type_name("ALGORITHM,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--vary", request->grid.varied,
                  "of a task: every value of a key of the configuration; repeatable")
      ->type_name("KEY=A,B")
      ->allow_extra_args(false);
  command.add_option("--seeds", request->seeds, "0 ... K-1; default: 5, of lecture 3")
      ->type_name("K")
      ->check(IntegerFrom(1, 1000));
  CLI::Option* episodes = command
                              .add_option("--episodes", request->flags.episodes,
                                          "of experience; default: the task's, of lecture 6")
                              ->check(IntegerFrom(1, 1'000'000'000));
  command.add_option("--steps", request->flags.steps, "of experience; default: the task's")
      ->check(IntegerFrom(1, 2'000'000'000))
      ->excludes(episodes);
  command.add_option("--task", request->lecture.task, "of lecture; default: pets_cartpole")
      ->type_name("TASK");
  command
      .add_option("--out", request->out,
                  "folder of runs, table, figure, page and Markdown; default: runs/compare-<task>, "
                  "runs/compare, or "
                  "runs/compare-lecture. What is there already is not run again")
      ->type_name("DIR");
  command
      .add_option(
          "--only", request->only,
          "of lecture: only this system, by the name of its folder, e.g. v1.0-tracked; repeatable. "
          "Without the further studies, but for those of --study")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command
      .add_option("--study", request->lecture.studies,
                  "of lecture: only this study; repeatable. Default: all, or none with --only")
      ->type_name("replanning|planners_v0.5|planners_v1.5|drifting_car")
      ->allow_extra_args(false);
  command
      .add_option("--study-seeds", request->lecture.study_seeds,
                  "most seeds of which the studies are measured; default: 3")
      ->type_name("K")
      ->check(IntegerFrom(1, 1000));
  command
      .add_option("--study-episodes", request->lecture.study_episodes,
                  "fresh episodes of each row of a study, but one of drifting_car; default: 1")
      ->type_name("N")
      ->check(IntegerFrom(1, 1000));
  AddSetFlag(command, request->flags);
  AddModelFlag(command, request->flags);
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request, &command] {
    request->command = CommandText(command);
    Compare(*request);
  });
}

}  // namespace foreplan::apps
