// The runs below a folder, as somebody who looks on sees them: which there are, what they came to,
// and what has changed since. Only reads, and nothing outside the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace foreplan {

/// Runs have numbers of the gallery's own, so that whoever asks for one names no path. All calls
/// may come from any thread.
class RunGallery {
 public:
  /// `folder`: of a run, or one with runs below it. Throws InputError where it is no folder.
  explicit RunGallery(const std::filesystem::path& folder);
  ~RunGallery();
  RunGallery(const RunGallery&) = delete;
  RunGallery& operator=(const RunGallery&) = delete;

  /// What somebody has seen: the version of each run.
  using Seen = std::map<int, int64_t>;
  /// Looks at the folder. Runs that are new or have changed, and the numbers of those that are
  /// gone: {"runs": [...], "gone": [...]}; null when `seen`, which is brought up to date, was. A
  /// run is {"id", "version", "name", "task", "method", "seed", "status", "state", "episodes",
  /// "steps", "last_return", "best_return", "recording", "error"}; of one that cannot be read,
  /// `error` is the sentence that says why, and all else but the first three is missing.
  [[nodiscard]] nlohmann::ordered_json Changes(Seen& seen);

  /// What its charts show: {"id", "version", "episodes": EpisodeColumns, "model_error":
  /// {"episode", "total_steps", "value"}}. Throws InputError for another number, and for what is
  /// wrong with the run.
  [[nodiscard]] nlohmann::ordered_json Charts(int id);

  /// Its report, made anew. Throws as Charts does.
  [[nodiscard]] std::string Report(int id);

  /// A recorded episode as the page plays it; none: the newest. Made one at a time and kept until
  /// others were asked for. Throws InputError, also for what is too large.
  [[nodiscard]] std::shared_ptr<const std::string> AnimationBytes(int id,
                                                                  std::optional<int> episode);

  /// How often the folder was looked at; nobody looks while nobody asks.
  [[nodiscard]] int64_t looks() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A page that follows a gallery; `folder` is what it is called there.
std::string LivePage(const std::string& folder);

}  // namespace foreplan
