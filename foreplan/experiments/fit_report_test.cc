#include "foreplan/experiments/fit_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace foreplan {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Two components, the second constant; four horizons.
DataFitReport SomeReport() {
  DataFitReport report;
  report.data = "log <1>.csv";
  report.task = "cart_pole";
  report.transitions = 300;
  report.episodes = 3;
  report.held_out = "the last of 3 episodes";
  report.observation = {{"hinge", "rad"}, {"still", ""}};
  report.metrics = {{"training_loss", -1.5}};
  report.folder = "runs/fit";
  report.details = R"json({"status": "unexplained", "iterations": 7, "guesses": 9,
      "failure": "the noise of <hinge> is above the data's spread",
      "noise": {"hinge": 0.7, "still": 0}, "spread": {"hinge": 0.4, "still": 0}, "parameters": [
      {"name": "mass", "value": 2.5, "standard_error": 0.01, "at_bound": false},
      {"name": "length", "value": 1.0, "standard_error": null, "at_bound": true}],
      "not_identifiable": ["length +1.00 (relative changes)"]})json";
  Calibration& calibration = report.calibration;
  calibration.training_rows = 200;
  calibration.holdout_rows = 100;
  calibration.scale = {0.5, 0};
  calibration.nll = kInfinity;  // of a model without deviations
  calibration.members = {{0.1, kInfinity}};
  for (int steps = 1; steps <= 4; ++steps) {
    calibration.horizons.push_back({.steps = steps,
                                    .starts = 90,
                                    .rmse = {0.1 * steps, 0},
                                    .persistence = {1, 0},
                                    .epistemic_share = {0.25, 0},
                                    .coverage = {{0.5, 0.9, 0.95}, {1, 1, 1}}});
  }
  return report;
}

TEST(FitReport, NumbersAreOfTheComponentsThatChange) {
  const DataFitReport report = SomeReport();
  EXPECT_DOUBLE_EQ(ScaledError(report.calibration, report.calibration.horizons[1]), 0.4);
  EXPECT_DOUBLE_EQ(Coverage(report.calibration, report.calibration.horizons[0], 1), 0.9);
  const auto shown = ShownHorizons(report.calibration);
  ASSERT_EQ(shown.size(), 3U);  // 1, 2 and the last
  EXPECT_EQ(shown.back()->steps, 4);
}

TEST(FitReport, TextSaysWhatWasFoundAndWhatWasNot) {
  const std::string text = FitText(SomeReport());
  EXPECT_THAT(text, HasSubstr("300 transitions in 3 episodes; fitted to 200, judged on 100"));
  EXPECT_THAT(text, HasSubstr("constant in the data, predicted to stay: still"));
  EXPECT_THAT(text, HasSubstr("hinge [rad]"));
  EXPECT_THAT(text, HasSubstr("2.5 ± 0.01\n"));
  EXPECT_THAT(text, HasSubstr("1 ± inf  at its bound"));
  EXPECT_THAT(text, HasSubstr("not identifiable: length"));
  EXPECT_THAT(text, HasSubstr("parameters (unexplained after 7 iterations from 9 guesses)\n"
                              "  NOT TO BE RELIED ON: the noise of <hinge> is above"));
  EXPECT_THAT(text, ContainsRegex("noise of hinge +0.7 of a spread of 0.4\n"));
}

TEST(FitReport, WhatKeepsItsPaceIsNotCalledConstant) {
  DataFitReport report = SomeReport();
  report.calibration.steady_change = {0, 0.02};
  const std::string text = FitText(report);
  EXPECT_THAT(
      text, HasSubstr("the same change in every step of the data, and so predicted: still (0.02)"));
  EXPECT_THAT(text, Not(HasSubstr("constant in the data")));
  const auto json = nlohmann::json::parse(FitJson(report).dump());
  EXPECT_TRUE(json["constant"].empty());
  EXPECT_EQ(json["constant_change"], nlohmann::json({{"still", 0.02}}));
  const std::string page = FitPage(report, "", "{}");
  EXPECT_THAT(page, HasSubstr("The same change in every step"));
  EXPECT_THAT(page, Not(HasSubstr("Constant")));
  EXPECT_TRUE(nlohmann::json::parse(FitJson(SomeReport()).dump())["constant_change"].empty());
}

TEST(FitReport, JsonHasNullForWhatIsNotFinite) {
  const auto json = nlohmann::json::parse(FitJson(SomeReport()).dump());
  EXPECT_TRUE(json["nll"].is_null());
  EXPECT_TRUE(json["members"][0]["nll"].is_null());
  EXPECT_EQ(json["horizons"].size(), 4U);
  EXPECT_EQ(json["horizons"][3]["components"]["hinge"]["coverage_90"], 0.9);
  EXPECT_EQ(json["constant"][0], "still");
  EXPECT_EQ(json["model"]["parameters"][0]["value"], 2.5);
}

TEST(FitReport, TableHasARowPerHorizonAndComponent) {
  const std::string csv = CalibrationCsv(SomeReport());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 4 * 2);
  EXPECT_THAT(csv, HasSubstr("\n1,hinge,90,0.1,1,0.5,0.9,0.95,0.25\n"));
}

TEST(FitReport, PageIsWholeAndSafe) {
  const std::string page = FitPage(SomeReport(), "a = \"</script>\"\n", "{}");
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  EXPECT_THAT(page, HasSubstr("log &lt;1&gt;.csv"));
  EXPECT_THAT(page, HasSubstr("Not identifiable: length"));
  EXPECT_THAT(page, HasSubstr("Not to be relied on: the noise of &lt;hinge&gt; is above"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"col\">Noise</th>"));
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  const auto data =
      nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  EXPECT_EQ(data["charts"].size(), 4U);  // coverage, two components, epistemic share
  for (const auto& chart : data["charts"]) {
    EXPECT_EQ(chart["columns"].size(), chart["series"].size() + 1);
    for (const auto& column : chart["columns"]) EXPECT_EQ(column.size(), 4U);
  }
}

}  // namespace
}  // namespace foreplan
