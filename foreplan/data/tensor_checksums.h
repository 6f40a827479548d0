// What a tensor file says of its own bytes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace foreplan {

/// Key of a tensor file's metadata: CRC-32C of the header without this key, as
/// nlohmann::json::dump() spells it, then of every tensor's bytes in the order of the data, each of
/// eight hexadecimal digits, with a blank between them.
inline constexpr std::string_view kChecksumsKey = "crc32c";

/// One tensor's name and bytes in the file.
struct TensorBytes {
  std::string_view name;
  std::string_view bytes;
};

/// What stands under that key of a file with this header, which has no such key.
[[nodiscard]] std::string ChecksumsOf(const nlohmann::json& header,
                                      std::span<const TensorBytes> tensors);
/// Throws InputError naming the file and the first tensor that is not the one that was written.
/// `expected`: what the file says; `header` as above.
void CheckChecksums(const std::string& file, std::string_view expected,
                    const nlohmann::json& header, std::span<const TensorBytes> tensors);

}  // namespace foreplan
