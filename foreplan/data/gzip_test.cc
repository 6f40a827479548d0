#include "foreplan/data/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

constexpr size_t kNoLimit = size_t{1} << 30;

/// Bytes that cannot be packed.
std::string Noise(size_t count) {
  Random random(Key{1, 2});
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(random.Below(256)));
  return bytes;
}

std::string Refusal(const std::string& stream, size_t most = kNoLimit) {
  return MessageOf([&] { static_cast<void>(Gunzip(stream, most, "x.gz")); });
}

TEST(Gzip, GivesBackWhatItPacked) {
  // Also more than one block of input, of output, and exactly one.
  const std::string repeated(3'000'000, 'x');
  for (const std::string& bytes :
       {std::string(), std::string("a"), Noise(1 << 18), Noise(1'000'000), repeated}) {
    const std::string stream = GzipOf(bytes);
    EXPECT_EQ(stream.substr(0, 3), "\x1f\x8b\x08");  // gzip, deflate: RFC 1952
    EXPECT_EQ(Gunzip(stream, kNoLimit, "x.gz"), bytes);
    EXPECT_EQ(GzipOf(bytes), stream);
  }
  EXPECT_LT(GzipOf(repeated).size(), 30'000U);
}

TEST(Gzip, RefusesAStreamThatIsCutOff) {
  const std::string stream = GzipOf(Noise(100));
  for (size_t size = 0; size < stream.size(); ++size) {
    EXPECT_THAT(Refusal(stream.substr(0, size)), HasSubstr("x.gz: found ")) << size;
  }
}

TEST(Gzip, RefusesADamagedStream) {
  const std::string stream = GzipOf(Noise(100));
  for (size_t i = 10; i < stream.size(); ++i) {  // the header's times and system have no checksum
    std::string damaged = stream;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x01);
    EXPECT_THAT(Refusal(damaged), HasSubstr("x.gz: found ")) << i;
  }
  EXPECT_THAT(Refusal("no gzip at all"), HasSubstr("no gzip stream"));
  EXPECT_THAT(Refusal(stream + "x"), HasSubstr("bytes behind"));
}

TEST(Gzip, UnpacksNoMoreThanIsAllowed) {
  std::string zeros;
  zeros.resize(50'000'000);
  const std::string bomb = GzipOf(zeros);
  EXPECT_LT(bomb.size(), 300'000U);
  EXPECT_EQ(Refusal(bomb, 1'000'000),
            "x.gz: found a gzip stream of more than 1000000 bytes, expected at most so many");
  EXPECT_EQ(Refusal(GzipOf(Noise(1000)), 1000), "");
  EXPECT_NE(Refusal(GzipOf(Noise(1001)), 1000), "");
}

}  // namespace
}  // namespace foreplan
