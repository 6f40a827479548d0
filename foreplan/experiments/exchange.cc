#include "foreplan/experiments/exchange.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <system_error>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/log_writer.h"
#include "foreplan/data/minari_writer.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/model_export.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/learners/learner.h"
#include "foreplan/models/read_subject.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// "runs/x", "runs/x/" -> "x"; "episode_000012.safetensors.gz" -> "episode_000012".
std::string StemOf(const fs::path& source) {
  const fs::path name = fs::absolute(source / "").lexically_normal().parent_path().filename();
  std::error_code error;
  if (fs::is_directory(source, error)) return name.string();
  return name.string().substr(0, name.string().find('.'));
}

/// Throws InputError unless it is new and, where files of its kind have a suffix, ends in that.
fs::path NewPath(const fs::path& out, const std::string& otherwise, const std::string& suffix) {
  fs::path path = out.empty() ? fs::path(otherwise) : (out / "").parent_path();
  if (!suffix.empty() && path.extension() != suffix) {
    throw InputError(fmt::format("export: --out: found '{}', expected a name that ends in {}",
                                 path.string(), suffix));
  }
  std::error_code error;
  if (fs::exists(path, error)) {
    throw InputError(
        fmt::format("{}: exists already, expected a new file for --out", path.string()));
  }
  return path;
}

template <typename Entries>
std::vector<std::string> NamesOf(const Entries& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries) names.emplace_back(entry.name);
  return names;
}

/// The entry of that name. Throws InputError listing all.
template <typename Entries>
const auto& EntryOf(const Entries& entries, const char* flag, const std::string& name) {
  const auto found =
      std::ranges::find_if(entries, [&](const auto& entry) { return name == entry.name; });
  if (found != entries.end()) return *found;
  throw InputError(fmt::format("export: {}: found '{}', expected {}", flag, name,
                               fmt::join(NamesOf(entries), ", ")));
}

// --- transitions ---------------------------------------------------------------------------------

/// What the folder of a run says of who acted, as far as it says it.
MinariDescription DescriptionOf(const fs::path& source) {
  MinariDescription description;
  std::error_code error;
  if (!fs::exists(source / "config.toml", error)) return description;
  const RunDirectory folder = RunDirectory::OpenModel(source);
  const TensorFile file = ReadTensors(folder.model_file());
  if (file.metadata.contains("subject")) {
    const EnvironmentSpec spec = ReadSubject(file).spec;
    description.action_low = spec.action_low;
    description.action_high = spec.action_high;
  }
  Config config = Config::FromFile(folder.config_file());
  if (fs::exists(folder.checkpoint_file(), error)) {  // a run, not a fit
    description.algorithm = ReadOptions<RunOptions>(config, "run").algorithm;
  }
  return description;
}

void WriteCsv(const fs::path& /*source*/, const Recording& recording, const fs::path& out) {
  WriteFileAtomically(out, LogCsv(recording));
}

void WriteNpz(const fs::path& /*source*/, const Recording& recording, const fs::path& out) {
  WriteFileAtomically(out, LogNpz(recording));
}

void WriteHdf5Arrays(const fs::path& /*source*/, const Recording& recording, const fs::path& out) {
  WriteFlatHdf5(out, recording);
}

void WriteMinariFolder(const fs::path& source, const Recording& recording, const fs::path& out) {
  WriteMinari(out, recording, DescriptionOf(source));
}

struct DataKind {
  const char* name;
  const char* suffix;  // of its files, behind a name of the source
  bool is_folder;
  void (*write)(const fs::path& source, const Recording& recording, const fs::path& out);
};
constexpr std::array kDataKinds = {DataKind{"csv", ".csv", false, WriteCsv},
                                   DataKind{"npz", ".npz", false, WriteNpz},
                                   DataKind{"hdf5", ".hdf5", false, WriteHdf5Arrays},
                                   DataKind{"minari", "-v0", true, WriteMinariFolder}};

// --- models and policies -------------------------------------------------------------------------

struct ModelFileKind {
  const char* name;  // and suffix
  ExportedFile (*model)(const fs::path& source);
  ExportedFile (*policy)(const fs::path& run);
};
constexpr std::array kModelFileKinds = {
    ModelFileKind{"safetensors", ModelAsTensors, PolicyAsTensors},
    ModelFileKind{"onnx", ModelAsOnnx, PolicyAsOnnx}};

struct ExportedPart {
  const char* name;
  ExportedFile (*ModelFileKind::*make)(const fs::path& source);
};
constexpr std::array kParts = {ExportedPart{"model", &ModelFileKind::model},
                               ExportedPart{"policy", &ModelFileKind::policy}};

}  // namespace

std::vector<std::string> DataKinds() { return NamesOf(kDataKinds); }

std::vector<std::string> ModelFileKinds() { return NamesOf(kModelFileKinds); }

DataExport ExportData(const fs::path& source, const std::string& kind, const fs::path& out) {
  const DataKind& entry = EntryOf(kDataKinds, "--data", kind);
  const std::string stem = StemOf(source);
  const std::string name = (entry.is_folder ? AsMinariName(stem) : stem) + entry.suffix;
  const fs::path path = NewPath(out, name, entry.is_folder ? "" : entry.suffix);
  RegisterLearnedSystem();
  Recording recording = ReadStoredData(source);
  entry.write(source, recording, path);
  return {path, std::move(recording)};
}

ModelExport ExportModel(const fs::path& source, const std::string& kind, const std::string& what,
                        const fs::path& out) {
  const ModelFileKind& entry = EntryOf(kModelFileKinds, "--format", kind);
  const ExportedPart& part = EntryOf(kParts, "--what", what);
  const std::string suffix = std::string(".") + entry.name;
  const fs::path path =
      NewPath(out, fmt::format("{}-{}{}", StemOf(source), part.name, suffix), suffix);
  RegisterLearnedSystem();
  const ExportedFile file = (entry.*part.make)(source);
  WriteFileAtomically(path, file.bytes);
  return {path, file.bytes.size(), file.subject};
}

}  // namespace foreplan
