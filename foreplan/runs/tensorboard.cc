#include "foreplan/runs/tensorboard.h"

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace foreplan {
namespace {

// Wire types of protocol buffers.
enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr std::array<uint32_t, 256> CrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}

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

uint32_t Crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = CrcTable();
  uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFFU];
  return ~crc;
}

std::string TensorBoardEvents(const RunLog& log) {
  std::string file;
  std::string version = EventHead(0);
  AppendText(3, "brain.Event:2", version);
  AppendRecord(version, file);
  for (const EpisodeRow& row : log.episodes()) {
    if (!IsWhole(row.end)) continue;
    AppendRecord(ScalarEvent(row.total_steps, "episode.return", row.episode_return), file);
  }
  for (const MetricRow& row : log.metrics()) {
    AppendRecord(ScalarEvent(row.total_steps, row.name, row.value), file);
  }
  return file;
}

}  // namespace foreplan
