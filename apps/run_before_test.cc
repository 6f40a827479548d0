// A run folder of the version before (testdata/run_before): it opens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

const fs::path kKept = fs::path(FOREPLAN_SOURCE_DIR) / "testdata" / "run_before";

/// A copy of it, as `run` where the program runs.
class RunOfTheVersionBefore : public ProgramTest {
 protected:
  RunOfTheVersionBefore() { fs::copy(kKept, work() / "run", fs::copy_options::recursive); }
};

TEST_F(RunOfTheVersionBefore, GoesOn) {
  const std::string before = FileText(work() / "run" / "episodes.csv");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  const Json result = Json::parse(resumed.out);
  EXPECT_EQ(result["status"], "done");
  EXPECT_EQ(result["episode_steps"], Json::array({12, 12, 12, 12}));
  EXPECT_THAT(FileText(work() / "run" / "episodes.csv"), StartsWith(before + "4,mpc,12,48,"));
  EXPECT_TRUE(fs::exists(work() / "run" / "report.html"));
  // Old files stay, the new one stands beside them.
  EXPECT_EQ(FileText(work() / "run" / "data" / "transitions-000000000012.safetensors"),
            FileText(kKept / "data" / "transitions-000000000012.safetensors"));
  EXPECT_THAT(FileText(work() / "run" / "data" / "transitions-000000000036.safetensors"),
              HasSubstr("data.reward"));
}

TEST_F(RunOfTheVersionBefore, IsEvaluated) {
  const ProgramResult result = RunProgram({"eval", "run", "--episodes", "2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Json::parse(result.out)["rows"][0]["controller"], "learned");
}

TEST_F(RunOfTheVersionBefore, ItsDataAreFittedAndItsModelBeginsANewRun) {
  const ProgramResult fit =
      RunProgram({"fit", "run", "--out", "fit", "--set", "model.members=1", "--set",
                  "model.width=4", "--set", "fit.max_steps=5", "--set", "fit.min_steps=5"});
  EXPECT_EQ(fit.exit_code, 0) << fit.err;
  const ProgramResult run =
      RunProgram({"run", "run/config.toml", "--model", "run", "--episodes", "1", "--out", "next"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
}

}  // namespace
}  // namespace foreplan::apps
