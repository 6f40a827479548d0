#include "foreplan/runs/tensorboard.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/crc32c.h"
#include "foreplan/data/testing/protobuf_fields.h"

namespace foreplan {
namespace {

using std::string_literals::operator""s;

constexpr double kTime = 2.0;  // [s since 1970]

// Bytes laid out by hand from the definitions of TFRecord and Event.
TEST(TensorBoard, WritesRecordsOfEvents) {
  RunLog log;
  log.AddMetric(1, 300, "a", 1.5);
  const std::string file = TensorBoardEvents(log, kTime);
  const std::string head = "\x09"s + std::string(7, '\0') + "\x40";  // wall time
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
  for (const EpisodeEnd end : {EpisodeEnd::kLength, EpisodeEnd::kTerminated, EpisodeEnd::kCutOff,
                               EpisodeEnd::kDiverged, EpisodeEnd::kFailed}) {
    RunLog log;
    EpisodeRow row;
    row.episode_return = -3;
    row.end = end;
    log.AddEpisode(row);
    EXPECT_EQ(TensorBoardEvents(log, kTime).find("charts/episodic_return") != std::string::npos,
              IsWhole(end))
        << NameOf(end);
  }
}

/// Tags of the scalars of a file, in order.
std::vector<std::string> TagsOf(std::string_view file) {
  std::vector<std::string> tags;
  while (!file.empty()) {
    const ProtobufFields length(std::string(1, '\x09') + std::string(file.substr(0, 8)));
    const auto size = static_cast<size_t>(length.Number(1));
    const ProtobufFields event(file.substr(12, size));
    const ProtobufFields value(ProtobufFields(event.Text(5)).Text(1));
    if (event.texts.contains(5)) tags.push_back(value.Text(1));
    file.remove_prefix(12 + size + 4);
  }
  return tags;
}

TEST(TensorBoard, NamesThingsAsDashboardsDo) {
  RunLog log;
  EpisodeRow row;
  row.steps = 20;
  row.total_steps = 40;
  log.AddEpisode(row);
  log.AddMetric(2, 40, "fit.holdout_rmse", 0.5);
  log.AddMetric(2, 40, "policy.gradient_norm", 0.5);
  log.AddMetric(2, 40, "plain", 0.5);
  EXPECT_EQ(TagsOf(TensorBoardEventsFrom(log, {}, kTime)),
            (std::vector<std::string>{"charts/episodic_return", "charts/episodic_length",
                                      "losses/holdout_rmse", "policy/gradient_norm", "plain"}));
}

TEST(TensorBoard, FindsWhereTheEventsOfALogEnd) {
  RunLog log;
  EpisodeRow row;
  row.episode_return = -3;
  log.AddEpisode(row);
  row.end = EpisodeEnd::kDiverged;
  log.AddEpisode(row);
  log.AddMetric(1, 10, "fit.loss", 0.25);
  const std::string file = TensorBoardEvents(log, kTime);
  RunLog more = log;
  more.AddMetric(2, 20, "fit.loss", 0.125);
  const std::string longer = file + TensorBoardEventsFrom(more, log.end(), 2 * kTime);
  EXPECT_EQ(TensorBoardEventsOf(log, longer), file);
  EXPECT_EQ(TensorBoardEventsOf(more, longer), longer);
  EXPECT_EQ(TensorBoardEventsOf(more, file), "") << "fewer than the log has";
  EXPECT_EQ(TensorBoardEventsOf(log, std::string_view(file).substr(0, file.size() - 1)), "");
  EXPECT_EQ(TensorBoardEventsOf(log, std::string(60, '\xff')), "");
}

TEST(TensorBoard, WhatIsAppendedIsWhatIsNewAndHasNoHeader) {
  RunLog log;
  log.AddMetric(1, 10, "fit.loss", 0.25);
  const RunLog::Position position = log.end();
  EpisodeRow row;
  row.total_steps = 10;
  row.episode_return = -3;
  log.AddEpisode(row);
  log.AddMetric(2, 20, "fit.loss", 0.125);
  RunLog fresh;
  fresh.AddEpisode(row);
  fresh.AddMetric(2, 20, "fit.loss", 0.125);
  const size_t header = TensorBoardEvents(RunLog(), kTime).size();
  EXPECT_GT(header, 0U);
  EXPECT_EQ(TensorBoardEventsFrom(log, position, kTime),
            TensorBoardEvents(fresh, kTime).substr(header));
  EXPECT_EQ(TensorBoardEventsFrom(log, log.end(), kTime), "");
}

// Readers check both checksums of a record: length, its masked CRC-32C, data, theirs.
TEST(TensorBoard, RecordsCarryMaskedChecksums) {
  RunLog log;
  log.AddMetric(1, 300, "a", 1.5);
  const std::string file = TensorBoardEvents(log, kTime);
  const auto number = [&](size_t at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) {
      value = value << 8 | static_cast<uint8_t>(file.at(at + static_cast<size_t>(i)));
    }
    return value;
  };
  // masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8, from the definition of TFRecord.
  const auto masked = [](std::string_view bytes) {
    const uint32_t crc = Crc32c(bytes);
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
  };
  int records = 0;
  for (size_t at = 0; at < file.size(); ++records) {
    const size_t size = number(at, 8);
    EXPECT_EQ(number(at + 8, 4), masked(std::string_view(file).substr(at, 8)));
    EXPECT_EQ(number(at + 12 + size, 4), masked(std::string_view(file).substr(at + 12, size)));
    at += 12 + size + 4;
  }
  EXPECT_EQ(records, 2);
}

}  // namespace
}  // namespace foreplan
