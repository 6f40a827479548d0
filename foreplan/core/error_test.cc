#include "foreplan/core/error.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace foreplan {
namespace {

TEST(NearestName, FindsTyposCasesAndParts) {
  const std::vector<std::string> known = {"cem", "icem",          "mppi",
                                          "dt",  "pets_cartpole", "half_cheetah_v5"};
  const struct {
    std::string name;
    std::string nearest;
  } cases[] = {
      {"icme", "icem"},
      {"imcep", "icem"},
      {"CEM", "cem"},
      {"mpi", "mppi"},
      {"cartpole", "pets_cartpole"},
      {"pets-cartpole", "pets_cartpole"},
      {"PetsCartpole", "pets_cartpole"},
      {"half_chetah_v4", "half_cheetah_v5"},
      {"cem", "cem"},
      {"lqr", ""},
      {"xy", ""},
      {"quadrotor", ""},
      {"", ""},
      {"c", ""},
  };
  for (const auto& [name, nearest] : cases) EXPECT_EQ(NearestName(name, known), nearest) << name;
  EXPECT_EQ(NearestName("cem", {}), "");
}

TEST(UnknownName, SaysWhereWhatAndWhatIsKnown) {
  const std::vector<std::string> known = {"cem", "icem"};
  EXPECT_STREQ(UnknownName("--planner", "planner", "icm", known).what(),
               "--planner: unknown planner 'icm' (did you mean 'icem'?); known: cem, icem");
  EXPECT_STREQ(UnknownName("--planner", "planner", "lqr", known).what(),
               "--planner: unknown planner 'lqr'; known: cem, icem");
}

}  // namespace
}  // namespace foreplan
