// What is given whatever bytes there are.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace foreplan::fuzz {

/// A reader of a format. What it is given it reads, or refuses by an InputError with a message;
/// anything else is a finding.
struct Target {
  std::string name;
  std::string what;  // is read
  std::function<void(std::string_view input)> read;
  /// What a program writes that has just been built, to begin with; none: corpus/<name> has it.
  std::function<std::vector<std::string>()> seeds = nullptr;
  bool is_tensors = false;  // what is changed are names, shapes, numbers and texts, too
};

[[nodiscard]] std::vector<Target> TextTargets();
[[nodiscard]] std::vector<Target> LogTargets();  // files of others
[[nodiscard]] std::vector<Target> RunTargets();  // files of ours

}  // namespace foreplan::fuzz
