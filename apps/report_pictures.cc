#include "apps/report_pictures.h"

#include <fmt/format.h>

#include "apps/flags.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/run_report.h"

#ifdef FOREPLAN_HAVE_HTTPLIB
#include <charconv>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "apps/browser.h"
#include "apps/interrupt.h"
#include "apps/picture_server.h"
#include "apps/web_server.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/status_line.h"
#endif

namespace foreplan::apps {

void AddPictureFlags(CLI::App& command, PictureFlags& flags) {
  command
      .add_option("--frames", flags.frames,
                  "write the replay as pictures, frame_000000.png and on, into a new folder; takes "
                  "a Chromium, of the PATH or FOREPLAN_BROWSER")
      ->type_name("DIR");
  command.add_option("--every", flags.every, "with --frames: of so many frames one; default: 1")
      ->check(IntegerFrom(1, 1000000));
  command.add_option("--video", flags.video, "write the replay as a video, by a Chromium, too")
      ->type_name("FILE.gif|FILE.webm");
  command.add_option("--fps", flags.fps, "with --video: pictures per second; default: 25")
      ->check(IntegerFrom(1, 100));
  command.add_option("--size", flags.size, "of pictures and videos [pixels]; default: 800x600")
      ->type_name("WIDTHxHEIGHT");
}

#ifdef FOREPLAN_HAVE_HTTPLIB
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kLeastPixels = 16;
constexpr int kMostPixels = 4096;
constexpr auto kPatience = std::chrono::seconds(120);  // with a page that says nothing
constexpr auto kLookEvery = std::chrono::milliseconds(50);

/// "800x600".
void ReadSize(const std::string& text, PictureJob& job) {
  const char* end = text.data() + text.size();
  const auto [middle, wrong] = std::from_chars(text.data(), end, job.width);
  if (wrong == std::errc() && middle != end && *middle == 'x') {
    const auto [rest, also_wrong] = std::from_chars(middle + 1, end, job.height);
    const auto fits = [](int n) { return kLeastPixels <= n && n <= kMostPixels; };
    if (also_wrong == std::errc() && rest == end && fits(job.width) && fits(job.height)) return;
  }
  throw InputError(
      fmt::format("report: --size: found '{}', expected WIDTHxHEIGHT, each from {} to {}", text,
                  kLeastPixels, kMostPixels));
}

std::string VideoFormat(const std::string& file) {
  const std::string extension = fs::path(file).extension().string();
  if (file.empty()) return "";
  if (extension == ".gif" || extension == ".webm") return extension.substr(1);
  throw InputError(fmt::format("report: --video: found '{}', expected a file .gif or .webm", file));
}

/// The folder is made; it must not hold other pictures.
void MakeFrameFolder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) &&
      !(fs::is_directory(folder, error) && fs::is_empty(folder, error))) {
    throw InputError(fmt::format("report: --frames: found '{}', expected a new or empty folder",
                                 folder.string()));
  }
  fs::create_directories(folder, error);
  if (error) {
    throw InputError(
        fmt::format("{}: the folder cannot be made: {}", folder.string(), error.message()));
  }
}

PictureJob JobOf(const PictureFlags& flags) {
  PictureJob job{.frames = flags.frames,
                 .every = flags.every,
                 .video = flags.video,
                 .video_format = VideoFormat(flags.video),
                 .fps = flags.fps};
  ReadSize(flags.size, job);
  return job;
}

/// Until the page is done. Throws what went wrong.
PictureState Await(const PictureServer& server, Browser& browser, const std::stop_token& stop) {
  StatusLine line;
  WorkProgress progress("pictures", 1, "", line);
  int64_t words = 0;
  Clock::time_point heard = Clock::now();
  for (;;) {
    PictureState state = server.state();
    if (!state.error.empty()) throw RunError("report: no pictures: " + state.error);
    if (state.is_done) return state;
    if (stop.stop_requested()) {
      throw Interrupted("interrupted; pictures that are written are kept");
    }
    if (browser.HasEnded()) {
      throw RunError("report: no pictures: the browser ended: " + browser.LastWords());
    }
    if (std::exchange(words, state.words) != state.words) heard = Clock::now();
    if (Clock::now() - heard > kPatience) {
      throw RunError(fmt::format("report: no pictures: the browser did nothing for {} s",
                                 std::chrono::seconds(kPatience).count()));
    }
    progress.Show(state.share);
    std::this_thread::sleep_for(kLookEvery);
  }
}

/// The page works as long as this does.
PictureState TakePictures(const PictureJob& job, std::shared_ptr<const std::string> animation) {
  const std::string program = FindBrowser();
  const std::stop_token stop = CatchInterrupts();
  WebServer web({.needs_token = true, .takes_posts = true});
  const PictureServer server(web, job, std::move(animation));
  std::jthread serving([&web](const std::stop_token& over) {
    try {
      web.Serve(over);
    } catch (const RunError&) {  // the page fails then, and says so
    }
  });
  Browser browser(program, web.url());
  return Await(server, browser, stop);
}

void Print(const PictureJob& job, const PictureState& state, const EpisodeRecording& recording,
           bool json) {
  if (json) {
    nlohmann::ordered_json document = {{"episode", recording.episode},
                                       {"frames", state.frames},
                                       {"video_bytes", state.video_bytes},
                                       {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  if (!job.frames.empty()) fmt::print("{}: {} pictures\n", job.frames.string(), state.frames);
  if (!job.video.empty()) {
    fmt::print("{}: {:.2f} MB\n", job.video.string(), static_cast<double>(state.video_bytes) / 1e6);
  }
}

}  // namespace

void WritePictures(const std::string& source, std::optional<int> episode, double most_mb,
                   const PictureFlags& flags, bool json) {
  const PictureJob job = JobOf(flags);
  auto [recording, animation] = AnimationOf(source, episode, most_mb);
  if (!job.frames.empty()) MakeFrameFolder(job.frames);
  const PictureState state =
      TakePictures(job, std::make_shared<const std::string>(std::move(animation.bytes)));
  Print(job, state, recording, json);
}
#else
void WritePictures(const std::string&, std::optional<int>, double, const PictureFlags&, bool) {
  throw InputError(
      "report: this program was built without cpp-httplib, expected one built with it for "
      "pictures (on Debian: libcpp-httplib-dev)");
}
#endif

}  // namespace foreplan::apps
