#include "foreplan/data/unit.h"

#include <gtest/gtest.h>

#include <numbers>

namespace foreplan {
namespace {

TEST(Unit, ProductsAndPowersOfUnitsWithPrefixesAreUnderstood) {
  struct Case {
    const char* text;
    const char* same;
    double factor;  // of the second
  };
  for (const auto& [text, same, factor] :
       {Case{"mm", "m", 1e-3}, Case{"m/s^2", "m s^-2", 1}, Case{"m/s\xc2\xb2", "m/s/s", 1},
        Case{"m\xc2\xb7s\xe2\x81\xbb\xc2\xb9", "m/s", 1}, Case{"km/h", "m/s", 1 / 3.6},
        Case{"deg/s", "rad/s", std::numbers::pi / 180}, Case{"\xc2\xb0", "deg", 1},
        Case{"rpm", "rad s-1", std::numbers::pi / 30}, Case{"us", "s", 1e-6},
        Case{"\xc2\xb5s", "ns", 1e3}, Case{"min", "s", 60}, Case{"kg", "g", 1e3},
        Case{"N m", "Nm", 1}, Case{"mNm", "J", 1e-3}, Case{"N", "kg m / s^2", 1},
        Case{"kHz", "1/s", 1e3}, Case{"%", "-", 1e-2}}) {
    const auto a = ParseUnit(text);
    const auto b = ParseUnit(same);
    ASSERT_TRUE(a && b) << text;
    EXPECT_TRUE(a->Matches(*b)) << text;
    EXPECT_NEAR(a->factor / b->factor, factor, 1e-12 * factor) << text;
  }
  EXPECT_FALSE(ParseUnit("m")->Matches(*ParseUnit("rad")));
  EXPECT_FALSE(ParseUnit("m/s")->Matches(*ParseUnit("m s")));
}

TEST(Unit, OtherTextIsNone) {
  for (const char* text : {"", " ", "0", "1", "left", "hinge", "m//s", "m/", "/s", "m^", "m^x",
                           "foo/s", "m^99", "mps", "qpos", "s,"}) {
    EXPECT_FALSE(ParseUnit(text)) << text;
  }
}

}  // namespace
}  // namespace foreplan
