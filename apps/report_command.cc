// foreplan report: what a run came to, as a page, as text, as a replay in 3-D.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/report_pictures.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct ReportRequest {
  std::string run;
  bool animation = false;
  std::optional<int> episode;
  double mb = kAnimationMb;
  std::string out;
  PictureFlags pictures;
  bool json = false;
};

void WriteAnimation(const ReportRequest& request, const StoredRun& run) {
  const fs::path source = RecordingOf(run.directory, request.episode);
  const EpisodeRecording recording = ReadEpisodeRecording(source);
  const Animation animation = AnimationOf(run.directory, recording, request.mb);
  const fs::path file = request.out.empty()
                            ? run.directory.path() /
                                  fmt::format("episode_{:06}.html", recording.episode)
                            : fs::path(request.out);
  const std::string page = AnimationPage(recording, animation);
  WriteFileAtomically(file, page);
  if (request.json) {
    const nlohmann::ordered_json document = {{"run", request.run},
                                             {"file", file.string()},
                                             {"episode", recording.episode},
                                             {"steps", recording.steps()},
                                             {"bytes", page.size()},
                                             {"left_out", animation.left_out},
                                             {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  for (const std::string& text : animation.left_out) {
    WriteToStderr(fmt::format("foreplan: note: left out to stay below {:g} MB: {}\n", request.mb, text));
  }
  fmt::print("{}: episode {}, {} steps, {:.2f} MB\n", file.string(), recording.episode,
             recording.steps(), static_cast<double>(page.size()) / 1e6);
}

void Report(const ReportRequest& request) {
  const StoredRun run = ReadStoredRun(request.run);
  if (request.pictures.are_wanted()) {
    WritePictures(run, request.episode, request.mb, request.pictures, request.json);
    return;
  }
  WriteAnimation(request, run);
}

}  // namespace

void AddReportCommand(CLI::App& app) {
  auto request = std::make_shared<ReportRequest>();
  CLI::App& command =
      *app.add_subcommand("report", "what a run came to, as a page; a recorded episode in 3-D");
  command.add_option("run", request->run, "the folder of a run, also of one that goes on")
      ->required()
      ->type_name("RUN");
  command.add_flag("--animation", request->animation, "the replay of an episode as a page of its own");
  command.add_option("--episode", request->episode, "that is replayed; default: the last recorded")
      ->check(IntegerFrom(1, 2147483647));
  command.add_option("--mb", request->mb,
                     "most that the replay may hold [10^6 bytes]; beyond it less of what was "
                     "imagined is kept; default: 20")
      ->check(NumberFrom(0.01, 1000));
  command.add_option("--out", request->out, "file to write; default: in the run's folder")
      ->type_name("FILE");
  AddPictureFlags(command, request->pictures);
  AddJsonFlag(command, request->json);
  command.callback([request] { Report(*request); });
}

}  // namespace foreplan::apps
