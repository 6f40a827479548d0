#include "foreplan/runs/report_markdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace foreplan {
namespace {

using testing::HasSubstr;
using testing::Not;

ReportContent SomeRun() {
  return {.task = "arm",
          .algorithm = "mpc",
          .planner = "icem",
          .seed = 3,
          .status = "done",
          .wall_seconds = 83,
          .planning_seconds = 60,
          .fitting_seconds = 20,
          .config_toml = "name = \"arm\"\n",
          .machine_json = "{}"};
}

RunLog LogOf(int episodes) {
  RunLog log;
  for (int i = 1; i <= episodes; ++i) {
    log.AddEpisode({.episode = i,
                    .controller = "mpc",
                    .steps = 100,
                    .total_steps = 100 * i,
                    .episode_return = 1.0 * i,
                    .note = ""});
  }
  return log;
}

TEST(ReportMarkdown, IsARunAtAGlance) {
  RunLog log = LogOf(8);
  log.AddMetric(2, 200, "fit.loss", 0.5);
  log.AddMetric(8, 800, "fit.loss", -0.25);
  const std::string text = ReportMarkdown(SomeRun(), log);
  EXPECT_THAT(text,
              testing::StartsWith("### `arm`: `mpc` with `icem`, seed 3\n\nStatus: `done`\n\n"
                                  "|  |  |\n|---|--:|\n| Best return | 8 (episode 8) |\n"
                                  "| Mean of the last 5 whole episodes | 6 |\n| Episodes | 8 |\n"
                                  "| Steps of experience | 800 |\n| Wall time | 1:23 min |\n"));
  EXPECT_THAT(text, HasSubstr("```\n▁▂▃▄▅▆▇█\n```\n"));
  EXPECT_THAT(text, HasSubstr("| 1 | 1 | 100 | 100 | `mpc` | length |\n"));
  EXPECT_THAT(text, HasSubstr("| 8 | 8 | 100 | 800 | `mpc` | length |\n"));
  EXPECT_THAT(text, HasSubstr("| `fit.loss` | −0.25 | 8 |\n"));
  EXPECT_THAT(text, HasSubstr("<summary>Settings</summary>\n\n```toml\nname = \"arm\"\n```\n"));
  EXPECT_THAT(text, Not(HasSubstr("in all.")));
}

TEST(ReportMarkdown, ShowsThirtyEpisodesAndTheLast) {
  for (const int episodes : {30, 31, 100, 1000}) {
    const std::string text = ReportMarkdown(SomeRun(), LogOf(episodes));
    size_t rows = 0;
    for (size_t at = text.find("`mpc` | length |"); at != std::string::npos;
         at = text.find("`mpc` | length |", at + 1)) {
      ++rows;
    }
    EXPECT_LE(rows, 31);
    EXPECT_GE(rows, 16);
    EXPECT_THAT(text, HasSubstr("\n| " + std::to_string(episodes) + " | "));
    EXPECT_EQ(text.find("and the last, of") != std::string::npos, episodes > 30);
  }
  EXPECT_THAT(ReportMarkdown(SomeRun(), LogOf(100)),
              HasSubstr("\nEpisode 1, one of every 4 after it, and the last, of 100 in all.\n"));
}

TEST(ReportMarkdown, OfNoEpisodeSaysSo) {
  ReportContent content = SomeRun();
  content.planner = "";
  content.status = "failed: a b";
  const std::string text = ReportMarkdown(content, RunLog());
  EXPECT_THAT(text, HasSubstr("### `arm`: `mpc`, seed 3\n\nStatus: `failed: a b`\n"));
  EXPECT_THAT(text, HasSubstr("| Best return | – |"));
  EXPECT_THAT(text, HasSubstr("No episode has ended."));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(ReportMarkdown, LeavesOutWhatIsNotWholeAndSaysIt) {
  RunLog log = LogOf(2);
  log.AddEpisode({.episode = 3,
                  .controller = "mpc",
                  .episode_return = 99,
                  .end = EpisodeEnd::kDiverged,
                  .note = "step 7: state 'x' is inf"});
  const std::string text = ReportMarkdown(SomeRun(), log);
  EXPECT_THAT(text, HasSubstr("| Best return | 2 (episode 2) |"));
  EXPECT_THAT(text, HasSubstr("| of them left out | 1 diverged |"));
  EXPECT_THAT(text, HasSubstr("```\n▁█ \n```"));
  EXPECT_THAT(text, HasSubstr("| diverged: `step 7: state 'x' is inf` |"));
}

TEST(ReportMarkdown, KeepsMarkupATextWhereverItStands) {
  const std::string name = "<b>|`a`|@b";
  RunLog log;
  log.AddEpisode({.episode = 1, .controller = name, .end = EpisodeEnd::kFailed, .note = name});
  log.AddMetric(1, 1, name, 2);
  const ReportContent content{.task = name,
                              .algorithm = name,
                              .planner = name,
                              .status = name,
                              .config_toml = "# ```\n</details>\n",
                              .machine_json = "{}"};
  const std::string text = ReportMarkdown(content, log);
  const std::string code = "``<b>\\|`a`\\|@b``";
  size_t count = 0;
  for (size_t at = text.find(code); at != std::string::npos; at = text.find(code, at + 1)) ++count;
  EXPECT_EQ(count, 7);  // task, algorithm, planner, status, controller, note, metric
  EXPECT_THAT(text, HasSubstr("````toml\n# ```\n</details>\n````\n"));
}

}  // namespace
}  // namespace foreplan
