#include "foreplan/core/crc32c.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace foreplan {
namespace {

static_assert(std::endian::native == std::endian::little, "slices are read as numbers");

constexpr size_t kSlice = 8;  // bytes that are taken at once

// kTables[0] is the table of a byte; kTables[i] what that byte gives when i more have followed it.
constexpr std::array<std::array<uint32_t, 256>, kSlice> CrcTables() {
  constexpr uint32_t kPolynomial = 0x82F63B78U;  // bits in reverse
  std::array<std::array<uint32_t, 256>, kSlice> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0U);
    tables[0][byte] = crc;
  }
  for (size_t i = 1; i < kSlice; ++i) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t crc = tables[i - 1][byte];
      tables[i][byte] = (crc >> 8) ^ tables[0][crc & 0xFFU];
    }
  }
  return tables;
}

constexpr std::array<std::array<uint32_t, 256>, kSlice> kTables = CrcTables();

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
  uint32_t crc = ~before;
  for (; bytes.size() >= kSlice; bytes.remove_prefix(kSlice)) {
    uint64_t slice = 0;
    std::memcpy(&slice, bytes.data(), kSlice);
    slice ^= crc;
    crc = 0;
    for (size_t i = 0; i < kSlice; ++i) {
      crc ^= kTables[kSlice - 1 - i][(slice >> (8 * i)) & 0xFFU];
    }
  }
  for (const char c : bytes) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint8_t>(c)) & 0xFFU];
  return ~crc;
}

std::string ChecksumText(uint32_t checksum) { return fmt::format("{:08x}", checksum); }

}  // namespace foreplan
