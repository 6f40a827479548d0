#include "foreplan/core/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace foreplan {
namespace {

TEST(Crc32c, MatchesPublishedValues) {
  // The check value of the algorithm, and RFC 3720, appendix B.4: 32 bytes of zeros.
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(""), 0U);
}

TEST(Crc32c, GoesOnFromWhatCameBefore) {
  const std::string text = "123456789";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), 0xE3069283U) << cut;
  }
}

}  // namespace
}  // namespace foreplan
