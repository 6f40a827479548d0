// foreplan check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/data/safetensors.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

class CheckCommand : public ProgramTest {
 protected:
  void MakeRun() const {
    const ProgramResult run = RunProgram(TinyRun({"--episodes", "3", "--out", "run"}));
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  void Damage(const std::string& name) const {
    std::string bytes = FileText(work() / name);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    WriteText(name, bytes);
  }
  /// States by names; the rest of the document goes to `document`.
  [[nodiscard]] std::map<std::string, std::string> States(
      const std::string& path, int exit_code, nlohmann::json* document = nullptr) const {
    const ProgramResult result = RunProgram({"check", path, "--json"});
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["whole"].get<bool>(), exit_code == 0);
    if (document != nullptr) *document = json;
    std::map<std::string, std::string> states;
    for (const auto& part : json["parts"]) states[part["name"]] = part["state"];
    return states;
  }
};

TEST_F(CheckCommand, AWholeRunIsWholeAndStaysAsItIs) {
  MakeRun();
  const auto files = Files();
  const auto states = States("run", 0);
  for (const char* name :
       {"config.toml", "machine.json", "result.json", "episodes.csv", "metrics.csv", "data",
        "checkpoint/state.safetensors", "checkpoint/previous.safetensors",
        "model/model.safetensors", "recordings/episode_000003.safetensors.gz"}) {
    ASSERT_TRUE(states.contains(name)) << name;
    EXPECT_EQ(states.at(name), "whole") << name;
  }
  EXPECT_EQ(Files(), files);
  const ProgramResult text = RunProgram({"check", "run"});
  EXPECT_THAT(text.out, HasSubstr("run: run, whole"));
  EXPECT_THAT(text.out, HasSubstr("checkpoint 7, 90 transitions"));
}

TEST_F(CheckCommand, NamesWhatIsDamagedAndWhatCanBeDone) {
  MakeRun();
  for (const char* name : {"model/model.safetensors", "checkpoint/state.safetensors",
                           "recordings/episode_000003.safetensors.gz"}) {
    Damage(std::string("run/") + name);
  }
  fs::remove(work() / "run/metrics.csv");
  WriteText("run/model/model.safetensors.tmp", "half");
  nlohmann::json document;
  const auto states = States("run", 2, &document);
  EXPECT_EQ(states.at("model/model.safetensors"), "damaged");
  EXPECT_EQ(states.at("checkpoint/state.safetensors"), "damaged");
  EXPECT_EQ(states.at("recordings/episode_000003.safetensors.gz"), "damaged");
  EXPECT_EQ(states.at("metrics.csv"), "missing");
  EXPECT_EQ(states.at("model/model.safetensors.tmp"), "left over");
  EXPECT_EQ(states.at("data"), "whole");
  EXPECT_THAT(RunProgram({"check", "run"}).err,
              HasSubstr("run: 5 parts of what it should hold cannot be used"));
}

TEST_F(CheckCommand, SaysWhereARunCanGoOnFrom) {
  MakeRun();
  Damage("run/checkpoint/state.safetensors");
  nlohmann::json document;
  EXPECT_EQ(States("run", 2, &document).at("model/model.safetensors"), "outdated");
  EXPECT_THAT(document["advice"].dump(), HasSubstr("'foreplan run --resume run' goes on from the "
                                                   "checkpoint before the last"));
  Damage("run/checkpoint/previous.safetensors");
  EXPECT_EQ(States("run", 2, &document).at("checkpoint/previous.safetensors"), "damaged");
  EXPECT_THAT(document["advice"].dump(), HasSubstr("90 transitions can be read"));
  ASSERT_EQ(RunProgram({"fit", "run", "--out", "fit", "--set", "fit.max_steps=20", "--set",
                        "fit.min_steps=20", "--set", "model.width=8"})
                .exit_code,
            0);
  EXPECT_EQ(States("fit", 0).at("model/model.safetensors"), "whole");
}

// With the right checksum.
TEST_F(CheckCommand, ANumberThatCannotBeIsDamage) {
  MakeRun();
  TensorFile model = ReadTensors(work() / "run/model/model.safetensors");
  std::get<std::vector<double>>(model.tensors.at("model.input_mean").values)[0] = std::nan("");
  WriteTensors(work() / "run/model/model.safetensors", model);
  const auto states = States("run", 2);
  EXPECT_EQ(states.at("model/model.safetensors"), "damaged");
  EXPECT_EQ(states.at("checkpoint/state.safetensors"), "whole");
}

// What does not need the task is looked at all the same.
TEST_F(CheckCommand, ATaskMadeInCodeIsNoDamageAndADamagedConfigurationHidesNothing) {
  MakeRun();
  const std::string config = FileText(work() / "run/config.toml");
  WriteText("run/config.toml", "made_in_code = true\n" + config);
  auto states = States("run", 0);
  EXPECT_EQ(states.at("data"), "whole");
  EXPECT_EQ(states.at("checkpoint/state.safetensors"), "whole");
  WriteText("run/config.toml", "[" + config);
  states = States("run", 2);
  EXPECT_EQ(states.at("config.toml"), "damaged");
  EXPECT_EQ(states.at("data"), "whole");
  EXPECT_EQ(states.at("checkpoint/state.safetensors"), "whole");
}

TEST_F(CheckCommand, SaysWhatIsNotWhatItWas) {
  MakeRun();
  std::string config = FileText(work() / "run/config.toml");
  const std::string seed = "\nseed = 3";
  WriteText("run/config.toml", config.replace(config.find(seed), seed.size(), "\nseed = 4"));
  nlohmann::json document;
  static_cast<void>(States("run", 0, &document));
  EXPECT_THAT(document["advice"].dump(),
              HasSubstr("it goes on only with --accept run.seed: run.seed: was 3, is 4"));
}

TEST_F(CheckCommand, ReadsFilesByThemselves) {
  MakeRun();
  EXPECT_EQ(States("run/model/model.safetensors", 0).size(), 1U);
  EXPECT_EQ(States("run/recordings/episode_000003.safetensors.gz", 0).size(), 1U);
  EXPECT_EQ(States("run/data/transitions-000000000000.safetensors", 0).size(), 1U);
  WriteText("log.csv", "a,b\n1,x\n");
  EXPECT_EQ(States("log.csv", 2).at("log.csv"), "damaged");
  EXPECT_EQ(RunProgram({"check", "nothing"}).exit_code, 2);
}

}  // namespace
}  // namespace foreplan::apps
