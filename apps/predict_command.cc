// foreplan predict: how well a model predicts logged data.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/log_flags.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/prediction.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/runs/machine.h"
#include "foreplan/systems/component_names.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct PredictRequest {
  std::string model;
  std::string data;
  std::vector<int> horizons = {1, 5, 20};
  LogSection log;
  std::string out;
  int threads = 1;
  bool json = false;
};

/// null for what is no number.
nlohmann::ordered_json ByName(const std::vector<Component>& components,
                              const std::vector<double>& values) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (size_t i = 0; i < components.size(); ++i) object[components[i].name] = values[i];
  return object;
}

void PrintErrors(const PredictRequest& request, const StoredModel& stored,
                 const Recording& recording, const std::vector<PredictionError>& errors) {
  const std::vector<Component>& observation = stored.subject.spec.observation;
  if (request.json) {
    nlohmann::ordered_json horizons = nlohmann::ordered_json::array();
    for (const PredictionError& error : errors) {
      horizons.push_back({{"steps", error.horizon},
                          {"starts", error.starts},
                          {"rmse", ByName(observation, error.error)},
                          {"unchanged_rmse", ByName(observation, error.unchanged)}});
    }
    const nlohmann::ordered_json document = {{"model", request.model},
                                             {"data", request.data},
                                             {"transitions", recording.data.size()},
                                             {"episodes", recording.episodes},
                                             {"horizons", std::move(horizons)},
                                             {"notes", recording.notes},
                                             {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  fmt::print("{}: {} in {}, predicted by {}\n\n", request.data,
             Counted(recording.data.size(), "transition"), Counted(recording.episodes, "episode"),
             request.model);
  fmt::print("{:>6}{:>9}  {:<24}{:>14}{:>20}\n", "steps", "starts", "component", "error",
             "nothing changes");
  for (const PredictionError& error : errors) {
    for (size_t i = 0; i < observation.size(); ++i) {
      const std::string& unit = observation[i].unit;
      fmt::print(
          "{:>6}{:>9}  {:<24}{:>14.4g}{:>20.4g}\n", error.horizon, error.starts,
          unit.empty() ? observation[i].name : fmt::format("{} [{}]", observation[i].name, unit),
          error.error[i], error.unchanged[i]);
    }
  }
  for (const std::string& note : recording.notes) fmt::print("note: {}\n", note);
  if (!request.out.empty()) fmt::print("\nwritten: {}\n", request.out);
}

void Predict(PredictRequest request) {
  std::ranges::sort(request.horizons);
  const auto repeated = std::ranges::unique(request.horizons);
  request.horizons.erase(repeated.begin(), repeated.end());
  std::error_code error;
  if (!request.out.empty() && fs::exists(request.out, error)) {
    throw InputError(fmt::format("{}: exists already, expected a new file for --out", request.out));
  }
  RegisterLearnedSystem();
  const auto executor = std::make_shared<ThreadPool>(request.threads);
  const StoredModel stored = OpenStoredModel(request.model, executor);
  const Recording recording =
      ReadStoredData(request.data, ColumnsOf(stored.subject.spec), request.log.options());
  CheckPredicts(stored, request.data, recording);
  const std::vector<PredictionError> errors =
      PredictionErrors(*stored.model, recording.data, request.horizons, *executor);
  if (!request.out.empty()) {
    WriteFileAtomically(request.out, PredictionCsv(stored, recording.data));
  }
  PrintErrors(request, stored, recording, errors);
}

}  // namespace

void AddPredictCommand(CLI::App& app) {
  auto request = std::make_shared<PredictRequest>();
  CLI::App& command =
      *app.add_subcommand("predict", "how well a model predicts logged data, by component");
  command
      .add_option("model", request->model,
                  "the folder of a fit or a run, or a file model.safetensors")
      ->required()
      ->type_name("MODEL");
  command.add_option("data", request->data, "logged transitions, as for fit")
      ->required()
      ->type_name("FILE|RUN");
  command
      .add_option("--horizons", request->horizons,
                  "steps ahead, separated by commas; default: 1,5,20")
      ->delimiter(',')
      ->check(IntegerFrom(1, 100'000));
  AddLogFlags(command, request->log);
  command
      .add_option("--out", request->out,
                  "table to write: what was predicted one step ahead, and how surely")
      ->type_name("FILE");
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Predict(*request); });
}

}  // namespace foreplan::apps
