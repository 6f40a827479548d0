#include "foreplan/runs/provenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "foreplan/core/config.h"
#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/core/read_file.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/machine.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Metadata of a checkpoint: JSON.
constexpr const char* kProvenanceKey = "provenance";
constexpr const char* kAcceptedKey = "accepted";

// What may change between two parts of a run; a section ends with its dot. What a run began with
// is in its checkpoint, wherever that folder is now.
constexpr std::array<std::string_view, 5> kFree = {"run.episodes", "run.steps", "run.model",
                                                   "record.", "summary"};

bool IsFree(std::string_view key) {
  return std::ranges::any_of(kFree, [&](std::string_view free) {
    return free.ends_with('.') ? key.starts_with(free) : key == free;
  });
}

Provenance::Texts Keys(const std::string& config_text) {
  Provenance::Texts keys;
  for (const std::string& assignment :
       Config::FromString(config_text, "configuration").Assignments("")) {
    const size_t equals = assignment.find('=');
    std::string key = assignment.substr(0, equals);
    if (!IsFree(key)) keys.emplace(std::move(key), assignment.substr(equals + 1));
  }
  return keys;
}

std::string FileChecksum(const fs::path& file) { return ChecksumText(Crc32c(ReadFile(file))); }

void Compare(const Provenance::Texts& before, const Provenance::Texts& now,
             std::vector<Difference>& differences) {
  for (const auto& [name, value] : before) {
    const auto found = now.find(name);
    const std::string other = found == now.end() ? "" : found->second;
    if (other != value) differences.push_back({name, value, other});
  }
}

/// Long ones cut: a reward may be a page.
std::string Shown(const std::string& text) {
  constexpr size_t kLongest = 60;
  if (text.empty()) return "nothing";
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

/// The metadata as JSON; null when there are none.
Json Parsed(const TensorFile& checkpoint, const char* key) {
  const auto found = checkpoint.metadata.find(key);
  return found == checkpoint.metadata.end()
             ? Json()
             : Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
}

template <typename Read>
void ReadKept(const TensorFile& checkpoint, const char* key, std::string_view expected, Read read) {
  const Json json = Parsed(checkpoint, key);
  if (json.is_null()) return;
  try {
    read(json);
  } catch (const nlohmann::json::exception&) {
    throw InputError(fmt::format("{}: metadata '{}': found other things, expected {}",
                                 checkpoint.source, key, expected));
  }
}

}  // namespace

Provenance ProvenanceOf(const RunDirectory& directory, const std::string& config_text) {
  Provenance provenance{MachineProvenance(), Keys(config_text), {}};
  for (const auto& entry : fs::recursive_directory_iterator(directory.path())) {
    const fs::path& file = entry.path();
    if (!entry.is_regular_file() || file == directory.config_file() ||
        file == directory.machine_file()) {
      continue;
    }
    provenance.files.emplace(file.lexically_relative(directory.path()).string(),
                             FileChecksum(file));
  }
  return provenance;
}

Provenance ProvenanceOf(const RunDirectory& directory, const std::string& config_text,
                        const Provenance& before) {
  Provenance provenance{MachineProvenance(), Keys(config_text), {}};
  for (const auto& [name, unused] : before.files) {
    const fs::path file = directory.path() / name;
    std::error_code error;
    if (fs::exists(file, error)) provenance.files.emplace(name, FileChecksum(file));
  }
  return provenance;
}

std::vector<Difference> DifferencesOf(const Provenance& before, const Provenance& now) {
  std::vector<Difference> differences;
  Compare(before.machine, now.machine, differences);
  Compare(before.config, now.config, differences);
  Compare(before.files, now.files, differences);
  return differences;
}

std::string DifferenceText(const Difference& difference) {
  return fmt::format("{}: was {}, is {}", difference.name, Shown(difference.before),
                     Shown(difference.now));
}

std::string AcceptedText(const Difference& difference) {
  return fmt::format("{}, after episode {}", DifferenceText(difference), difference.episodes);
}

Json DifferencesJson(const std::vector<Difference>& differences) {
  Json json = Json::array();
  for (const Difference& difference : differences) {
    json.push_back({{"name", difference.name},
                    {"before", difference.before},
                    {"now", difference.now},
                    {"episodes", difference.episodes}});
  }
  return json;
}

KeptProvenance ReadProvenance(const TensorFile& checkpoint) {
  KeptProvenance kept;
  ReadKept(checkpoint, kProvenanceKey, "machine, config and files", [&](const Json& json) {
    json.at("machine").get_to(kept.provenance.machine);
    json.at("config").get_to(kept.provenance.config);
    json.at("files").get_to(kept.provenance.files);
  });
  ReadKept(checkpoint, kAcceptedKey, "a list of differences", [&](const Json& json) {
    for (const Json& of : json) {
      kept.accepted.push_back({of.at("name").get<std::string>(), of.at("before").get<std::string>(),
                               of.at("now").get<std::string>(), of.at("episodes").get<int>()});
    }
  });
  return kept;
}

std::vector<Difference> AcceptedDifferences(const RunDirectory& directory) {
  return ReadProvenance(ReadLastState(directory)).accepted;
}

void SaveProvenance(const KeptProvenance& kept, TensorFile& checkpoint) {
  const Provenance& provenance = kept.provenance;
  const Json json = {
      {"machine", provenance.machine}, {"config", provenance.config}, {"files", provenance.files}};
  checkpoint.metadata[kProvenanceKey] = json.dump();
  if (!kept.accepted.empty()) {
    checkpoint.metadata[kAcceptedKey] = DifferencesJson(kept.accepted).dump();
  }
}

}  // namespace foreplan
