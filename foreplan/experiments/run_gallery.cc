#include "foreplan/experiments/run_gallery.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/report.h"

namespace foreplan {
namespace assets {
extern const std::string_view kLiveCss;
extern const std::string_view kLiveHtml;
extern const std::string_view kLiveJs;
}  // namespace assets

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int kLevels = 4;           // below the folder that are searched for runs
constexpr size_t kMostRuns = 1000;   // that are shown
constexpr int kMostFolders = 20000;  // that are looked into
constexpr double kLargestFileMb = 64;
constexpr double kLargestRecordingMb = 256;  // packed
constexpr size_t kAnimationsKept = 4;
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr auto kScanEvery = std::chrono::milliseconds(500);
constexpr int kScanShare = 20;  // of the time, at most one part in so many is spent on scans

/// By which a file is known to be the same as before.
struct FileStamp {
  uint64_t inode = 0;
  int64_t size = -1;  // there is none
  int64_t changed_s = 0;
  int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

FileStamp StampOf(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return {};
  return {status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

struct RunStamp {
  std::array<FileStamp, 5> files;
  bool in_use = false;
  bool operator==(const RunStamp&) const = default;
};

bool IsInside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

/// Throws InputError where a link among the entries of a folder leads out of `root`.
void CheckLinks(const fs::path& folder, const fs::path& root) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!entry.is_symlink(error)) continue;
    const fs::path target = fs::canonical(entry.path(), error);
    if (!error && IsInside(target, root)) continue;
    throw InputError(fmt::format(
        "{}: found a link that leads out of the folder, expected nothing that stands elsewhere",
        entry.path().string()));
  }
}

void CheckSize(const fs::path& file, double most_mb) {
  const auto mb = static_cast<double>(StampOf(file).size) / 1e6;
  if (mb <= most_mb) return;
  throw InputError(fmt::format("{}: found {:.0f} MB, expected at most {:g} for a view",
                               file.string(), mb, most_mb));
}

/// Throws InputError where the files of a run are not the run's own, or huge.
void CheckFiles(const fs::path& folder, const fs::path& root) {
  for (const fs::path& part : {folder, folder / "checkpoint", folder / "recordings"}) {
    CheckLinks(part, root);
  }
  for (const char* name :
       {"config.toml", "machine.json", "episodes.csv", "metrics.csv", "result.json"}) {
    CheckSize(folder / name, kLargestFileMb);
  }
}

/// Throws InputError where the task of a run would be read from files elsewhere.
void CheckTaskFiles(const RunDirectory& directory) {
  const Config config = Config::FromFile(directory.config_file());
  for (const std::string& assignment : config.Assignments("")) {
    const size_t equals = assignment.find('=');
    const std::string section = assignment.substr(0, assignment.find('.'));
    if (section == "run" || section == "aggregate" || section == "fit_then_plan") continue;
    const std::string_view value = std::string_view(assignment).substr(equals + 1);
    if (value.size() < 2 || (value.front() != '"' && value.front() != '\'')) continue;
    const fs::path file = value.substr(1, value.size() - 2);
    if (!file.is_absolute() && std::ranges::find(file, "..") == file.end()) continue;
    throw InputError(
        fmt::format("{}: {}: found '{}', expected a file in the run's folder for a view",
                    directory.config_file().string(), assignment.substr(0, equals), file.string()));
  }
}

/// A run, or what is left of one.
bool LooksLikeARun(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "config.toml", error) &&
         (fs::exists(folder / "episodes.csv", error) || fs::exists(folder / "checkpoint", error));
}

/// Those of `folder` and below it, sorted, without links and hidden ones.
void CollectRuns(const fs::path& folder, int level, int& folders, std::vector<fs::path>& runs) {
  if (LooksLikeARun(folder)) {
    if (runs.size() < kMostRuns) runs.push_back(folder);
    return;
  }
  std::error_code error;
  if (level == kLevels) return;
  std::vector<fs::path> below;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unknown;
    if (++folders > kMostFolders) break;
    if (entry->is_symlink(unknown) || !entry->is_directory(unknown)) continue;
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(".") && !name.ends_with(".incomplete")) below.push_back(entry->path());
  }
  std::ranges::sort(below);
  for (const fs::path& path : below) CollectRuns(path, level + 1, folders, runs);
}

std::string MethodOf(const ReportContent& content) {
  return content.planner.empty() ? content.algorithm
                                 : fmt::format("{}, {}", content.algorithm, content.planner);
}

/// One word of a status.
std::string StateOf(const std::string& status) {
  for (const char* word : {"running", "done", "stopped", "interrupted"}) {
    if (status.starts_with(word)) return word;
  }
  return "failed";
}

void AddReturns(const RunLog& log, Json& summary) {
  Json last;
  Json best;
  for (const EpisodeRow& row : log.episodes()) {
    if (!IsWhole(row.end) || !std::isfinite(row.episode_return)) continue;
    last = row.episode_return;
    if (best.is_null() || best.get<double>() < row.episode_return) best = row.episode_return;
  }
  summary["episodes"] = log.episodes().size();
  summary["steps"] = log.episodes().empty() ? 0 : log.episodes().back().total_steps;
  summary["last_return"] = last;
  summary["best_return"] = best;
}

/// Of which episodes there are recordings, and a text that is another one when the newest is.
Json RecordingJson(const RunDirectory& directory) {
  const std::vector<fs::path> files = RecordingsOf(directory);
  if (files.empty()) return nullptr;
  const FileStamp stamp = StampOf(files.back());
  const std::string name = files.back().filename().string();
  const size_t digit = name.find_first_of("0123456789");
  return {{"episode", std::stoi(name.substr(digit))},
          {"count", files.size()},
          {"key",
           fmt::format("{}-{}-{}.{}", stamp.inode, stamp.size, stamp.changed_s, stamp.changed_ns)}};
}

/// What is no number is null when it is sent.
Json ChartsOf(const RunLog& log) {
  Json charts;
  charts["episodes"] = EpisodeColumns(log);
  Json& error = charts["model_error"];
  for (const char* column : {"episode", "total_steps", "value"}) error[column] = Json::array();
  for (const MetricRow& row : log.metrics()) {
    if (row.name != kModelErrorMetric) continue;
    error["episode"].push_back(row.episode);
    error["total_steps"].push_back(row.total_steps);
    error["value"].push_back(row.value);
  }
  return charts;
}

/// What takes more than the tables, where the run's folder gives it.
void AddFiguresIfThereAre(StoredRun& run) {
  try {
    CheckTaskFiles(run.directory);
    AddFigures(run, kAnimationMb, {});
  } catch (const std::exception&) {  // tables and charts are a report, too
  }
}

/// A run of the gallery.
struct Shown {
  fs::path folder;
  std::string name;
  RunStamp stamp;
  int64_t version = 0;
  int64_t read_version = 0;  // of what follows; 0: nothing was read yet
  Json summary = nullptr;
  Json charts = nullptr;  // null: it cannot be read
};

struct KeptAnimation {
  fs::path file;
  FileStamp stamp;
  std::shared_ptr<const std::string> bytes;
};

}  // namespace

struct RunGallery::Impl {
  fs::path root;  // canonical
  mutable std::mutex mutex;
  std::map<int, Shown> runs;
  std::map<fs::path, int> numbers;  // of all that ever were
  int64_t version = 0;
  int64_t looks = 0;
  Clock::time_point next_look;
  Clock::time_point next_scan;
  std::mutex animation_mutex;  // one at a time
  std::deque<KeptAnimation> animations;

  /// What errors may say of a file: not where the folder stands.
  std::string WithoutRoot(std::string text) const {
    const std::string prefix = root.string() + "/";
    for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
      text.erase(at, prefix.size());
    }
    return text;
  }

  std::string NameOf(const fs::path& folder) const {
    return folder == root ? root.filename().string() : folder.lexically_relative(root).string();
  }

  RunStamp Look(const fs::path& folder) const {
    RunStamp stamp;
    size_t i = 0;
    for (const char* name :
         {"config.toml", "episodes.csv", "metrics.csv", "result.json", "recordings"}) {
      stamp.files[i++] = StampOf(folder / name);
    }
    try {
      stamp.in_use = RunDirectory::Open(folder).IsInUse();
    } catch (const Error&) {  // whoever reads it says so
    }
    return stamp;
  }

  /// Which runs there are by now.
  void Scan() {
    const Clock::time_point begin = Clock::now();
    if (begin < next_scan) return;
    std::vector<fs::path> found;
    int folders = 0;
    CollectRuns(root, 0, folders, found);
    const std::set<fs::path> kept(found.begin(), found.end());
    std::erase_if(runs, [&](const auto& run) { return !kept.contains(run.second.folder); });
    for (const fs::path& folder : found) {
      const int id =
          numbers.try_emplace(folder, static_cast<int>(numbers.size()) + 1).first->second;
      if (!runs.contains(id)) {
        runs[id] = {.folder = folder, .name = NameOf(folder), .stamp = {}};
      }
    }
    const Clock::duration took = Clock::now() - begin;
    next_scan = Clock::now() + std::max<Clock::duration>(kScanEvery, kScanShare * took);
  }

  /// Brings versions up to date; at most so often, whoever asks.
  void Refresh() {
    const Clock::time_point now = Clock::now();
    if (now < next_look) return;
    ++looks;
    Scan();
    for (auto& [id, run] : runs) {
      const RunStamp stamp = Look(run.folder);
      if (run.version != 0 && stamp == run.stamp) continue;
      run.stamp = stamp;
      run.version = ++version;
    }
    next_look = Clock::now() + kLookEvery;
  }

  void Read(int id, Shown& run) const {
    if (run.read_version == run.version) return;
    run.read_version = run.version;
    run.summary = {{"id", id}, {"version", run.version}, {"name", run.name}};
    run.charts = nullptr;
    try {
      CheckFiles(run.folder, root);
      const StoredRun stored = ReadStoredRun(run.folder);
      Json summary = run.summary;
      summary.update({{"task", stored.content.task},
                      {"method", MethodOf(stored.content)},
                      {"seed", stored.content.seed},
                      {"status", stored.content.status},
                      {"state", StateOf(stored.content.status)}});
      AddReturns(stored.log, summary);
      summary["recording"] = RecordingJson(stored.directory);
      summary["error"] = "";
      run.charts = ChartsOf(stored.log);
      run.charts.update({{"id", id}, {"version", run.version}});
      run.summary = std::move(summary);
    } catch (const std::exception& error) {
      run.charts = nullptr;
      run.summary["error"] = WithoutRoot(error.what());
    }
  }

  /// Throws InputError for a number that no run has.
  Shown& RunOf(int id) {
    Refresh();
    const auto found = runs.find(id);
    if (found == runs.end()) {
      throw InputError(fmt::format("run {}: found no such run, expected one of the list", id));
    }
    return found->second;
  }

  fs::path FolderOf(int id) {
    const std::lock_guard lock(mutex);
    return RunOf(id).folder;
  }

  std::shared_ptr<const std::string> Animate(const RunDirectory& directory, const fs::path& file) {
    const FileStamp stamp = StampOf(file);
    for (const KeptAnimation& kept : animations) {
      if (kept.file == file && kept.stamp == stamp) return kept.bytes;
    }
    CheckSize(file, kLargestRecordingMb);
    CheckTaskFiles(directory);
    auto bytes =
        std::make_shared<const std::string>(std::move(AnimationOf(file, {}).animation.bytes));
    animations.push_back({file, stamp, bytes});
    if (animations.size() > kAnimationsKept) animations.pop_front();
    return bytes;
  }
};

RunGallery::RunGallery(const fs::path& folder) : impl_(std::make_unique<Impl>()) {
  std::error_code error;
  impl_->root = fs::canonical(folder, error);
  if (error || !fs::is_directory(impl_->root, error)) {
    throw InputError(
        fmt::format("{}: found no such folder, expected that of a run, or one with runs below it",
                    folder.string()));
  }
}

RunGallery::~RunGallery() = default;

Json RunGallery::Changes(Seen& seen) {
  const std::lock_guard lock(impl_->mutex);
  impl_->Refresh();
  Json changed = Json::array();
  Json gone = Json::array();
  for (auto& [id, run] : impl_->runs) {
    int64_t& known = seen[id];
    if (known == run.version) continue;
    known = run.version;
    impl_->Read(id, run);
    changed.push_back(run.summary);
  }
  for (const auto& [id, version] : seen) {
    if (!impl_->runs.contains(id)) gone.push_back(id);
  }
  for (const Json& id : gone) seen.erase(id.get<int>());
  if (changed.empty() && gone.empty()) return nullptr;
  return {{"runs", std::move(changed)}, {"gone", std::move(gone)}};
}

Json RunGallery::Charts(int id) {
  const std::lock_guard lock(impl_->mutex);
  Shown& run = impl_->RunOf(id);
  impl_->Read(id, run);
  if (run.charts.is_null()) throw InputError(run.summary["error"].get<std::string>());
  return run.charts;
}

std::string RunGallery::Report(int id) {
  const fs::path folder = impl_->FolderOf(id);
  const std::lock_guard lock(impl_->animation_mutex);
  try {
    CheckFiles(folder, impl_->root);
    StoredRun run = ReadStoredRun(folder);
    AddFiguresIfThereAre(run);
    return ReportPage(run.content, run.log);
  } catch (const Error& error) {
    throw InputError(impl_->WithoutRoot(error.what()));
  }
}

std::shared_ptr<const std::string> RunGallery::AnimationBytes(int id, std::optional<int> episode) {
  const fs::path folder = impl_->FolderOf(id);
  const std::lock_guard lock(impl_->animation_mutex);
  try {
    CheckFiles(folder, impl_->root);
    const RunDirectory directory = RunDirectory::Open(folder);
    return impl_->Animate(directory, RecordingOf(directory, episode));
  } catch (const std::exception& error) {
    throw InputError(impl_->WithoutRoot(error.what()));
  }
}

int64_t RunGallery::looks() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->looks;
}

std::string LivePage(const std::string& folder) {
  return FillPage(assets::kLiveHtml, {{"folder", EscapedForHtml(folder)},
                                      {"live_style", std::string(assets::kLiveCss)},
                                      {"live_script", std::string(assets::kLiveJs)}});
}

}  // namespace foreplan
