// A run on disk. Knows files, not algorithms.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "foreplan/data/safetensors.h"

namespace foreplan {

/// The folder of one run: config.toml, machine.json, episodes.csv, metrics.csv, data/, model/,
/// checkpoint/, recordings/, result.json, report.html.
class RunDirectory {
 public:
  /// Begins the folder as `<path>.incomplete`, which Complete gives its name: at `path` there is a
  /// whole run or nothing, whenever the program is killed. What another one left incomplete there
  /// is removed. Throws InputError when `path` exists (naming it and what to do).
  static RunDirectory Create(const std::filesystem::path& path);
  /// Renames the folder that Create began. Throws RunError when the disk refuses.
  void Complete();
  /// Throws InputError when `path` is no run (naming the missing file).
  static RunDirectory Open(const std::filesystem::path& path);
  /// Of a run of which other files may be missing. Throws InputError when there is no config.toml.
  static RunDirectory OpenRemains(const std::filesystem::path& path);
  /// Enough to use its model: config.toml, model/ and data, of a run or of a fit. Throws InputError
  /// naming what is missing.
  static RunDirectory OpenModel(const std::filesystem::path& path);
  /// Keeps other programs from going on with this run until this object and its copies are gone.
  /// Throws InputError when one does already.
  void Lock();
  /// Whether a process works in the folder, as far as the file system can tell.
  [[nodiscard]] bool IsInUse() const;
  /// "<parent>/<task>-<algorithm>-<seed>-<yyyymmdd-hhmmss>", with a suffix -2, -3 ... if taken.
  static std::filesystem::path FreshPath(const std::filesystem::path& parent, std::string_view task,
                                         std::string_view algorithm, int seed);

  /// Where it is: until Complete, under its temporary name.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path config_file() const { return path_ / "config.toml"; }
  [[nodiscard]] std::filesystem::path machine_file() const { return path_ / "machine.json"; }
  [[nodiscard]] std::filesystem::path episodes_file() const { return path_ / "episodes.csv"; }
  [[nodiscard]] std::filesystem::path metrics_file() const { return path_ / "metrics.csv"; }
  /// Its name must contain "tfevents".
  [[nodiscard]] std::filesystem::path events_file() const {
    return path_ / "events.out.tfevents.foreplan";
  }
  /// Of the files that WriteSegments writes.
  [[nodiscard]] std::filesystem::path data_folder() const { return path_ / "data"; }
  [[nodiscard]] std::filesystem::path model_file() const;       // model/model.safetensors
  [[nodiscard]] std::filesystem::path checkpoint_file() const;  // checkpoint/state.safetensors
  /// The one before it: checkpoint/previous.safetensors; there when there were two.
  [[nodiscard]] std::filesystem::path previous_checkpoint_file() const;
  [[nodiscard]] std::filesystem::path report_file() const { return path_ / "report.html"; }
  /// How the run ended, as `foreplan run --json` says it; there when it has.
  [[nodiscard]] std::filesystem::path result_file() const { return path_ / "result.json"; }
  /// Of the files that EpisodeRecorder writes; there when something was recorded.
  [[nodiscard]] std::filesystem::path recordings_folder() const { return path_ / "recordings"; }
  /// Of a fit.
  [[nodiscard]] std::filesystem::path calibration_table() const {
    return path_ / "calibration.csv";
  }
  [[nodiscard]] std::filesystem::path calibration_file() const {
    return path_ / "calibration.json";
  }

 private:
  static RunDirectory OpenWith(const std::filesystem::path& path, std::string_view kind,
                               std::initializer_list<std::filesystem::path> needed);
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
  std::filesystem::path complete_path_;  // what Complete makes of it
  std::shared_ptr<const void> lock_;     // null: not locked
};

}  // namespace foreplan
