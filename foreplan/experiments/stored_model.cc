#include "foreplan/experiments/stored_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/segments.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/read_subject.h"
#include "foreplan/policies/policy_of_subject.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/task_text.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOptionsKey = "options";
constexpr const char* kStarts = "data.starts";
constexpr int64_t kMostStarts = 4096;

struct ModelKind {
  std::string kind = "ensemble";

  void Visit(OptionsVisitor& visitor) { visitor.Field("kind", kind, "of the model"); }
};

/// The folder whose model it is; none for a file alone.
std::optional<RunDirectory> FolderOf(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error) && fs::is_regular_file(path, error)) return std::nullopt;
  return RunDirectory::OpenModel(path);
}

bool SaysSubject(const TensorFile& file) { return file.metadata.count("subject") != 0; }

Task TaskOf(const RunDirectory& folder) {
  Config config = Config::FromFile(folder.config_file());
  return Task::FromConfig(config, folder.path());
}

/// The sections of the model, from its file or else from the folder's configuration.
Config ModelSections(const TensorFile& file, const std::optional<RunDirectory>& folder) {
  const auto options = file.metadata.find(kOptionsKey);
  if (options != file.metadata.end()) {
    return Config::FromString(options->second,
                              fmt::format("{}: metadata '{}'", file.source, kOptionsKey));
  }
  if (!folder) {
    throw InputError(fmt::format(
        "{}: found no metadata '{}', expected a model that says how it is made, or the folder of "
        "the fit or run that it is of",
        file.source, kOptionsKey));
  }
  const Config all = Config::FromFile(folder->config_file());
  Config config = Config::FromString("", folder->config_file().string());
  for (const std::string& assignment : all.Assignments("model")) config.Set(assignment);
  return config;
}

ModelSubject SubjectOf(const std::string& kind, const TensorFile& file,
                       const std::optional<RunDirectory>& folder) {
  if (kind == "ensemble" || !folder) return ReadSubject(file);
  Config config = Config::FromFile(folder->config_file());
  if (ReadOptions<TaskOptions>(config, "").name.empty()) return ReadSubject(file);
  return TaskOf(*folder);
}

/// As its sections make it, with what the file says that it learned.
LoadedModel Restored(ModelSubject subject, Config& config, const TensorFile& file, Key key,
                     std::shared_ptr<Executor> executor) {
  auto model = MakeLearnedModel(subject, config, key, std::move(executor));
  CheckSubject(subject, file);
  model->RestorePredictor(file);
  return {std::move(subject), std::move(model)};
}

void CheckHoldsModel(const TensorFile& file) {
  if (HoldsModel(file)) return;
  throw InputError(fmt::format(
      "{}: found no tensors of a model, expected those of a fit or of a run that fits one",
      file.source));
}

}  // namespace

bool HoldsModel(const TensorFile& file) {
  return std::ranges::any_of(file.tensors, [](const auto& named) {
    return !named.first.starts_with(kPolicyPrefix) && !named.first.starts_with("critic.");
  });
}

void WriteModelSections(Config& config, TensorFile& file) {
  ConfigWriter writer;
  WriteModelOptions(config, writer);
  if (config.Has("model.reward")) WriteRewardOptions(config, writer);
  file.metadata[kOptionsKey] = writer.text();
}

void WriteStarts(const Dataset& data, TensorFile& file) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < data.size(); ++row) {
    if (row == 0 || !data.continues(row)) rows.push_back(row);
  }
  const auto found = static_cast<int64_t>(rows.size());
  const int64_t count = std::min(found, kMostStarts);
  std::vector<double> starts;
  for (int64_t i = 0; i < count; ++i) {
    const auto observation = data.observation(rows[static_cast<size_t>(i * found / count)]);
    starts.insert(starts.end(), observation.begin(), observation.end());
  }
  file.tensors[kStarts] = {{count, data.observation_dim()}, std::move(starts)};
}

StoredModel OpenStoredModel(const fs::path& path, std::shared_ptr<Executor> executor) {
  const std::optional<RunDirectory> folder = FolderOf(path);
  TensorFile file = ReadTensors(folder ? folder->model_file() : path);
  CheckHoldsModel(file);
  Config config = ModelSections(file, folder);
  const std::string kind = ReadOptions<ModelKind>(config, "model").kind;
  auto [subject, model] =
      Restored(SubjectOf(kind, file, folder), config, file, Key{}, std::move(executor));
  const int no = subject.spec.observation_dim();
  if (folder && file.tensors.count(kStarts) == 0) {
    Dataset data(no, subject.spec.action_dim());
    ReadSegments(folder->data_folder(), -1, data);
    WriteStarts(data, file);
  }
  if (file.metadata.count(kOptionsKey) == 0) WriteModelSections(config, file);
  std::vector<double> starts;
  if (file.tensors.count(kStarts) != 0) {
    starts = file.Doubles(kStarts, std::array<int64_t, 2>{-1, no});
    CheckFinite(file, kStarts);
  }
  return {std::move(subject), std::move(model), kind, std::move(starts), std::move(file)};
}

LoadedModel LoadModel(const TensorFile& file, const std::optional<Task>& task, Key key,
                      std::shared_ptr<Executor> executor) {
  Config config = ModelSections(file, std::nullopt);
  return Restored(task ? ModelSubject(*task) : ReadSubject(file), config, file, key,
                  std::move(executor));
}

Recording ReadStoredData(const fs::path& source, const RecordingColumns& columns,
                         const LogOptions& options) {
  std::error_code error;
  if (!fs::is_directory(source, error) || !fs::exists(source / "config.toml", error)) {
    return ReadRecording(source, columns, options);
  }
  const RunDirectory folder = RunDirectory::OpenModel(source);
  const TensorFile file = ReadTensors(folder.model_file());
  // Models of learners without one of the whole system, and of versions before, do not say it.
  const EnvironmentSpec spec = SaysSubject(file) ? ReadSubject(file).spec : TaskOf(folder).spec();
  Recording recording = ReadRecording(source, ColumnsOf(spec), options);
  recording.observation_units = Units(spec.observation);
  recording.action_units = Units(spec.action);
  recording.dt = spec.dt;
  return recording;
}

}  // namespace foreplan
