// Files of others.
#include <unistd.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/array_program.h"
#include "foreplan/data/array_recording.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/recording.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input_file.h"

namespace foreplan::fuzz {
namespace {

constexpr size_t kMostUnpacked = 1U << 20U;

void ReadGzip(std::string_view input) { (void)Gunzip(input, kMostUnpacked, "input.gz"); }

/// As it is; then by all that can be said of it, which may be refused.
void ReadLog(std::string_view name, std::string_view input) {
  const auto file = InputFile(name, input);
  const Recording found = ReadRecording(file, {});
  const RecordingColumns columns{.observation = found.observation, .action = found.action};
  std::vector<LogOptions> options = {{.time_unit = "ms"}, {.period = 0.5}, {.gap = 3}};
  if (!found.observation.empty()) {
    const std::string& first = found.observation.front();
    options.push_back({.renames = {{"renamed", first}}});
    options.push_back({.scales = {{first, -2.5}}});
    options.push_back({.degrees = {first}});
  }
  for (const LogOptions& each : options) {
    try {
      (void)ReadRecording(file, columns, each);
    } catch (const InputError&) {  // it says something else itself
    }
  }
}

void ReadTable(std::string_view input) { ReadLog("input.csv", input); }
void ReadNpz(std::string_view input) { ReadLog("input.npz", input); }

/// What the program that reads HDF5 says.
void ReadArrays(std::string_view input) {
  const auto file = InputFile("input.arrays", input);
  auto arrays = ReadArraysFromProgram({"/bin/cat", file.string()}, "input.hdf5",
                                      std::chrono::milliseconds(5000));
  (void)ReadArrayRecording("input.hdf5", std::move(arrays), {});
}

}  // namespace

std::vector<Target> LogTargets() {
  return {
      {"gzip", "gzip streams", ReadGzip},
      {"table", "logs as tables of text", ReadTable},
      {"npz", "logs as arrays in NPZ (libzip unpacks them)", ReadNpz},
      {"arrays", "arrays from the program that reads HDF5", ReadArrays},
  };
}

}  // namespace foreplan::fuzz
