#include "foreplan/runs/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr std::string_view kEpisodes = "episode,controller,steps,total_steps,return,end,note\n";
constexpr std::string_view kMetrics = "episode,total_steps,name,value\n";

TEST(RunLog, WritesTheDocumentedColumns) {
  RunLog log;
  log.AddEpisode({.episode = 1,
                  .controller = "uniform",
                  .steps = 200,
                  .total_steps = 200,
                  .episode_return = -4.25,
                  .end = EpisodeEnd::kLength,
                  .note = ""});
  log.AddMetric(1, 200, "fit.holdout_rmse", 0.5);
  EXPECT_EQ(log.EpisodesCsv(), std::string(kEpisodes) + "1,uniform,200,200,-4.25,length,\n");
  EXPECT_EQ(log.MetricsCsv(), std::string(kMetrics) + "1,200,fit.holdout_rmse,0.5\n");
}

TEST(RunLog, TextFromAPositionIsWhatIsNew) {
  RunLog log;
  log.AddEpisode({.episode = 1, .controller = "a", .note = ""});
  log.AddMetric(1, 5, "x", 1);
  const std::string episodes = log.EpisodesCsv();
  const std::string metrics = log.MetricsCsv();
  const RunLog::Position position = log.end();
  EXPECT_EQ(log.EpisodesCsvFrom(position), "");
  log.AddMetric(2, 7, "y", 2);
  log.AddMetric(2, 7, "z", 3);
  log.AddEpisode({.episode = 2, .controller = "b", .note = ""});
  EXPECT_EQ(log.EpisodesCsvFrom(position), "2,b,0,0,0,length,\n");
  EXPECT_EQ(log.MetricsCsvFrom(position), "2,7,y,2\n2,7,z,3\n");
  EXPECT_EQ(episodes + log.EpisodesCsvFrom(position), log.EpisodesCsv());
  EXPECT_EQ(metrics + log.MetricsCsvFrom(position), log.MetricsCsv());
}

TEST(RunLog, ShowsTheReturnsOfEpisodesThatAreRestored) {
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kTerminal);
  RunLog log(&progress);
  log.RestoreCsv(std::string(kEpisodes) + "1,a,5,5,0,length,\n2,a,5,10,99,diverged,\n", kMetrics,
                 "test");
  log.AddEpisode({.episode = 3, .controller = "a", .episode_return = 7, .note = ""});
  progress.Close();
  // The second is a gap: it is not whole.
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("_ ^"));
}

TEST(RunLog, RestoresEveryBitOfWhatItWrote) {
  RunLog log;
  const std::vector<double> values = {0.1,
                                      -0.0,
                                      1.0 / 3,
                                      5e-324,
                                      std::numeric_limits<double>::max(),
                                      178.12345678901234,
                                      std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN()};
  for (size_t i = 0; i < values.size(); ++i) {
    const int episode = static_cast<int>(i) + 1;
    log.AddEpisode({.episode = episode,
                    .controller = "mpc",
                    .steps = 7,
                    .total_steps = 7 * episode,
                    .episode_return = values[i],
                    .end = static_cast<EpisodeEnd>(i % 4),
                    .note = "said \"no\", then\nstopped\r"});
    log.AddMetric(episode, 7 * episode, "a,b", values[i]);
  }

  RunLog restored;
  restored.RestoreCsv(log.EpisodesCsv(), log.MetricsCsv(), "checkpoint");
  EXPECT_EQ(restored.EpisodesCsv(), log.EpisodesCsv());
  EXPECT_EQ(restored.MetricsCsv(), log.MetricsCsv());
  ASSERT_EQ(restored.episodes().size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(restored.episodes()[i].end, log.episodes()[i].end);
  }
  EXPECT_EQ(restored.episodes().front().note, "said \"no\", then\nstopped\r");
  EXPECT_EQ(restored.metrics().front().name, "a,b");
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(restored.metrics()[i].value),
              std::bit_cast<uint64_t>(values[i]));
  }
  EXPECT_TRUE(std::isnan(restored.metrics().back().value));
}

TEST(RunLog, ShowsTheReturnOfTheLastWholeEpisode) {
  RunLog log;
  EpisodeRow row;
  row.episode_return = -80;
  log.AddEpisode(row);
  row.episode_return = -3;
  row.end = EpisodeEnd::kDiverged;
  log.AddEpisode(row);
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kTerminal);
  RunLog restored(&progress);
  restored.RestoreCsv(log.EpisodesCsv(), log.MetricsCsv(), "checkpoint");
  ProgressState state;
  state.episode = 3;
  restored.ShowStep(state);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("last -80.0"));
}

TEST(RunLog, ShowsTheModelErrorOfWhatItGoesOnFrom) {
  RunLog log;
  log.AddMetric(1, 7, kModelErrorMetric, 0.25);
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kTerminal);
  RunLog restored(&progress);
  restored.RestoreCsv(log.EpisodesCsv(), log.MetricsCsv(), "checkpoint");
  ProgressState state;
  state.episode = 2;
  restored.ShowStep(state);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("0.25"));
}

TEST(RunLog, RefusesMalformedTextAndNamesTheLine) {
  struct Case {
    std::string rows;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"1,mpc,7,7,x,length,\n", "line 2: found return 'x', expected a number"},
      {"1,mpc,7,7,1.5 ,length,\n", "line 2: found return '1.5 ', expected a number"},
      {"1,mpc,7.5,7,1,length,\n", "line 2: found steps '7.5', expected an integer"},
      {"1,mpc,99999999999,7,1,length,\n", "expected an integer"},
      {"1,mpc,7,7,1,yes,\n",
       "found end 'yes', expected one of length, terminated, cut_off, diverged, failed"},
      {"1,mpc,7,7,1,length\n", "line 2: found 6 fields, expected 7"},
      {"1,mpc,7,7,1,length,,\n", "line 2: found 8 fields, expected 7"},
      {"1,mpc,7,7,1,length,", "expected a line end"},
      {"1,mpc,7,7,1,length,\"open\n", "expected a closing '\"'"},
      {"1,mpc,7,7,1,length,\"a\"b\n", "found 'b', expected ',' or a line end"},
      {"1,mpc,7,7,1,length,\"two\nlines\"\n2,mpc,7,14,?,length,\n", "line 4: found return '?'"},
  };
  for (const Case& test : cases) {
    RunLog log;
    log.AddMetric(1, 1, "kept", 1);
    try {
      log.RestoreCsv(std::string(kEpisodes) + test.rows, kMetrics, "state.safetensors");
      ADD_FAILURE() << "accepted: " << test.rows;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(test.expected));
      EXPECT_THAT(error.what(), testing::StartsWith("state.safetensors: episodes, line"));
    }
    EXPECT_EQ(log.metrics().size(), 1U) << "a failed restore must change nothing";
  }
}

TEST(RunLog, RefusesAnotherHeader) {
  RunLog log;
  EXPECT_THROW(log.RestoreCsv("", kMetrics, "x"), InputError);
  EXPECT_THROW(log.RestoreCsv("episode,steps\n", kMetrics, "x"), InputError);
  EXPECT_THROW(log.RestoreCsv(kEpisodes, kEpisodes, "x"), InputError);
}

}  // namespace
}  // namespace foreplan
