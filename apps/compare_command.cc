// foreplan compare: runs side by side, new ones or those that are there; the systems of the
// lecture.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/comparison/compared_runs.h"
#include "foreplan/experiments/comparison/lecture.h"
#include "foreplan/experiments/comparison/run_grid.h"
#include "foreplan/runs/table.h"
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

/// For people: a row per group.
void PrintGroups(const nlohmann::ordered_json& answer) {
  std::vector<nlohmann::ordered_json> rows;
  for (const auto& group : answer["groups"]) {
    nlohmann::ordered_json row = {{"group", group["name"]},
                                  {"seeds", group["seeds"].size()},
                                  {"mean", group["final_return_mean"]},
                                  {"ci95", group["final_return_ci95"]},
                                  {"difference", nullptr},
                                  {"difference_ci95", nullptr},
                                  {"best", group["best_return"]}};
    for (const auto& difference : answer["differences"]) {
      if (difference["name"] != group["name"]) continue;
      row["difference"] = difference["mean"];
      row["difference_ci95"] = difference["ci95"];
    }
    if (group["imagined"]) row["steps"] = "imagined";
    const auto left_out = group["left_out"].get<std::string>();
    if (!left_out.empty()) row["left_out"] = left_out;
    rows.push_back(std::move(row));
  }
  fmt::print("mean return of the last 5 whole episodes of each run, 95 % intervals over seeds\n\n");
  fmt::print("{}\ntable: {}\nfigure: {}\n", PlainTable(rows), answer["table"].get<std::string>(),
             answer["figure"].get<std::string>());
}

bool AllAreFolders(const std::vector<std::string>& names) {
  return std::ranges::all_of(names, [](const std::string& name) {
    std::error_code error;
    return fs::is_directory(name, error);
  });
}

nlohmann::ordered_json CompareFolders(const CompareRequest& request) {
  const bool asks_for_runs = request.seeds || request.flags.episodes || request.flags.steps ||
                             request.flags.model || !request.flags.assignments.empty() ||
                             !request.grid.planners.empty() || !request.grid.algorithms.empty() ||
                             !request.grid.varied.empty();
  if (asks_for_runs) {
    throw InputError("compare: found folders of runs beside flags of new ones, expected a task");
  }
  return CompareRuns(ReadComparedRuns({request.what.begin(), request.what.end()}),
                     request.out.empty() ? fs::path("runs/compare") : fs::path(request.out));
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

nlohmann::ordered_json CompareNewRuns(CompareRequest& request) {
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
  return CompareRuns(ReadComparedRuns(RunAll(grid, CatchInterrupts())), grid.folder);
}

void Compare(CompareRequest request) {
  const bool is_lecture = request.what == std::vector<std::string>{"lecture"};
  if (!is_lecture && (!request.only.empty() || !request.lecture.studies.empty())) {
    throw InputError("compare: --only and --study are of 'compare lecture'");
  }
  const bool are_folders = !is_lecture && AllAreFolders(request.what);
  if (!is_lecture && !are_folders && request.what.size() > 1) {
    throw InputError(
        fmt::format("compare: found '{}', expected one task, folders of runs, or "
                    "'lecture'",
                    fmt::join(request.what, "', '")));
  }
  if (!request.out.empty()) NoteNewFolders(request.out);
  try {
    const nlohmann::ordered_json answer = is_lecture    ? LectureOf(request)
                                          : are_folders ? CompareFolders(request)
                                                        : CompareNewRuns(request);
    if (request.json) {
      fmt::print("{}\n", answer.dump(2));
    } else {
      is_lecture ? PrintTables(answer) : PrintGroups(answer);
    }
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
      .add_option(
          "what", request->what,
          "a task, which is run by every --planner, --algorithm and --vary with every "
          "seed; folders of runs that are there; or 'lecture': v0.5, v1.0, v1.5, v2.0, local "
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
      .add_option(
          "--out", request->out,
          "folder of runs, tables and figure; default: runs/compare-<task>, runs/compare, or "
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
  command.callback([request] { Compare(*request); });
}

}  // namespace foreplan::apps
