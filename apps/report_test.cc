// foreplan report: pages and text of a run, the replay of a recorded episode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ReportCommand : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    const ProgramResult run = RunProgram({"run",
                                          "cartpole_closed_form",
                                          "--episodes",
                                          "3",
                                          "--record",
                                          "--out",
                                          "run",
                                          "--set",
                                          "episode_length=20",
                                          "--set",
                                          "planner.icem.population=12",
                                          "--set",
                                          "planner.icem.iterations=1",
                                          "--set",
                                          "model.members=2",
                                          "--set",
                                          "model.width=8",
                                          "--set",
                                          "model.hidden_layers=1",
                                          "--set",
                                          "fit.min_steps=5",
                                          "--set",
                                          "fit.max_steps=5"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }

  [[nodiscard]] std::string Refusal(const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"report"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_EQ(result.out, "");
    return result.err;
  }
};

TEST_F(ReportCommand, MakesThePageOfARunAnew) {
  std::filesystem::remove(work() / "run/report.html");
  const ProgramResult result = RunProgram({"report", "run"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("run/report.html: "));
  EXPECT_THAT(FileText(work() / "run/report.html"),
              AllOf(HasSubstr("id=\"animation\""), HasSubstr("\"Decision time\"")));
}

TEST_F(ReportCommand, WritesTextForAnIssue) {
  const ProgramResult result = RunProgram({"report", "run", "--format", "md"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(StartsWith("### "), HasSubstr("Status: `done`"),
                                HasSubstr("| 3 | "), HasSubstr("</details>")));
  ASSERT_EQ(RunProgram({"report", "run", "--format", "md", "--out", "run.md"}).exit_code, 0);
  EXPECT_EQ(FileText(work() / "run.md"), result.out);
}

TEST_F(ReportCommand, ShowsAnyRecordedEpisode) {
  const ProgramResult newest = RunProgram({"report", "run", "--animation", "--json"});
  ASSERT_EQ(newest.exit_code, 0) << newest.err;
  const auto document = nlohmann::json::parse(newest.out);
  EXPECT_EQ(document["episode"], 3);
  EXPECT_EQ(document["steps"], 20);
  EXPECT_EQ(document["file"], "run/episode_000003.html");
  EXPECT_EQ(document["bytes"], std::filesystem::file_size(work() / "run/episode_000003.html"));
  const ProgramResult second =
      RunProgram({"report", "run", "--animation", "--episode", "2", "--out", "two.html"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(FileText(work() / "two.html"), HasSubstr("cartpole_closed_form · episode 2"));
}

// Of the run around it; alone, of the task of its name.
TEST_F(ReportCommand, ShowsTheFileOfARecording) {
  const std::string name = "episode_000002.safetensors.gz";
  const ProgramResult of_run = RunProgram({"report", "run/recordings/" + name, "--animation"});
  ASSERT_EQ(of_run.exit_code, 0) << of_run.err;
  EXPECT_THAT(of_run.out, StartsWith("run/recordings/episode_000002.html: "));
  std::filesystem::copy(work() / "run/recordings" / name, work() / name);
  ASSERT_EQ(RunProgram({"report", name, "--animation"}).exit_code, 0);
  EXPECT_EQ(FileText(work() / "episode_000002.html"),
            FileText(work() / "run/recordings/episode_000002.html"));
  ASSERT_EQ(
      RunProgram({"eval", "run", "--controller", "zero", "--episodes", "1", "--record"}).exit_code,
      0);
  EXPECT_EQ(
      RunProgram({"report", "run/evaluation/zero/episode_000001.safetensors.gz", "--animation"})
          .exit_code,
      0);
}

TEST_F(ReportCommand, SaysWhatItLeavesOut) {
  const ProgramResult small = RunProgram({"report", "run", "--animation", "--mb", "0.01"});
  ASSERT_EQ(small.exit_code, 0) << small.err;
  EXPECT_THAT(small.err, HasSubstr("note: left out, for --mb 0.01: "));
}

TEST_F(ReportCommand, RefusesWhatDoesNotGoTogether) {
  EXPECT_THAT(Refusal({"run", "--format", "pdf"}), HasSubstr("expected html or md"));
  EXPECT_THAT(Refusal({"run", "--format", "md", "--animation"}), HasSubstr("beside --animation"));
  EXPECT_THAT(Refusal({"run", "--episode", "2"}), HasSubstr("--episode: found it alone"));
  EXPECT_THAT(Refusal({"run", "--animation", "--episode", "7"}),
              HasSubstr("found no recording of episode 7"));
  EXPECT_THAT(
      Refusal({"run/recordings/episode_000002.safetensors.gz", "--animation", "--episode", "2"}),
      HasSubstr("expected the folder of a run"));
  EXPECT_THAT(Refusal({"run/config.toml", "--animation"}), HasSubstr("config.toml"));
  EXPECT_THAT(Refusal({"nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(Refusal({"nowhere", "--animation"}), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace foreplan::apps
