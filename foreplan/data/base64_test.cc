#include "foreplan/data/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace foreplan {
namespace {

// The test vectors of RFC 4648, section 10, and bytes whose letters are the last ones.
TEST(Base64, IsThatOfTheStandard) {
  EXPECT_EQ(Base64Of(""), "");
  EXPECT_EQ(Base64Of("f"), "Zg==");
  EXPECT_EQ(Base64Of("fo"), "Zm8=");
  EXPECT_EQ(Base64Of("foo"), "Zm9v");
  EXPECT_EQ(Base64Of("foob"), "Zm9vYg==");
  EXPECT_EQ(Base64Of("fooba"), "Zm9vYmE=");
  EXPECT_EQ(Base64Of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64Of(std::string("\xff\xfe\xfb\0", 4)), "//77AA==");
}

}  // namespace
}  // namespace foreplan
