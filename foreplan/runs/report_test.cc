#include "foreplan/runs/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

namespace foreplan {
namespace {

using testing::HasSubstr;
using testing::Not;

ReportContent SomeContent() {
  return {.task = "cart_pole",
          .algorithm = "mpc",
          .planner = "icem",
          .seed = 3,
          .status = "done",
          .wall_seconds = 31.25,
          .planning_seconds = 20,
          .fitting_seconds = 10,
          .config_toml = "name = \"a </script> & b\"\n",
          .machine_json = "{\"threads\": 2}"};
}

RunLog SomeLog() {
  RunLog log;
  const std::vector<double> returns = {-4.25, 50.5, 120.75, 170, 180.5, 175, 178};
  for (size_t i = 0; i < returns.size(); ++i) {
    const int episode = static_cast<int>(i) + 1;
    log.AddEpisode({.episode = episode,
                    .controller = i == 0 ? "uniform" : "mpc",
                    .steps = 200,
                    .total_steps = 200 * episode,
                    .episode_return = returns[i],
                    .end = EpisodeEnd::kLength,
                    .note = ""});
    log.AddMetric(episode, 200 * episode, "</script>evil", 0.25 * episode);
  }
  log.AddMetric(7, 1400, "broken", std::numeric_limits<double>::quiet_NaN());
  return log;
}

nlohmann::json DataOf(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(ReportPage, NamesThePlannerOnlyWhereThereIsOne) {
  ReportContent content = SomeContent();
  EXPECT_THAT(ReportPage(content, SomeLog()), HasSubstr("mpc with icem, seed 3"));
  content.planner.clear();
  EXPECT_THAT(ReportPage(content, SomeLog()), HasSubstr("mpc, seed 3"));
}

TEST(Report, CarriesTheData) {
  const nlohmann::json data = DataOf(ReportPage(SomeContent(), SomeLog()));
  EXPECT_EQ(data["episodes"]["return"].size(), 7U);
  EXPECT_EQ(data["episodes"]["return"][2], 120.75);
  EXPECT_EQ(data["metrics"]["</script>evil"]["value"][1], 0.5);
  EXPECT_TRUE(data["metrics"]["broken"]["value"][0].is_null());
}

TEST(Report, SaysTheMainNumbersWithoutScripts) {
  const std::string page = ReportPage(SomeContent(), SomeLog());
  EXPECT_THAT(page, HasSubstr("<dt>Best return</dt><dd>180.5</dd>"));
  EXPECT_THAT(page, HasSubstr("180.5 (episode 5)"));
  // (120.75 + 170 + 180.5 + 175 + 178) / 5 = 164.85
  EXPECT_THAT(page, testing::ContainsRegex("Mean of the last 5</dt><dd>164.[89]</dd>"));
  EXPECT_THAT(page, HasSubstr("<dt>Wall time</dt><dd>31.2 s</dd>"));
  EXPECT_THAT(page, HasSubstr("<td>−4.25</td>"));
}

TEST(Report, AMeanOfFewerEpisodesSaysOfHowMany) {
  RunLog log;
  for (int i = 1; i <= 2; ++i) {
    log.AddEpisode({.episode = i,
                    .controller = "mpc",
                    .steps = 200,
                    .total_steps = 200 * i,
                    .episode_return = 10.0 * i,
                    .end = EpisodeEnd::kLength,
                    .note = ""});
  }
  const std::string page = ReportPage(SomeContent(), log);
  EXPECT_THAT(page, HasSubstr("<dt>Mean of the last 2</dt><dd>15"));
  EXPECT_THAT(page, HasSubstr("Mean return of the last 2 episodes"));
}

TEST(Report, LeavesDivergedAndCutOffEpisodesOutOfBestMeanAndCurveAndSaysSo) {
  RunLog log = SomeLog();
  log.AddEpisode({.episode = 8,
                  .controller = "mpc",
                  .steps = 3,
                  .total_steps = 1403,
                  .episode_return = 999,
                  .end = EpisodeEnd::kDiverged,
                  .note = "step 3: reward is inf"});
  log.AddEpisode({.episode = 9,
                  .controller = "mpc",
                  .steps = 7,
                  .total_steps = 1410,
                  .episode_return = 998,
                  .end = EpisodeEnd::kCutOff,
                  .note = ""});
  const std::string page = ReportPage(SomeContent(), log);
  EXPECT_THAT(page, HasSubstr("<dt>Best return</dt><dd>180.5</dd>"));
  EXPECT_THAT(page, testing::ContainsRegex("Mean of the last 5</dt><dd>164.[89]</dd>"));
  EXPECT_THAT(page, HasSubstr("1 diverged, 1 cut off"));
  EXPECT_THAT(page, HasSubstr("diverged: step 3: reward is inf"));
  EXPECT_TRUE(DataOf(page)["episodes"]["return"][7].is_null());
  EXPECT_TRUE(DataOf(page)["episodes"]["return"][8].is_null());
  EXPECT_THAT(ReportPage(SomeContent(), SomeLog()), Not(HasSubstr("left out")));
}

TEST(Report, NamesTheBestEpisodeByItsNumberWhateverIsLeftOutBeforeIt) {
  RunLog log;
  EpisodeRow row{.episode = 1,
                 .controller = "mpc",
                 .steps = 3,
                 .total_steps = 3,
                 .episode_return = 999,
                 .end = EpisodeEnd::kDiverged,
                 .note = ""};
  log.AddEpisode(row);
  row = {.episode = 2,
         .controller = "mpc",
         .steps = 200,
         .total_steps = 203,
         .episode_return = 5,
         .end = EpisodeEnd::kLength,
         .note = ""};
  log.AddEpisode(row);
  EXPECT_THAT(ReportPage(SomeContent(), log), HasSubstr("5.0 (episode 2)"));
}

TEST(Report, NeedsNothingFromElsewhere) {
  const std::string page = ReportPage(SomeContent(), SomeLog());
  EXPECT_FALSE(std::regex_search(page, std::regex("<(link|img|iframe)\\b")));
  EXPECT_FALSE(std::regex_search(page, std::regex("<script[^>]*\\bsrc\\s*=")));
  EXPECT_FALSE(std::regex_search(page, std::regex("(src|href)\\s*=\\s*[\"']?\\s*(https?:)?//")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
}

TEST(Report, EscapesWhatItShows) {
  const std::string page = ReportPage(SomeContent(), SomeLog());
  EXPECT_THAT(page, Not(HasSubstr("</script>evil")));
  EXPECT_THAT(page, Not(HasSubstr("a </script> & b")));
  EXPECT_THAT(page, HasSubstr("a &lt;/script&gt; &amp; b"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(Report, ShowsARunWithoutEpisodes) {
  ReportContent content = SomeContent();
  content.status = "interrupted after episode 0";
  const std::string page = ReportPage(content, RunLog());
  EXPECT_THAT(page, HasSubstr("interrupted after episode 0"));
  EXPECT_TRUE(DataOf(page)["episodes"]["return"].empty());
}

}  // namespace
}  // namespace foreplan
