// Recordings of episodes: which there are, and that they change nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/data/episode_recording.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RecordFlag : public ProgramTest {
 protected:
  /// Names in a folder, sorted.
  [[nodiscard]] std::vector<std::string> In(const std::string& folder) const {
    std::vector<std::string> names;
    for (const std::string& file : Files()) {
      if (file.starts_with(folder + "/")) names.push_back(file.substr(folder.size() + 1));
    }
    return names;
  }
  /// Episodes, transitions and model of a run; of its checkpoint, which has times, nothing.
  [[nodiscard]] std::vector<std::string> Results(const std::string& run) const {
    std::vector<std::string> texts = {FileText(work() / run / "episodes.csv"),
                                      FileText(work() / run / "model/model.safetensors")};
    for (const std::string& file : In(run + "/data")) {
      texts.push_back(FileText(work() / run / "data" / file));
    }
    return texts;
  }
  void Run(const std::vector<std::string>& more) const {
    const ProgramResult result = RunProgram(TinyRun(more));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
};

TEST_F(RecordFlag, ChangesNoBitOfTheRun) {
  Run({"--episodes", "3", "--out", "last"});
  Run({"--episodes", "3", "--out", "all", "--record"});
  Run({"--episodes", "3", "--out", "none", "--no-record"});
  EXPECT_EQ(Results("all"), Results("none"));
  EXPECT_EQ(Results("last"), Results("none"));
  EXPECT_THAT(In("last/recordings"), ElementsAre("episode_000003.safetensors.gz"));
  EXPECT_THAT(In("all/recordings"),
              ElementsAre("episode_000001.safetensors.gz", "episode_000002.safetensors.gz",
                          "episode_000003.safetensors.gz"));
  EXPECT_THAT(In("none/recordings"), IsEmpty());
  EXPECT_EQ(FileText(work() / "last/recordings/episode_000003.safetensors.gz"),
            FileText(work() / "all/recordings/episode_000003.safetensors.gz"));
}

TEST_F(RecordFlag, HoldsStepsPlansAndFutures) {
  Run({"--episodes", "2", "--out", "run", "--set", "record.futures=3"});
  const EpisodeRecording r =
      ReadEpisodeRecording(work() / "run/recordings/episode_000002.safetensors.gz");
  EXPECT_EQ(r.task, "cartpole_closed_form");
  EXPECT_EQ(r.controller, "mpc");
  EXPECT_EQ(r.seed, 3);
  EXPECT_EQ(r.steps(), 30);
  EXPECT_EQ(r.states, r.observations);  // of this system
  EXPECT_EQ(r.plan_count(), 30);
  EXPECT_EQ(r.horizon, 8);
  EXPECT_EQ(r.futures, 3);
  // Particles of a model that has seen one episode differ.
  EXPECT_NE(r.future_returns[0], r.future_returns[1]);
}

TEST_F(RecordFlag, IsKeptByARunThatGoesOn) {
  Run({"--episodes", "3", "--out", "whole", "--record"});
  const pid_t child = Start(TinyRun({"--episodes", "3", "--out", "run", "--record"}));
  const fs::path first = work() / "run/recordings/episode_000001.safetensors.gz";
  while (!fs::exists(first) && !HasEnded(child)) {
  }
  kill(child, SIGKILL);
  static_cast<void>(Wait(child));
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(Results("run"), Results("whole"));
  ASSERT_EQ(In("run/recordings"), In("whole/recordings"));
  for (const std::string& file : In("whole/recordings")) {
    EXPECT_EQ(FileText(work() / "run/recordings" / file),
              FileText(work() / "whole/recordings" / file))
        << file;
  }
}

TEST_F(RecordFlag, BehindTheCheckpointIsGoneWhenARunGoesOn) {
  Run({"--episodes", "2", "--out", "run"});
  const fs::path whole = work() / "run/recordings/episode_000002.safetensors.gz";
  fs::copy_file(whole, work() / "run/recordings/episode_000003.safetensors.gz");
  fs::copy_file(whole, work() / "run/recordings/episode_000002.safetensors.gz.tmp");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(In("run/recordings"), ElementsAre("episode_000002.safetensors.gz"));
}

TEST_F(RecordFlag, OfAnEvaluationRecordsItsEpisodes) {
  Run({"--episodes", "2", "--out", "run"});
  const std::vector<std::string> eval = {"eval", "run", "--episodes", "2", "--json"};
  const ProgramResult plain = RunProgram(eval);
  const ProgramResult result = RunProgram(Concatenated(eval, {"--record"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto rows = nlohmann::json::parse(result.out)["rows"];
  EXPECT_EQ(rows[0]["episode_returns"],
            nlohmann::json::parse(plain.out)["rows"][0]["episode_returns"]);
  ASSERT_THAT(In("run/evaluation/learned"),
              ElementsAre("episode_000001.safetensors.gz", "episode_000002.safetensors.gz"));
  const EpisodeRecording r =
      ReadEpisodeRecording(work() / "run/evaluation/learned/episode_000002.safetensors.gz");
  EXPECT_EQ(r.controller, "learned");
  EXPECT_EQ(r.episode_return, rows[0]["episode_returns"][1].get<double>());
  EXPECT_EQ(r.plan_count(), 30);

  // The true model plans from the full state, which it observes without noise.
  const ProgramResult true_model =
      RunProgram({"eval", "pendulum", "--controller", "true_model", "--episodes", "1", "--set",
                  "episode_length=10", "--record", "--out", "here"});
  ASSERT_EQ(true_model.exit_code, 0) << true_model.err;
  EXPECT_THAT(true_model.out, HasSubstr("\nrecordings: here\n"));
  const EpisodeRecording swing =
      ReadEpisodeRecording(work() / "here/true_model/episode_000001.safetensors.gz");
  const size_t row = static_cast<size_t>(swing.horizon + 1) * 3;
  for (size_t t = 0; t < 9; ++t) {
    // The first action is executed, so the model is right about what comes then.
    EXPECT_FLOAT_EQ(swing.imagined[row * t + 3], static_cast<float>(swing.observations[3 * t + 3]));
  }
}

TEST_F(RecordFlag, IsDataOfAFit) {
  Run({"--episodes", "1", "--out", "run"});
  const ProgramResult fit =
      RunProgram({"fit", "run/recordings/episode_000001.safetensors.gz", "--json", "--out", "fit",
                  "--set", "fit.max_steps=20", "--set", "fit.min_steps=20"});
  ASSERT_EQ(fit.exit_code, 0) << fit.err;
}

TEST_F(RecordFlag, RefusesWhatContradictsItself) {
  const ProgramResult both = RunProgram(TinyRun({"--record", "--no-record"}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--record excludes --no-record"));
  const ProgramResult large = RunProgram(TinyRun({"--record-mb", "0"}));
  EXPECT_EQ(large.exit_code, 2);
  EXPECT_THAT(large.err, HasSubstr("found '0', expected a number from 0.1 to 1000"));
  const ProgramResult out = RunProgram({"eval", "pendulum", "--controller", "zero", "--out", "x"});
  EXPECT_EQ(out.exit_code, 2);
  EXPECT_THAT(out.err, HasSubstr("eval: --out: found it without --record"));
  EXPECT_THAT(Files(), IsEmpty());
}

}  // namespace
}  // namespace foreplan::apps
