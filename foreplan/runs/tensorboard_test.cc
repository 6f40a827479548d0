#include "foreplan/runs/tensorboard.h"

#include <gtest/gtest.h>

#include <string>

namespace foreplan {
namespace {

using std::string_literals::operator""s;

TEST(TensorBoard, ChecksumIsCrc32c) {
  // The check value of the algorithm, and RFC 3720, appendix B.4: 32 bytes of zeros.
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAU);
}

// Bytes laid out by hand from the definitions of TFRecord and Event.
TEST(TensorBoard, WritesRecordsOfEvents) {
  RunLog log;
  log.AddMetric(1, 300, "a", 1.5);
  const std::string file = TensorBoardEvents(log);
  const std::string head = "\x09"s + std::string(8, '\0');
  const std::string version = head + "\x10\x00\x1a\x0d"s + "brain.Event:2";
  const std::string scalar = head + "\x10\xac\x02"s      // step 300
                             + "\x2a\x0a\x0a\x08"s       // summary, value
                             + "\x0a\x01"s + "a"         // tag
                             + "\x15\x00\x00\xc0\x3f"s;  // 1.5
  const auto framed = [](const std::string& data) { return 8 + 4 + data.size() + 4; };
  ASSERT_EQ(file.size(), framed(version) + framed(scalar));
  EXPECT_EQ(file.substr(0, 8),
            std::string(1, static_cast<char>(version.size())) + "\0\0\0\0\0\0\0"s);
  EXPECT_EQ(file.substr(12, version.size()), version);
  EXPECT_EQ(file.substr(framed(version) + 12, scalar.size()), scalar);
}

TEST(TensorBoard, ShowsReturnsOfWholeEpisodesOnly) {
  for (const EpisodeEnd end :
       {EpisodeEnd::kLength, EpisodeEnd::kTerminated, EpisodeEnd::kCutOff, EpisodeEnd::kDiverged}) {
    RunLog log;
    EpisodeRow row;
    row.episode_return = -3;
    row.end = end;
    log.AddEpisode(row);
    EXPECT_EQ(TensorBoardEvents(log).find("episode.return") != std::string::npos, IsWhole(end))
        << NameOf(end);
  }
}

TEST(TensorBoard, EqualLogsGiveEqualBytes) {
  RunLog log;
  EpisodeRow row;
  row.episode_return = -3;
  log.AddEpisode(row);
  log.AddMetric(1, 10, "fit.loss", 0.25);
  EXPECT_EQ(TensorBoardEvents(log), TensorBoardEvents(log));
}

}  // namespace
}  // namespace foreplan
