// What the bits of a run depend on beside its own state, so that one that goes on notices when
// something is not what it was.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {

/// By name and kind.
struct Provenance {
  using Texts = std::map<std::string, std::string>;
  Texts machine;  // program, processor, libraries
  Texts config;   // keys of config.toml, but for those that change no bit of what is made:
                  // bounds of the run, what is recorded, the summary
  Texts files;    // of the task in the folder: checksums
  bool operator==(const Provenance&) const = default;
};

/// Of the run of that configuration that begins in that folder: the files that stand there beside
/// its own belong to its task. Throws InputError when one cannot be read.
[[nodiscard]] Provenance ProvenanceOf(const RunDirectory& directory,
                                      const std::string& config_text);
/// Of the run that goes on there, with the files that it had `before`, as far as they are there.
[[nodiscard]] Provenance ProvenanceOf(const RunDirectory& directory, const std::string& config_text,
                                      const Provenance& before);

/// What changed under a run.
struct Difference {
  std::string name;    // program, processor, libraries, a key, or a file
  std::string before;  // "": nothing
  std::string now;     // "": nothing
  int episodes = 0;    // made before it
};

/// Keys that there were not are none: a later version knows more of them.
[[nodiscard]] std::vector<Difference> DifferencesOf(const Provenance& before,
                                                    const Provenance& now);
/// "reward: was a, is b".
[[nodiscard]] std::string DifferenceText(const Difference& difference);
/// "reward: was a, is b, after episode 3".
[[nodiscard]] std::string AcceptedText(const Difference& difference);
/// As results say them.
[[nodiscard]] nlohmann::ordered_json DifferencesJson(const std::vector<Difference>& differences);

/// What a checkpoint keeps; both are empty in one of an earlier version. Throws InputError naming
/// the file.
struct KeptProvenance {
  Provenance provenance;
  std::vector<Difference> accepted;  // with which the run was told to go on
};
[[nodiscard]] KeptProvenance ReadProvenance(const TensorFile& checkpoint);
/// Of the last checkpoint of a run that is whole.
[[nodiscard]] std::vector<Difference> AcceptedDifferences(const RunDirectory& directory);
void SaveProvenance(const KeptProvenance& kept, TensorFile& checkpoint);

}  // namespace foreplan
