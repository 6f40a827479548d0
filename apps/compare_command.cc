// foreplan compare: the systems of the lecture side by side.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/comparison/lecture.h"
#include "foreplan/runs/table.h"

namespace foreplan::apps {
namespace {

struct CompareRequest {
  std::string what;
  Comparison comparison{.task = "pets_cartpole",
                        .episodes = 6,
                        .final_episodes = 2,
                        .settings = {},
                        .folder = "runs/compare-lecture",
                        .threads = 1,
                        .studies = {}};
  std::string out;
  RunFlags flags;
  std::vector<std::string> only;
  int seeds = 3;
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

void Compare(CompareRequest request) {
  if (request.what != "lecture") {
    throw UnknownName("compare", "comparison", request.what, std::vector<std::string>{"lecture"});
  }
  request.comparison.settings = request.flags.assignments;
  if (!request.out.empty()) request.comparison.folder = request.out;
  try {
    const nlohmann::ordered_json answer =
        CompareLecture(request.comparison, request.seeds, request.only, CatchInterrupts());
    if (request.json) {
      fmt::print("{}\n", answer.dump(2));
    } else {
      PrintTables(answer);
    }
  } catch (const Interrupted&) {
    throw Interrupted("interrupted; the same command goes on with what is in " +
                      request.comparison.folder.string());
  }
}

}  // namespace

void AddCompareCommand(CLI::App& app) {
  auto request = std::make_shared<CompareRequest>();
  CLI::App& command = *app.add_subcommand(
      "compare", "the lecture's systems side by side, at one budget of experience");
  command
      .add_option("what", request->what,
                  "lecture: v0.5, v1.0, v1.5, v2.0, local models and the true model, and what "
                  "replanning buys")
      ->required()
      ->type_name("lecture");
  command.add_option("--seeds", request->seeds, "0 ... K-1; default: 3")
      ->type_name("K")
      ->check(IntegerFrom(1, 1000));
  command.add_option("--episodes", request->comparison.episodes, "of experience; default: 6")
      ->check(IntegerFrom(2, 10000));
  command.add_option("--task", request->comparison.task, "default: pets_cartpole");
  command.add_option("--out", request->out,
                     "folder of runs, tables and figure; default: runs/compare-lecture. What is "
                     "there already is not run again");
  command
      .add_option("--only", request->only,
                  "only this system, by the name of its folder, e.g. v1.0-tracked; repeatable. "
                  "Without the further studies, but for those of --study")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command
      .add_option("--study", request->comparison.studies,
                  "only this study: replanning, planners_v0.5, planners_v1.5, drifting_car; "
                  "repeatable. Default: all, or none with --only")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command
      .add_option("--study-seeds", request->comparison.study_seeds,
                  "most seeds of which the studies are measured; default: 3")
      ->type_name("K")
      ->check(IntegerFrom(1, 1000));
  command
      .add_option("--study-episodes", request->comparison.study_episodes,
                  "fresh episodes of each row of a study, but one of drifting_car; default: 1")
      ->type_name("N")
      ->check(IntegerFrom(1, 1000));
  AddSetFlag(command, request->flags);
  AddThreadsFlag(command, request->comparison.threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Compare(*request); });
}

}  // namespace foreplan::apps
