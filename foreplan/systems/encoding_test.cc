#include "foreplan/systems/encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

SystemSpec CartSpec() {
  SystemSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"x_velocity", "m/s"}, {"tip", "m"}, {"tip_rate", "m/s"}};
  spec.state = spec.observation;
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

Encoding Read(const std::string& toml) {
  Config config = Config::FromString(toml, "test");
  return ReadEncoding(config, CartSpec(), ExpressionDefinitions::Read(config));
}

std::string ErrorOf(const std::string& toml) {
  try {
    (void)Read(toml);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Encoding, PatternsIntegrateWhatHasARate) {
  EXPECT_EQ(Read("encoding.integrate = ['*']").integrate, (std::vector<std::string>{"x", "tip"}));
}

TEST(Encoding, CountsTheNumbersOfItsExpressions) {
  const Encoding encoding = Read(
      "[encoding]\ninputs = ['previous * previous', 'next_to * force']\n"
      "[quantities]\nnext_to = 'x - tip'");
  EXPECT_EQ(encoding.inputs->count(), 5);
  EXPECT_EQ(Read("").inputs, nullptr);
}

TEST(Encoding, WrongTextsAreErrorsThatPointToThem) {
  const auto expect = [](const std::string& toml, const std::string& message) {
    const std::string found = ErrorOf(toml);
    EXPECT_NE(found.find(message), std::string::npos) << found;
  };
  expect("encoding.integrate = ['force']", "unknown observation component 'force'");
  expect("encoding.integrate = ['x_velocity']",
         "encoding.integrate: found 'x_velocity', expected a component whose rate is observed");
  expect("encoding.integrate = ['*_rate']", "found '*_rate', expected a pattern that matches");
  expect("[encoding]\nintegrate = ['x']\nabsolute = ['x']",
         "found 'x' in integrate and in absolute");
  expect("encoding.inputs = ['x', 'tipp']",
         "inputs[1]: column 1: unknown name 'tipp' (did you mean 'tip'?)");
  expect("encoding.inputs = ['next.x - x']", "found the next observation ('x')");
  expect("encoding.inputs = ['x > 0']", "found a condition, expected numbers");
}

TEST(Encoding, NumbersThatAreNotFiniteWhereEpisodesStartAreAnError) {
  try {
    (void)Task::Load("pilco_cartpole",
                     std::vector<std::string>{"encoding.inputs=['1 / (hinge - hinge)']"});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what())
                  .find("inputs[0]: column 3: found a division by zero at the start of an episode, "
                        "at previous.hinge"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace foreplan
