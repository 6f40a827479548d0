// foreplan export: what foreplan keeps, as others read it.
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/log_writer.h"
#include "foreplan/data/recording.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct ExportRequest {
  std::string source;
  std::string data;  // csv, npz
  std::string out;
  bool json = false;
};

/// A kind of file for data.
struct DataFormat {
  const char* name;  // and suffix
  std::string (*text)(const Recording& recording);
};
constexpr std::array kDataFormats = {DataFormat{"csv", LogCsv}, DataFormat{"npz", LogNpz}};

const DataFormat& FormatOf(const ExportRequest& request) {
  for (const DataFormat& format : kDataFormats) {
    if (request.data == format.name) return format;
  }
  throw InputError(fmt::format("export: --data: found '{}', expected csv or npz", request.data));
}

/// "runs/x", "runs/x/" -> "x"; "episode_000012.safetensors.gz" -> "episode_000012".
std::string StemOf(const fs::path& source) {
  const fs::path name = fs::absolute(source / "").lexically_normal().parent_path().filename();
  std::error_code error;
  if (fs::is_directory(source, error)) return name.string();
  return name.string().substr(0, name.string().find('.'));
}

void Export(const ExportRequest& request) {
  const DataFormat& format = FormatOf(request);
  const fs::path out = request.out.empty() ? fs::path(StemOf(request.source) + "." + format.name)
                                           : fs::path(request.out);
  if (out.extension() != std::string(".") + format.name) {
    throw InputError(fmt::format("export: --out: found '{}', expected a name that ends in .{}",
                                 out.string(), format.name));
  }
  std::error_code error;
  if (fs::exists(out, error)) {
    throw InputError(
        fmt::format("{}: exists already, expected a new file for --out", out.string()));
  }
  RegisterLearnedSystem();
  const Recording recording = ReadStoredData(request.source);
  WriteFileAtomically(out, format.text(recording));
  if (request.json) {
    const nlohmann::ordered_json document = {{"source", request.source},
                                             {"file", out.string()},
                                             {"transitions", recording.data.size()},
                                             {"episodes", recording.episodes},
                                             {"observation", recording.observation},
                                             {"action", recording.action},
                                             {"notes", recording.notes},
                                             {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  for (const std::string& note : recording.notes) {
    WriteToStderr(fmt::format("foreplan: note: {}\n", note));
  }
  fmt::print("{}: {} in {}\n", out.string(), Counted(recording.data.size(), "transition"),
             Counted(recording.episodes, "episode"));
}

}  // namespace

void AddExportCommand(CLI::App& app) {
  auto request = std::make_shared<ExportRequest>();
  CLI::App& command =
      *app.add_subcommand("export", "data of a run, a fit or a recording, for other programs");
  command
      .add_option(
          "source", request->source,
          "the folder of a run or a fit (its transitions), or a file of data: the recording "
          "of an episode, or any that fit reads")
      ->required()
      ->type_name("RUN|FILE");
  command.add_option("--data", request->data, "transitions, a row per step")
      ->required()
      ->type_name("csv|npz");
  command.add_option("--out", request->out, "file to write; default: the source's name, here")
      ->type_name("FILE");
  AddJsonFlag(command, request->json);
  command.callback([request] { Export(*request); });
}

}  // namespace foreplan::apps
