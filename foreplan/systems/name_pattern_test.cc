#include "foreplan/systems/name_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace foreplan {
namespace {

TEST(NamePattern, AStarStandsForAnyCharactersAlsoNone) {
  for (const char* pattern : {"*", "left_*", "*_knee", "left_knee", "*e*k*", "left*knee",
                              "*left_knee*", "l*t_k*e", "**left**"}) {
    EXPECT_TRUE(MatchesPattern(pattern, "left_knee")) << pattern;
  }
  for (const char* pattern : {"", "left", "knee", "*left", "knee*", "l*x*e", "*k*e*l*",
                              "left_knee_*", "left_kneeknee", "left*left_knee"}) {
    EXPECT_FALSE(MatchesPattern(pattern, "left_knee")) << pattern;
  }
  EXPECT_TRUE(MatchesPattern("", ""));
  EXPECT_TRUE(MatchesPattern("*", ""));
  EXPECT_TRUE(MatchesPattern("a*ab", "aab"));
  EXPECT_FALSE(MatchesPattern("ab*b", "ab"));  // what stands for two may not be one
  EXPECT_FALSE(MatchesPattern("*ab*b", "ab"));
}

TEST(NamePattern, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesPattern(pattern + "b", std::string(2000, 'a')));  // 2^1000 ways
}

}  // namespace
}  // namespace foreplan
