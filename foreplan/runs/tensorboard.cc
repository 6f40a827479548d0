#include "foreplan/runs/tensorboard.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "foreplan/core/crc32c.h"

namespace foreplan {
namespace {

// Wire types of protocol buffers.
enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void AppendLittleEndian(uint64_t value, int bytes, std::string& to) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFFU);
}

void AppendVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>((value & 0x7FU) | 0x80U);
  to += static_cast<char>(value);
}

void AppendTag(int field, Wire wire, std::string& to) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | wire, to);
}

void AppendText(int field, std::string_view text, std::string& to) {
  AppendTag(field, kBytes, to);
  AppendVarint(text.size(), to);
  to += text;
}

std::string EventHead(int step, double wall_time) {
  std::string event;
  AppendTag(1, kFixed64, event);
  AppendLittleEndian(std::bit_cast<uint64_t>(wall_time), 8, event);
  AppendTag(2, kVarint, event);
  AppendVarint(static_cast<uint64_t>(step), event);
  return event;
}

std::string ScalarEvent(int step, double wall_time, std::string_view name, double scalar) {
  std::string value;
  AppendText(1, name, value);
  AppendTag(2, kFixed32, value);
  AppendLittleEndian(std::bit_cast<uint32_t>(static_cast<float>(scalar)), 4, value);
  std::string summary;
  AppendText(1, value, summary);
  std::string event = EventHead(step, wall_time);
  AppendText(5, summary, event);
  return event;
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
  std::string version = EventHead(0, wall_time);
  AppendText(3, "brain.Event:2", version);
  AppendRecord(version, file);
  return file + TensorBoardEventsFrom(log, {}, wall_time);
}

std::string TensorBoardEventsFrom(const RunLog& log, RunLog::Position from, double wall_time) {
  std::string file;
  for (const EpisodeRow& row : log.EpisodesFrom(from)) {
    if (!IsWhole(row.end)) continue;
    AppendRecord(ScalarEvent(row.total_steps, wall_time, "episode.return", row.episode_return),
                 file);
  }
  for (const MetricRow& row : log.MetricsFrom(from)) {
    AppendRecord(ScalarEvent(row.total_steps, wall_time, row.name, row.value), file);
  }
  return file;
}

std::string_view TensorBoardEventsOf(const RunLog& log, std::string_view file) {
  const auto whole =
      std::ranges::count_if(log.episodes(), [](const EpisodeRow& row) { return IsWhole(row.end); });
  size_t end = 0;
  for (auto records = 1 + whole + std::ssize(log.metrics()); records > 0; --records) {
    const size_t size = RecordSize(file.substr(end));
    if (size == 0) return "";
    end += size;
  }
  return file.substr(0, end);
}

}  // namespace foreplan
