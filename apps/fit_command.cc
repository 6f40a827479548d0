// foreplan fit: learn a model from logged data and judge it on what it has not seen.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "apps/log_flags.h"
#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/segments.h"
#include "foreplan/data/turn_jumps.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/fit_report.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/models/calibration.h"
#include "foreplan/models/fit_control.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/status_line.h"
#include "foreplan/systems/component_names.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct FitRequest {
  std::string data;
  std::string task;  // "": none
  std::vector<std::string> observation;
  std::vector<std::string> action;
  LogSection log;
  RunFlags flags;
  std::string out;
  int threads = 1;
  bool json = false;
  bool print_config = false;
};

constexpr uint64_t kFitStream = 0x666974;  // training derives its keys from stream 0 of the seed
enum Purpose : uint64_t { kInit, kFit, kCalibrate, kRefit };

/// What is known of a system of which there is only data; actions are bounded by those that were
/// taken.
EnvironmentSpec SpecOf(const Recording& recording) {
  EnvironmentSpec spec;
  spec.dt = recording.dt;
  spec.observation = ObservationOf(recording);
  const auto nu = recording.action.size();
  spec.action_low.assign(nu, std::numeric_limits<double>::infinity());
  spec.action_high.assign(nu, -std::numeric_limits<double>::infinity());
  spec.action = ActionOf(recording);
  for (int64_t row = 0; row < recording.data.size(); ++row) {
    for (size_t i = 0; i < nu; ++i) {
      const double action = recording.data.action(row)[i];
      spec.action_low[i] = std::min(spec.action_low[i], action);
      spec.action_high[i] = std::max(spec.action_high[i], action);
    }
  }
  return spec;
}

/// Section [data] of a fit without a task: what the columns were.
struct DataOptions {
  std::vector<std::string> observation;
  std::vector<std::string> action;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("observation", observation, "components, in order");
    visitor.Field("action", action, "components, in order");
  }
};

/// One fit, from the file to the folder.
class FitSession {
 public:
  explicit FitSession(const FitRequest& request)
      : request_(request),
        executor_(std::make_shared<ThreadPool>(request.threads)),
        experiment_(LoadTask(request)),
        config_(experiment_ ? std::move(experiment_->config) : OwnConfig(request)),
        recording_(ReadRecording(request.data, Columns(), ReadLogSection(config_).options())),
        spec_(experiment_ ? experiment_->task.spec() : SpecOf(recording_)),
        encoding_(experiment_ ? experiment_->task.encoding() : ReadEncoding(config_, spec_, {})),
        calibration_(ReadOptions<CalibrationOptions>(config_, "calibration")),
        key_{static_cast<uint64_t>(seed()), kFitStream},
        model_(MakeLearnedModel(Subject(), config_, key_.Fold(kInit), executor_)) {
    config_.ThrowOnUnknownKeys();
    JudgeTurns();
  }

  void Run() {
    const DataSplit split = SplitForCalibration(recording_.data, calibration_.holdout);
    // Whatever is wrong with the folder's name shows before the work.
    const fs::path path = Path();
    report_.folder = path.string();
    NoteNewFolders(path);
    const std::stop_token stop = CatchInterrupts();
    RunDirectory folder = RunDirectory::Create(path);
    try {
      const auto start = std::chrono::steady_clock::now();
      FitAndJudge(split, stop);
      report_.seconds = SecondsSince(start);
      FillReport(split);
      Write(folder);
      folder.Complete();
    } catch (...) {
      std::error_code ignored;  // the first error is the one to tell
      fs::remove_all(folder.path(), ignored);
      if (stop.stop_requested()) throw Interrupted("interrupted; nothing is written");
      throw;
    }
  }

  void PrintConfig() { fmt::print("{}", ConfigText("")); }

  [[nodiscard]] const DataFitReport& report() const { return report_; }

 private:
  static std::optional<Experiment> LoadTask(const FitRequest& request) {
    if (request.task.empty()) return std::nullopt;
    if (!request.observation.empty() || !request.action.empty()) {
      throw InputError(
          "fit: found --observation or --action beside --task, expected the task's own names");
    }
    return LoadExperiment(request.task, request.flags);
  }

  static Config OwnConfig(const FitRequest& request) {
    Config config;
    for (const std::string& assignment : request.flags.assignments) config.Set(assignment);
    return config;
  }

  [[nodiscard]] int seed() const {
    return experiment_ ? experiment_->run.seed : request_.flags.seed.value_or(0);
  }

  [[nodiscard]] RecordingColumns Columns() const {
    if (!experiment_) return {.observation = request_.observation, .action = request_.action};
    return ColumnsOf(experiment_->task.spec());
  }

  [[nodiscard]] ModelSubject Subject() const {
    return experiment_ ? ModelSubject(experiment_->task) : ModelSubject(spec_, encoding_);
  }

  /// Angles that jump where they begin a new turn: the model knows of those that are declared.
  void JudgeTurns() {
    for (const TurnJumps& jumps : FindTurnJumps(recording_.data)) {
      const std::string& name = recording_.observation[jumps.component];
      const bool is_declared =
          std::ranges::find(encoding_.sin_cos, name) != encoding_.sin_cos.end();
      const bool in_degrees = jumps.turn == 360;
      const std::string where = recording_.PlaceOf(jumps.first);
      if (is_declared && in_degrees) {
        throw InputError(fmt::format(
            "{}: '{}': found jumps by 360 (the first behind {}), expected radians of what "
            "encoding.sin_cos names; --degrees {} converts it",
            request_.data, name, where, name));
      }
      if (is_declared) continue;
      recording_.notes.push_back(fmt::format(
          "{} jumps by nearly {} {} {} (first behind {}), and is learned so; if it is an angle, {}"
          "name it in encoding.sin_cos",
          name, in_degrees ? "360" : "2 pi", jumps.count, jumps.count == 1 ? "time" : "times",
          where, in_degrees ? fmt::format("convert it to radians (--degrees {}) and ", name) : ""));
    }
  }

  [[nodiscard]] fs::path Path() const {
    if (!request_.out.empty()) return request_.out;
    const std::string name =
        experiment_ ? experiment_->task.name() : fs::path(request_.data).stem().string();
    return RunDirectory::FreshPath("runs", name, "fit", seed());
  }

  void FitAndJudge(const DataSplit& split, const std::stop_token& stop) {
    StatusLine line;
    const auto show = [&line](const char* what, const auto& work) {
      WorkProgress shown(what, 1, "", line);
      return work([&shown](double share, double /*loss*/) { shown.Show(share); });
    };
    report_.metrics = show("fitting", [&](const FitProgress& progress) {
      return model_->Fit(split.training, key_.Fold(kFit), stop, progress);
    });
    report_.calibration = show("judging", [&](const FitProgress& progress) {
      return Calibrate(*model_, split, calibration_, key_.Fold(kCalibrate), *executor_,
                       {.stop = stop, .progress = progress});
    });
    if (!calibration_.refit) return;
    report_.metrics = show("fitting to all rows", [&](const FitProgress& progress) {
      return model_->Fit(recording_.data, key_.Fold(kRefit), stop, progress);
    });
  }

  void FillReport(const DataSplit& split) {
    report_.data = request_.data;
    report_.task = experiment_ ? experiment_->task.name() : "";
    report_.seed = seed();
    report_.transitions = recording_.data.size();
    report_.episodes = recording_.episodes;
    report_.dt = recording_.dt;
    report_.held_out = split.how;
    report_.refitted = calibration_.refit;
    report_.notes = recording_.notes;
    report_.observation = spec_.observation;
    report_.details = model_->Describe().dump();
  }

  /// Of a task the whole configuration, so that runs can go on from here.
  std::string ConfigText(const fs::path& directory) {
    ConfigWriter writer;
    std::string text;
    if (experiment_) {
      experiment_->config = std::move(config_);
      text = foreplan::ConfigText(*experiment_, directory) + "\n";
    } else {
      DataOptions data{recording_.observation, recording_.action};
      writer.Write("data", data);
      WriteLogSection(config_, writer);
      writer.Write("encoding", encoding_);
      WriteModelOptions(config_, writer);
    }
    writer.Write("calibration", calibration_);
    return text + writer.text();
  }

  void Write(const RunDirectory& folder) {
    TensorFile model;
    WriteSubject(Subject(), model);
    WriteModelSections(config_, model);
    WriteStarts(recording_.data, model);
    model_->SavePredictor(model);
    const std::string config = ConfigText(folder.path());  // takes config_
    const std::string machine = MachineJson(executor_->size());
    WriteTensors(folder.model_file(), model);
    WriteSegments(folder.data_folder(), recording_.data, 0);
    WriteFileAtomically(folder.config_file(), config);
    WriteFileAtomically(folder.machine_file(), machine);
    WriteFileAtomically(folder.calibration_table(), CalibrationCsv(report_));
    WriteFileAtomically(folder.calibration_file(), FitJson(report_).dump(2) + "\n");
    WriteFileAtomically(folder.report_file(), FitPage(report_, config, machine));
  }

  const FitRequest& request_;
  std::shared_ptr<ThreadPool> executor_;
  std::optional<Experiment> experiment_;  // its config is in config_
  Config config_;
  Recording recording_;
  EnvironmentSpec spec_;
  Encoding encoding_;
  CalibrationOptions calibration_;
  Key key_;
  std::unique_ptr<LearnedModel> model_;
  DataFitReport report_;
};

void Fit(const FitRequest& request) {
  FitSession session(request);
  if (request.print_config) return session.PrintConfig();
  session.Run();
  if (request.json) {
    nlohmann::ordered_json document = FitJson(session.report());
    document["versions"] = VersionsJson();
    fmt::print("{}\n", document.dump(2));
    return;
  }
  fmt::print("{}{}\n", FitText(session.report()),
             (fs::path(session.report().folder) / "report.html").string());
}

}  // namespace

void AddFitCommand(CLI::App& app) {
  auto request = std::make_shared<FitRequest>();
  CLI::App& command = *app.add_subcommand("fit", "learn a model from logged data, and judge it");
  command
      .add_option("data", request->data,
                  "logged transitions: .csv, .npz, .hdf5 (Minari), the recording of an episode "
                  "(.safetensors.gz), or data or folder of a run")
      ->required()
      ->type_name("FILE|RUN");
  command
      .add_option("--task", request->task,
                  "the task the data are of: names, units, settings; needed to plan later")
      ->type_name("TASK");
  command
      .add_option("--observation", request->observation,
                  "without a task: names of the observation's columns, separated by commas")
      ->delimiter(',')
      ->type_name("NAME,...");
  command.add_option("--action", request->action, "without a task: names of the action's columns")
      ->delimiter(',')
      ->type_name("NAME,...");
  AddLogFlags(command, request->log);
  command.add_option("--seed", request->flags.seed, "of networks and imagined noise; default: 0")
      ->check(IntegerFrom(0, 2147483647));
  command
      .add_option("--out", request->out, "folder to make; default: runs/<task>-fit-<seed>-<time>")
      ->type_name("DIR");
  AddSetFlag(command, request->flags);
  AddPrintConfigFlag(command, request->print_config);
  command.get_option("--print-config")->needs("--task");
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] {
    const std::vector<std::string> log = Assignments(request->log);
    request->flags.assignments.insert(request->flags.assignments.end(), log.begin(), log.end());
    Fit(*request);
  });
}

}  // namespace foreplan::apps
