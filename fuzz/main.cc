// Gives readers of formats whatever bytes there are: new ones as long as nothing is found, where
// it was built with libFuzzer (preset fuzz), and those of files everywhere.
//
//   foreplan_fuzz                       names the targets
//   foreplan_fuzz --seeds TARGET FOLDER writes what the target begins with
//   foreplan_fuzz --own                 reads what every target begins with
//   foreplan_fuzz TARGET FILE|FOLDER... reads these; with libFuzzer its own arguments
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/read_file.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input_file.h"
#include "fuzz/tensor_mutator.h"

#ifdef FOREPLAN_LIBFUZZER
extern "C" int LLVMFuzzerRunDriver(int* argc, char*** argv,
                                   int (*read)(const uint8_t* data, size_t size));
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most,
                                          unsigned int seed);
#endif

namespace foreplan::fuzz {
namespace {

namespace fs = std::filesystem;

const Target* target = nullptr;  // libFuzzer hands nothing on

std::vector<Target> AllTargets() {
  std::vector<Target> targets = TextTargets();
  std::ranges::move(LogTargets(), std::back_inserter(targets));
  std::ranges::move(RunTargets(), std::back_inserter(targets));
  return targets;
}

/// Ends the process at a finding.
int Read(std::string_view input) {
  try {
    target->read(input);
  } catch (const InputError& error) {
    if (std::string_view(error.what()).empty()) {
      fmt::print(stderr, "found an error without a message\n");
      std::abort();
    }
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "found {}, expected an InputError or nothing\n", error.what());
    std::abort();
  }
  return 0;
}

/// How many files were read, and how many of them refused.
struct Count {
  int files = 0;
  int refused = 0;
  void Add(std::string_view input) {
    refused += Read(input);
    ++files;
  }
  int Tell() const {
    fmt::print("{}: {} files, {} of them refused\n", target->name, files, refused);
    return files > 0 ? 0 : 1;
  }
};

int ReadFiles(std::span<char* const> names) {
  Count count;
  for (const char* name : names) {
    if (!fs::is_directory(name)) {
      count.Add(ReadFile(name));
      continue;
    }
    for (const auto& entry : fs::directory_iterator(name)) count.Add(ReadFile(entry.path()));
  }
  return count.Tell();
}

/// None of them may be refused.
int ReadOwn(std::span<const Target> targets) {
  int wrong = 0;
  for (const Target& each : targets) {
    if (!each.seeds) continue;
    target = &each;
    Count count;
    for (const std::string& seed : each.seeds()) count.Add(seed);
    wrong += count.Tell() + count.refused;
  }
  return wrong == 0 ? 0 : 1;
}

int WriteSeeds(const fs::path& folder) {
  fs::create_directories(folder);
  int number = 0;
  if (!target->seeds) return 0;
  for (const std::string& seed : target->seeds()) {
    Overwrite(folder / fmt::format("seed_{}", number++), seed);
  }
  return 0;
}

int Main(int argc, char** argv) {
  const std::vector<Target> targets = AllTargets();
  if (argc < 2) {
    for (const Target& each : targets) fmt::print("{:<28}{}\n", each.name, each.what);
    return 0;
  }
  if (std::string_view(argv[1]) == "--own") return ReadOwn(targets);
  const bool is_about_seeds = std::string_view(argv[1]) == "--seeds" && argc == 4;
  const std::string_view name = argv[is_about_seeds ? 2 : 1];
  const auto found = std::ranges::find(targets, name, &Target::name);
  if (found == targets.end()) {
    fmt::print(stderr, "foreplan_fuzz: unknown target '{}'; without arguments it names them\n",
               name);
    return 2;
  }
  target = &*found;
  if (is_about_seeds) return WriteSeeds(argv[3]);
#ifdef FOREPLAN_LIBFUZZER
  argv[1] = argv[0];
  int count = argc - 1;
  char** arguments = argv + 1;
  return LLVMFuzzerRunDriver(&count, &arguments, [](const uint8_t* data, size_t size) {
    Read({reinterpret_cast<const char*>(data), size});
    return 0;
  });
#else
  return ReadFiles({argv + 2, static_cast<size_t>(argc - 2)});
#endif
}

}  // namespace
}  // namespace foreplan::fuzz

#ifdef FOREPLAN_LIBFUZZER
// Called by libFuzzer in the place of its own.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most,
                                          unsigned int seed) {
  if (!foreplan::fuzz::target->is_tensors || seed % 4 == 0) {
    return LLVMFuzzerMutate(data, size, most);
  }
  const std::string changed = foreplan::fuzz::ChangedTensors(
      {reinterpret_cast<const char*>(data), size}, seed, [](std::string bytes, size_t longest) {
        const size_t before = bytes.size();
        bytes.resize(std::max(longest, before));
        bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), before, longest));
        return bytes;
      });
  if (changed.empty() || changed.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::ranges::copy(changed, reinterpret_cast<char*>(data));
  return changed.size();
}
#endif

int main(int argc, char** argv) { return foreplan::fuzz::Main(argc, argv); }
