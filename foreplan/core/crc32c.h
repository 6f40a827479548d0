// A checksum of bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foreplan {

/// CRC-32C (Castagnoli) of what gave `before`, followed by these bytes; 0 for nothing before.
[[nodiscard]] uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);
/// As it stands in files: eight hexadecimal digits.
[[nodiscard]] std::string ChecksumText(uint32_t checksum);

}  // namespace foreplan
