// foreplan report: what a run came to, as a page, as text, as a replay in 3-D.
#include <fmt/format.h>

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
#include "apps/report_pictures.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/provenance.h"
#include "foreplan/runs/report_markdown.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct ReportRequest {
  std::string source;  // folder of a run, or a recording
  std::string format;
  bool animation = false;
  std::optional<int> episode;
  double mb = kAnimationMb;
  std::string out;
  PictureFlags pictures;
  bool json = false;
};

/// What was made: a file and its size, or text without a file.
struct Made {
  fs::path file;
  size_t bytes = 0;
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
  std::vector<std::string> left_out = {};
};

/// Beside the recordings of a run, beside a recording that is given as a file.
fs::path AnimationFile(const ReportRequest& request, const EpisodeRecording& recording) {
  if (!request.out.empty()) return request.out;
  std::error_code error;
  const fs::path source = request.source;
  const fs::path folder = fs::is_directory(source, error) ? source : source.parent_path();
  return folder / fmt::format("episode_{:06}.html", recording.episode);
}

Made WriteAnimation(const ReportRequest& request) {
  RecordedAnimation recorded = AnimationOf(request.source, request.episode, request.mb);
  const EpisodeRecording& recording = recorded.recording;
  const std::string page = AnimationPage(recorded);
  Made made{.file = AnimationFile(request, recording),
            .bytes = page.size(),
            .details = {{"episode", recording.episode}, {"steps", recording.steps()}},
            .left_out = std::move(recorded.animation.left_out)};
  WriteFileAtomically(made.file, page);
  return made;
}

Made WritePage(const ReportRequest& request) {
  StoredRun run = ReadStoredRun(request.source);
  AddFigures(run, request.mb, CatchInterrupts());
  const std::string page = ReportPage(run.content, run.log);
  Made made{.file = run.directory.report_file(), .bytes = page.size()};
  if (!request.out.empty()) made.file = request.out;
  WriteFileAtomically(made.file, page);
  return made;
}

/// To standard output without --out.
Made WriteMarkdown(const ReportRequest& request) {
  StoredRun run = ReadStoredRun(request.source);
  run.content.accepted = AcceptedDifferences(run.directory);
  const std::string text = ReportMarkdown(run.content, run.log);
  if (request.out.empty()) {
    fmt::print("{}", text);
    return {};
  }
  WriteFileAtomically(request.out, text);
  return {.file = request.out, .bytes = text.size()};
}

void Print(const ReportRequest& request, const Made& made) {
  if (request.json) {
    nlohmann::ordered_json document = {
        {"run", request.source}, {"file", made.file.string()}, {"bytes", made.bytes}};
    document.update(made.details);
    document["left_out"] = made.left_out;
    document["versions"] = VersionsJson();
    fmt::print("{}\n", document.dump(2));
    return;
  }
  for (const std::string& text : made.left_out) {
    WriteToStderr(fmt::format("foreplan: note: left out, for --mb {:g}: {}\n", request.mb, text));
  }
  fmt::print("{}: {:.2f} MB\n", made.file.string(), static_cast<double>(made.bytes) / 1e6);
}

void CheckFlags(const ReportRequest& request) {
  const bool is_text = request.format == "md";
  if (!request.format.empty() && !is_text && request.format != "html") {
    throw InputError(
        fmt::format("report: --format: found '{}', expected html or md", request.format));
  }
  if (is_text && (request.animation || (request.json && request.out.empty()))) {
    throw InputError(fmt::format("report: --format md: found it beside {}, expected it alone",
                                 request.animation ? "--animation" : "--json without --out"));
  }
  const bool with_pictures = request.pictures.are_wanted();
  if (request.episode && !request.animation && !with_pictures) {
    throw InputError(
        "report: --episode: found it alone, expected it beside --animation, --frames or --video");
  }
  if (with_pictures && (request.animation || !request.format.empty() || !request.out.empty())) {
    throw InputError(
        "report: --frames, --video: found them beside --animation, --format or --out, expected "
        "them alone");
  }
}

void Report(const ReportRequest& request) {
  CheckFlags(request);
  if (request.pictures.are_wanted()) {
    WritePictures(request.source, request.episode, request.mb, request.pictures, request.json);
    return;
  }
  const Made made = request.animation        ? WriteAnimation(request)
                    : request.format == "md" ? WriteMarkdown(request)
                                             : WritePage(request);
  if (!made.file.empty()) Print(request, made);
}

}  // namespace

void AddReportCommand(CLI::App& app) {
  auto request = std::make_shared<ReportRequest>();
  CLI::App& command =
      *app.add_subcommand("report", "what a run came to, as a page; a recorded episode in 3-D");
  command
      .add_option("source", request->source,
                  "the folder of a run, also of one that goes on; for --animation, --frames and "
                  "--video also the recording of an episode")
      ->required()
      ->type_name("RUN|FILE");
  command
      .add_option("--format", request->format,
                  "html: the run's page, made anew; md: text for an issue, to standard output; "
                  "default: html")
      ->type_name("html|md");
  command.add_flag("--animation", request->animation,
                   "instead the replay of a recorded episode, a page of its own");
  command.add_option("--episode", request->episode, "that is replayed; default: the last recorded")
      ->check(IntegerFrom(1, 2147483647));
  command
      .add_option(
          "--mb", request->mb,
          "most that the replay may take in the page [10^6 bytes]; beyond it less of what was "
          "imagined is kept; default: 20")
      ->check(NumberFrom(0.01, 1000));
  command
      .add_option("--out", request->out,
                  "file to write; default: report.html or episode_<number>.html in the run's "
                  "folder")
      ->type_name("FILE");
  AddPictureFlags(command, request->pictures);
  AddJsonFlag(command, request->json);
  command.callback([request] { Report(*request); });
}

}  // namespace foreplan::apps
