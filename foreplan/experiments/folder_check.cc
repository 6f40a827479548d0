#include "foreplan/experiments/folder_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/data/episode_recording.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/provenance.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/runs/run_tables.h"
#include "foreplan/systems/task_text.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using State = CheckedPart::State;

bool Exists(const fs::path& file) {
  std::error_code error;
  return fs::exists(file, error);
}

/// Fills a check part by part.
class Checker {
 public:
  explicit Checker(fs::path folder) : folder_(std::move(folder)) {}

  /// A part that is whole when `read` throws nothing; `read` says what it holds.
  bool Part(const fs::path& file, const std::function<std::string()>& read) {
    if (!Exists(file)) return Add(file, State::kMissing, "");
    try {
      return Add(file, State::kWhole, read());
    } catch (const Error& error) {
      return Add(file, State::kDamaged, error.what());
    }
  }
  bool Add(const fs::path& file, State state, std::string text) {
    check.parts.push_back({file.lexically_relative(folder_).string(), state, std::move(text)});
    return state == State::kWhole;
  }
  void Json(const fs::path& file) {
    if (!Exists(file)) return;
    Part(file, [&] {
      if (nlohmann::json::parse(ReadFile(file), nullptr, false).is_discarded()) {
        throw InputError(fmt::format("{}: found no JSON", file.string()));
      }
      return std::string();
    });
  }
  /// The rows of the files up to the first that cannot be read; says which that is.
  int64_t Data(const fs::path& folder, Dataset data) {
    bool is_whole = true;
    while (is_whole) {
      const fs::path file = SegmentFile(folder, data.size());
      if (!Exists(file)) break;
      try {
        data.Append(ReadTensors(file));
      } catch (const InputError& error) {
        is_whole = Add(file, State::kDamaged, error.what());
      }
    }
    if (is_whole) Add(folder, State::kWhole, Counted(data.size(), "transition"));
    return data.size();
  }
  void LeftOver() {
    for (const fs::path& file : TemporaryFilesIn(folder_)) {
      Add(file, State::kLeftOver, "of a writer that was killed");
    }
  }
  void Advise(std::string text) { check.advice.push_back(std::move(text)); }

  FolderCheck check;

 private:
  fs::path folder_;
};

/// What both checkpoints of a run say.
struct Generations {
  std::optional<TensorFile> last;
  std::optional<TensorFile> previous;
  [[nodiscard]] const TensorFile* best() const {
    if (last) return &*last;
    return previous ? &*previous : nullptr;
  }
};

/// Without rows, of the sizes that those in the folder have; of any where there are none.
Dataset EmptyDataset(const fs::path& folder) {
  const std::array<int64_t, 2> any = {-1, -1};
  const auto columns = [&](const TensorFile& file, const char* name) {
    static_cast<void>(file.Doubles(name, any));
    return static_cast<int>(file.tensors.at(name).shape[1]);
  };
  try {
    const TensorFile first = ReadTensors(FirstSegment(folder));
    return {columns(first, "data.observation"), columns(first, "data.action")};
  } catch (const InputError&) {
    return {1, 1};
  }
}

/// Everything that going on from it would look at; without an experiment all but the learner.
std::string CheckGeneration(const RunDirectory& directory, const fs::path& file,
                            Experiment* experiment, std::optional<TensorFile>& found) {
  const Dataset sizes = EmptyDataset(directory.data_folder());
  Checkpoint checkpoint =
      ReadCheckpointOf(directory, file, sizes.observation_dim(), sizes.action_dim());
  RunTables::Check(directory, checkpoint.state);
  static_cast<void>(ReadProvenance(checkpoint.state));
  const int64_t rows = checkpoint.data.size();
  if (experiment != nullptr) {
    const auto learner = MakeLearner(experiment->run.algorithm, experiment->config,
                                     {.task = experiment->task, .run = experiment->run});
    learner->Restore(checkpoint.state, std::move(checkpoint.data));
  }
  found = std::move(checkpoint.state);
  return fmt::format("checkpoint {}, {}", CheckpointInteger(*found, kCheckpointNumber),
                     Counted(rows, "transition"));
}

Generations CheckGenerations(const RunDirectory& directory, Experiment* experiment,
                             Checker& checker) {
  Generations found;
  checker.Part(directory.checkpoint_file(), [&] {
    return CheckGeneration(directory, directory.checkpoint_file(), experiment, found.last);
  });
  if (Exists(directory.previous_checkpoint_file())) {
    checker.Part(directory.previous_checkpoint_file(), [&] {
      return CheckGeneration(directory, directory.previous_checkpoint_file(), experiment,
                             found.previous);
    });
  }
  return found;
}

void CheckTables(const RunDirectory& directory, Checker& checker) {
  for (const fs::path& file : {directory.episodes_file(), directory.metrics_file()}) {
    checker.Part(file, [&] {
      RunLog log;
      const std::string text = ReadFile(file);
      const bool is_episodes = file == directory.episodes_file();
      log.RestoreCsv(is_episodes ? text : log.EpisodesCsv(), is_episodes ? log.MetricsCsv() : text,
                     directory.path().string());
      return Counted(is_episodes ? log.episodes().size() : log.metrics().size(), "row");
    });
  }
}

void CheckModel(const RunDirectory& directory, const TensorFile* state, bool has_task,
                Checker& checker) {
  const fs::path file = directory.model_file();
  std::string number;
  const bool is_whole = checker.Part(file, [&] {
    const TensorFile model = ReadTensors(file);
    // Models of a kind of their own, as those of local models, say nothing of how they are made.
    if (has_task && model.metadata.contains("options")) {
      static_cast<void>(OpenStoredModel(directory.path()));
    }
    const auto found = model.metadata.find(kCheckpointNumber);
    if (found != model.metadata.end()) number = found->second;
    return Counted(model.tensors.size(), "tensor");
  });
  if (!is_whole || state == nullptr) return;
  if (number != CheckpointText(*state, kCheckpointNumber)) {
    CheckedPart& part = checker.check.parts.back();
    part.state = State::kOutdated;
    part.text = fmt::format("of checkpoint {}; written anew when the run goes on", number);
  }
}

void CheckRecordings(const RunDirectory& directory, Checker& checker) {
  for (const fs::path& file : RecordingsOf(directory)) {
    checker.Part(file, [&] {
      const EpisodeRecording recording = ReadEpisodeRecording(file);
      return fmt::format("episode {}, {}", recording.episode, Counted(recording.steps(), "step"));
    });
  }
}

void AdviseOnRun(const RunDirectory& directory, const Generations& found, int64_t rows,
                 bool has_config, Checker& checker) {
  const std::string path = directory.path().string();
  if (!found.last && found.previous) {
    checker.Advise(fmt::format(
        "'foreplan run --resume {}' goes on from the checkpoint before the last, to the same bits",
        path));
  }
  if (found.best() == nullptr && rows > 0) {
    checker.Advise(
        fmt::format("it cannot go on; {} can be read: 'foreplan fit {}' learns from them",
                    Counted(rows, "transition"), path));
  }
  if (directory.IsInUse()) checker.Advise("another process is working in this folder");
  if (found.best() == nullptr || !has_config) return;
  const auto [before, accepted] = ReadProvenance(*found.best());
  const Provenance now = ProvenanceOf(directory, ReadFile(directory.config_file()), before);
  for (const Difference& difference : DifferencesOf(before, now)) {
    checker.Advise(fmt::format("it goes on only with --accept {0}: {1}", difference.name,
                               DifferenceText(difference)));
  }
  for (const Difference& difference : accepted) {
    checker.Advise("it does not repeat to the bit: " + AcceptedText(difference));
  }
}

FolderCheck CheckRun(const RunDirectory& directory) {
  Checker checker(directory.path());
  checker.check.kind = "run";
  std::unique_ptr<Experiment> experiment;
  const bool has_config = checker.Part(directory.config_file(), [&]() -> std::string {
    Config config = Config::FromFile(directory.config_file());
    if (IsMadeInCode(config)) return "a task made in code: learner and model were not looked at";
    experiment =
        std::make_unique<Experiment>(LoadExperiment(directory.config_file().string(), RunFlags()));
    return fmt::format("{}, {}", experiment->task.name(), experiment->run.algorithm);
  });
  checker.Json(directory.machine_file());
  checker.Json(directory.result_file());
  CheckTables(directory, checker);
  checker.LeftOver();
  const int64_t rows = checker.Data(directory.data_folder(), EmptyDataset(directory.data_folder()));
  const Generations found = CheckGenerations(directory, experiment.get(), checker);
  CheckModel(directory, found.best(), experiment != nullptr, checker);
  CheckRecordings(directory, checker);
  AdviseOnRun(directory, found, rows, has_config, checker);
  return checker.check;
}

FolderCheck CheckFit(const RunDirectory& directory) {
  Checker checker(directory.path());
  checker.check.kind = "fit";
  checker.Part(directory.config_file(), [&] {
    static_cast<void>(Config::FromFile(directory.config_file()));
    return std::string();
  });
  checker.Json(directory.machine_file());
  checker.Json(directory.calibration_file());
  checker.Part(directory.model_file(), [&] { return OpenStoredModel(directory.path()).kind; });
  checker.Part(directory.data_folder(),
               [&] { return Counted(ReadStoredData(directory.path()).data.size(), "transition"); });
  checker.LeftOver();
  return checker.check;
}

FolderCheck CheckFile(const fs::path& file) {
  Checker checker(file.parent_path());
  const std::string name = file.filename().string();
  if (name.ends_with(".safetensors.gz")) {
    checker.check.kind = "recording";
    checker.Part(file, [&] { return Counted(ReadEpisodeRecording(file).steps(), "step"); });
    return checker.check;
  }
  checker.check.kind = "data";
  checker.Part(file, [&] {
    if (name.ends_with(".safetensors") && ReadTensors(file).metadata.contains("subject")) {
      checker.check.kind = "model";
      return OpenStoredModel(file).kind;
    }
    return Counted(ReadRecording(file, {}).data.size(), "transition");
  });
  return checker.check;
}

}  // namespace

std::string NameOf(State state) {
  switch (state) {
    case State::kWhole:
      return "whole";
    case State::kDamaged:
      return "damaged";
    case State::kMissing:
      return "missing";
    case State::kOutdated:
      return "outdated";
    case State::kLeftOver:
      return "left over";
  }
  return "";
}

int64_t FolderCheck::unusable() const {
  return std::ranges::count_if(parts, [](const CheckedPart& part) {
    return part.state == State::kDamaged || part.state == State::kMissing;
  });
}

FolderCheck CheckFolder(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return CheckFile(path);
  // Of a fit there is no more than an empty folder for them.
  const bool is_run = Exists(path / "episodes.csv") ||
                      (Exists(path / "checkpoint") && !fs::is_empty(path / "checkpoint", error));
  return is_run ? CheckRun(RunDirectory::OpenRemains(path))
                : CheckFit(RunDirectory::OpenModel(path));
}

}  // namespace foreplan
