// foreplan export: what foreplan keeps, as others read it.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/exchange.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"

namespace foreplan::apps {
namespace {

struct ExportRequest {
  std::string source;
  std::string data;    // csv, npz, hdf5, minari
  std::string format;  // safetensors, onnx
  std::string what;    // model, policy
  std::string out;
  bool json = false;
};

void ExportTransitions(const ExportRequest& request) {
  const auto [file, recording] = ExportData(request.source, request.data, request.out);
  if (request.json) {
    const nlohmann::ordered_json document = {{"source", request.source},
                                             {"file", file.string()},
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
  fmt::print("{}: {} in {}\n", file.string(), Counted(recording.data.size(), "transition"),
             Counted(recording.episodes, "episode"));
}

void ExportLearned(const ExportRequest& request) {
  const std::string what = request.what.empty() ? "model" : request.what;
  const ModelExport made = ExportModel(request.source, request.format, what, request.out);
  if (request.json) {
    const nlohmann::ordered_json document = {
        {"source", request.source},
        {"file", made.file.string()},
        {"what", what},
        {"bytes", made.bytes},
        {"subject", nlohmann::ordered_json::parse(made.subject, nullptr, false)},
        {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  fmt::print("{}: the {} of {}, {} bytes\n", made.file.string(), what, request.source, made.bytes);
}

void Export(const ExportRequest& request) {
  if (request.data.empty() == request.format.empty()) {
    throw InputError(fmt::format("export: found {} of --data and --format, expected one",
                                 request.data.empty() ? "none" : "both"));
  }
  if (!request.what.empty() && request.format.empty()) {
    throw InputError("export: --what: found it beside --data, expected it beside --format");
  }
  request.data.empty() ? ExportLearned(request) : ExportTransitions(request);
}

}  // namespace

void AddExportCommand(CLI::App& app) {
  auto request = std::make_shared<ExportRequest>();
  CLI::App& command = *app.add_subcommand("export", "data, model or policy, for other programs");
  command
      .add_option(
          "source", request->source,
          "the folder of a run or a fit; for --data also a file of data: the recording of an "
          "episode, or any that fit reads; for --format also the file of a model")
      ->required()
      ->type_name("RUN|FILE");
  command.add_option("--data", request->data, "transitions, a row per step")
      ->type_name("csv|npz|hdf5|minari");
  command.add_option("--format", request->format, "what was learned")
      ->type_name("safetensors|onnx");
  command.add_option("--what", request->what, "beside --format; default: model")
      ->type_name("model|policy");
  command.add_option("--out", request->out, "file to write; default: the source's name, here")
      ->type_name("FILE");
  AddJsonFlag(command, request->json);
  command.callback([request] { Export(*request); });
}

}  // namespace foreplan::apps
