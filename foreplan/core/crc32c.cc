#include "foreplan/core/crc32c.h"

#include <array>

namespace foreplan {
namespace {

constexpr std::array<uint32_t, 256> CrcTable() {
  constexpr uint32_t kPolynomial = 0x82F63B78U;  // bits in reverse
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0U);
    table[byte] = crc;
  }
  return table;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
  static constexpr std::array<uint32_t, 256> kTable = CrcTable();
  uint32_t crc = ~before;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFFU];
  return ~crc;
}

}  // namespace foreplan
