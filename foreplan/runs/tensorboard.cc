#include "foreplan/runs/tensorboard.h"

#include <bit>
#include <cstdint>
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

std::string EventHead(int step) {
  std::string event;
  AppendTag(1, kFixed64, event);
  AppendLittleEndian(std::bit_cast<uint64_t>(0.0), 8, event);
  AppendTag(2, kVarint, event);
  AppendVarint(static_cast<uint64_t>(step), event);
  return event;
}

std::string ScalarEvent(int step, std::string_view name, double scalar) {
  std::string value;
  AppendText(1, name, value);
  AppendTag(2, kFixed32, value);
  AppendLittleEndian(std::bit_cast<uint32_t>(static_cast<float>(scalar)), 4, value);
  std::string summary;
  AppendText(1, value, summary);
  std::string event = EventHead(step);
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

}  // namespace

std::string TensorBoardEvents(const RunLog& log) {
  std::string file;
  std::string version = EventHead(0);
  AppendText(3, "brain.Event:2", version);
  AppendRecord(version, file);
  return file + TensorBoardEventsFrom(log, {});
}

std::string TensorBoardEventsFrom(const RunLog& log, RunLog::Position from) {
  std::string file;
  for (const EpisodeRow& row : log.EpisodesFrom(from)) {
    if (!IsWhole(row.end)) continue;
    AppendRecord(ScalarEvent(row.total_steps, "episode.return", row.episode_return), file);
  }
  for (const MetricRow& row : log.MetricsFrom(from)) {
    AppendRecord(ScalarEvent(row.total_steps, row.name, row.value), file);
  }
  return file;
}

}  // namespace foreplan
