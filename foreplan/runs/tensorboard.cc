#include "foreplan/runs/tensorboard.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "foreplan/core/crc32c.h"
#include "foreplan/data/protobuf.h"

namespace foreplan {
namespace {

ProtobufMessage EventHead(int step, double wall_time) {
  ProtobufMessage event;
  event.Double(1, wall_time).Varint(2, step);
  return event;
}

std::string ScalarEvent(int step, double wall_time, std::string_view name, double scalar) {
  ProtobufMessage value;
  value.Bytes(1, name).Float(2, static_cast<float>(scalar));
  ProtobufMessage summary;
  summary.Message(1, value);
  return EventHead(step, wall_time).Message(5, summary).bytes();
}

/// "fit.loss" -> "losses/loss", "planning.seconds" -> "planning/seconds"
std::string TagOf(std::string name) {
  constexpr std::string_view kFit = "fit.";
  if (name.starts_with(kFit)) return "losses/" + name.substr(kFit.size());
  if (const size_t dot = name.find('.'); dot != std::string::npos) name[dot] = '/';
  return name;
}

uint32_t MaskedCrc(std::string_view bytes) { return std::rotr(Crc32c(bytes), 15) + 0xA282EAD8U; }

void AppendRecord(std::string_view event, std::string& file) {
  std::string length;
  AppendLittleEndian(event.size(), 8, length);
  file += length;
  AppendLittleEndian(MaskedCrc(length), 4, file);
  file += event;
  AppendLittleEndian(MaskedCrc(event), 4, file);
}

/// Bytes of the record at the beginning of `bytes`; 0 when it is not whole.
size_t RecordSize(std::string_view bytes) {
  constexpr size_t kFrame = 8 + 4 + 4;  // length, two checksums
  if (bytes.size() < kFrame) return 0;
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  return length <= bytes.size() - kFrame ? length + kFrame : 0;
}

}  // namespace

std::string TensorBoardEvents(const RunLog& log, double wall_time) {
  std::string file;
  AppendRecord(EventHead(0, wall_time).Bytes(3, "brain.Event:2").bytes(), file);
  return file + TensorBoardEventsFrom(log, {}, wall_time);
}

std::string TensorBoardEventsFrom(const RunLog& log, RunLog::Position from, double wall_time) {
  std::string file;
  const auto add = [&](int step, std::string_view tag, double value) {
    AppendRecord(ScalarEvent(step, wall_time, tag, value), file);
  };
  for (const EpisodeRow& row : log.EpisodesFrom(from)) {
    if (!IsWhole(row.end)) continue;
    add(row.total_steps, "charts/episodic_return", row.episode_return);
    add(row.total_steps, "charts/episodic_length", row.steps);
  }
  for (const MetricRow& row : log.MetricsFrom(from)) {
    add(row.total_steps, TagOf(row.name), row.value);
  }
  return file;
}

std::string_view TensorBoardEventsOf(const RunLog& log, std::string_view file) {
  const auto whole =
      std::ranges::count_if(log.episodes(), [](const EpisodeRow& row) { return IsWhole(row.end); });
  size_t end = 0;
  for (auto records = 1 + 2 * whole + std::ssize(log.metrics()); records > 0; --records) {
    const size_t size = RecordSize(file.substr(end));
    if (size == 0) return "";
    end += size;
  }
  return file.substr(0, end);
}

}  // namespace foreplan
