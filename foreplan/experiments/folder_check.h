// Whether what a run or a fit left is whole, and what can be done where it is not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace foreplan {

/// A file of a folder, or several of one kind.
struct CheckedPart {
  enum class State {
    kWhole,
    kDamaged,
    kMissing,
    kOutdated,  // of an earlier state of the run: it is written anew when the run goes on
    kLeftOver,  // of a writer that was killed
  };
  std::string name;  // in the folder
  State state = State::kWhole;
  std::string text;  // what it holds, or what is wrong
};
[[nodiscard]] std::string NameOf(CheckedPart::State state);

struct FolderCheck {
  std::string kind;  // "run", "fit", "model", "data"
  std::vector<CheckedPart> parts;
  std::vector<std::string> advice;  // what can be done or should be known, a sentence each
  /// How many parts are damaged or missing.
  [[nodiscard]] int64_t unusable() const;
  [[nodiscard]] bool is_whole() const { return unusable() == 0; }
};

/// Reads everything that is there, as if to use it, and writes nothing. `path`: the folder of a run
/// or a fit, or a file of a model, a recording or data. Throws InputError for what is none of
/// these.
[[nodiscard]] FolderCheck CheckFolder(const std::filesystem::path& path);

}  // namespace foreplan
