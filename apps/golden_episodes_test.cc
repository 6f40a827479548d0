// Runs whose results must stay what they are, to the byte; see testdata/golden_episodes/README.md.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/runs/machine.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(FOREPLAN_SOURCE_DIR) / "testdata/golden_episodes";

struct GoldenRun {
  std::string name;
  std::vector<std::string> arguments;  // of `foreplan run`
};

void PrintTo(const GoldenRun& run, std::ostream* out) { *out << run.name; }

/// The lines of runs.txt, "name: arguments".
std::vector<GoldenRun> GoldenRuns() {
  std::vector<GoldenRun> runs;
  std::ifstream file(kGolden / "runs.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    const size_t colon = line.find(':');
    GoldenRun run{.name = line.substr(0, colon), .arguments = {}};
    std::istringstream words(line.substr(colon + 1));
    for (std::string word; words >> word;) run.arguments.push_back(word);
    runs.push_back(run);
  }
  return runs;
}

/// Why there is nothing to compare with; empty if there is.
std::string WhyNot() {
#if !defined(NDEBUG) || defined(__AVX512F__)
  return "golden episodes are those of the preset `release`";
#else
  const std::string how = "; scripts/golden_episodes.py makes them";
  const nlohmann::ordered_json ours = VersionsJson();
  const auto instruction_set = ours["instruction_set"].get<std::string>();
  const fs::path versions = kGolden / instruction_set / "versions.json";
  if (!fs::exists(versions)) return "no golden episodes for " + instruction_set + how;
  const auto theirs = nlohmann::json::parse(FileText(versions));
  for (const char* key : {"compiler", "eigen", "onednn", "mujoco"}) {
    if (theirs[key] == ours[key]) continue;
    return std::string("golden episodes were made with ") + key + " " + theirs[key].dump() +
           ", this is " + ours[key].dump() + how;
  }
  return "";
#endif
}

class GoldenEpisodes : public ProgramTest, public testing::WithParamInterface<GoldenRun> {};

TEST_P(GoldenEpisodes, ARunGivesTheBytesOfTheRevisionBefore) {
  if (const std::string reason = WhyNot(); !reason.empty()) GTEST_SKIP() << reason;
  const GoldenRun& run = GetParam();
  const ProgramResult result = RunProgram(
      Concatenated(Concatenated({"run"}, run.arguments), {"--threads", "1", "--out", "run"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const fs::path golden =
      kGolden / VersionsJson()["instruction_set"].get<std::string>() / (run.name + ".csv");
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), FileText(golden));
}

INSTANTIATE_TEST_SUITE_P(EveryLoop, GoldenEpisodes, testing::ValuesIn(GoldenRuns()),
                         [](const auto& run) { return run.param.name; });

}  // namespace
}  // namespace foreplan::apps
