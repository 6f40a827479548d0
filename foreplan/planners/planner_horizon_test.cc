// Horizons in seconds: one for every planner, of the task's period.
#include "foreplan/planners/planner_horizon.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/planner.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

/// As read with a task of 0.01 s per step.
Config ConfigOf(const std::string& text) {
  Config config = Config::FromString(text, "test.toml");
  config.set_dt(0.01);
  return config;
}

Config Reread(const ConfigWriter& writer) { return ConfigOf(writer.text()); }

class HorizonSeconds : public ::testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] static int HorizonMade(Config& config, std::optional<int> horizon = {}) {
    return MakePlanner(GetParam(), config,
                       {std::make_shared<const DoubleIntegrator>(),
                        std::make_shared<const QuadraticReward>(), DoubleIntegratorSpec(2.0)},
                       horizon)
        ->horizon();
  }
};

INSTANTIATE_TEST_SUITE_P(Planners, HorizonSeconds, ::testing::ValuesIn(PlannerNames()));

TEST_P(HorizonSeconds, AreTheNearestNumberOfStepsOfTheTasksPeriod) {
  Config config = ConfigOf("planner.horizon_seconds = 0.076");
  EXPECT_EQ(HorizonMade(config), 8);
  EXPECT_EQ(PlannerHorizon(GetParam(), config), 8);
  EXPECT_EQ(HorizonMade(config, 5), 5) << "of a program that asks for so many steps";
  config.ThrowOnUnknownKeys();
}

TEST_P(HorizonSeconds, GiveWayToALaterOwnHorizonAndReplaceAnEarlierOne) {
  const std::string own = "planner." + GetParam() + ".horizon";
  Config config = ConfigOf("planner.horizon_seconds = 0.08");
  config.Set(own + "=6");
  EXPECT_EQ(HorizonMade(config), 6);
  EXPECT_EQ(PlannerHorizon(GetParam(), config), 6);
  config.Set("planner.horizon_seconds=0.04");
  EXPECT_EQ(HorizonMade(config), 4);
}

TEST_P(HorizonSeconds, AreWrittenAsTheyWereSaid) {
  Config config = ConfigOf("planner.horizon_seconds = 0.08");
  ConfigWriter writer;
  WritePlannerOptions(GetParam(), config, writer);
  WritePlannerOptions(GetParam() == "icem" ? "cem" : "icem", config, writer);
  EXPECT_NE(writer.text().find("[planner]\nhorizon_seconds = 0.08"), std::string::npos)
      << writer.text();
  EXPECT_EQ(writer.text().find("\nhorizon ="), std::string::npos) << writer.text();
  Config reread = Reread(writer);  // of a text that says it once
  EXPECT_EQ(PlannerHorizon(GetParam(), reread), 8);
}

TEST(HorizonInSeconds, AreStepsOfEachPlannerInAFileWhereOneHasItsOwn) {
  Config config = ConfigOf("planner.horizon_seconds = 0.08");
  config.Set("planner.icem.horizon=6");
  ConfigWriter writer;
  for (const char* name : {"cem", "icem", "mppi"}) WritePlannerOptions(name, config, writer);
  Config reread = Reread(writer);
  EXPECT_EQ(PlannerHorizon("icem", reread), 6);
  EXPECT_EQ(PlannerHorizon("cem", reread), 8);
  EXPECT_EQ(PlannerHorizon("mppi", reread), 8);
}

TEST(HorizonInSeconds, AreAskedForOnceAndMakeSteps) {
  const auto message = [](const std::string& text, double dt = 0.01) {
    Config config = Config::FromString(text, "test.toml");
    config.set_dt(dt);
    return MessageOf([&] { PlannerHorizon("icem", config); });
  };
  EXPECT_EQ(
      message("planner.horizon_seconds = 1\nplanner.icem.horizon = 100"),
      "test.toml:1:9: planner.horizon_seconds: found it beside planner.icem.horizon, expected "
      "one of them");
  EXPECT_EQ(message("planner.horizon_seconds = 1\nplanner.cem.horizon = 100"), "");
  EXPECT_EQ(message("planner.horizon_seconds = 0.004"),
            "test.toml:1:9: planner.horizon_seconds: found 0.004 s, expected 1 ... 10000 steps of "
            "0.01 s");
  EXPECT_EQ(message("planner.horizon_seconds = 101"),
            "test.toml:1:9: planner.horizon_seconds: found 101 s, expected 1 ... 10000 steps of "
            "0.01 s");
  EXPECT_EQ(message("planner.horizon_seconds = 1", 0),
            "test.toml:1:9: planner.horizon_seconds: found a time, and no task whose period makes "
            "steps of it; expected planner.icem.horizon");
}

}  // namespace
}  // namespace foreplan
