#include "foreplan/core/crc32c.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace foreplan {
namespace {

TEST(Crc32c, MatchesPublishedValues) {
  // The check value of the algorithm, and RFC 3720, appendix B.4: 32 bytes of zeros.
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(""), 0U);
}

// Bit by bit, beside what takes eight bytes at once: every length, every alignment.
TEST(Crc32c, IsTheDivisionOfThePolynomial) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += static_cast<char>(i * i * 37 + 11);
  for (size_t begin = 0; begin < 8; ++begin) {
    for (size_t size = 0; begin + size <= text.size(); ++size) {
      uint32_t crc = 0xFFFFFFFFU;
      for (size_t i = begin; i < begin + size; ++i) {
        crc ^= static_cast<uint8_t>(text[i]);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) * 0x82F63B78U);
      }
      EXPECT_EQ(Crc32c(text.substr(begin, size)), ~crc) << begin << ' ' << size;
    }
  }
}

TEST(Crc32c, GoesOnFromWhatCameBefore) {
  const std::string text = "123456789";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), 0xE3069283U) << cut;
  }
}

}  // namespace
}  // namespace foreplan
