#include "foreplan/data/tensor_checksums.h"

#include <fmt/format.h>

#include <cstddef>
#include <nlohmann/json.hpp>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr size_t kDigits = 8;

void Check(const std::string& where, std::string_view found, std::string_view expected) {
  if (found == expected) return;
  throw InputError(
      fmt::format("{}: found checksum {}, expected {}: the file was changed after it "
                  "was written (without metadata '{}' it is read as it is)",
                  where, found, expected, kChecksumsKey));
}

}  // namespace

std::string ChecksumsOf(const nlohmann::json& header, std::span<const TensorBytes> tensors) {
  std::string checksums = ChecksumText(Crc32c(header.dump()));
  for (const TensorBytes& tensor : tensors) checksums += ' ' + ChecksumText(Crc32c(tensor.bytes));
  return checksums;
}

void CheckChecksums(const std::string& file, std::string_view expected,
                    const nlohmann::json& header, std::span<const TensorBytes> tensors) {
  const size_t size = kDigits + (kDigits + 1) * tensors.size();
  if (expected.size() != size) {
    throw InputError(fmt::format("{}: metadata '{}': found {} bytes, expected {}", file,
                                 kChecksumsKey, expected.size(), size));
  }
  const std::string found = ChecksumsOf(header, tensors);
  Check(fmt::format("{}: header", file), found.substr(0, kDigits), expected.substr(0, kDigits));
  for (size_t i = 0, at = kDigits + 1; i < tensors.size(); ++i, at += kDigits + 1) {
    Check(fmt::format("{}: tensor '{}'", file, tensors[i].name), found.substr(at, kDigits),
          expected.substr(at, kDigits));
  }
  Check(fmt::format("{}: metadata '{}'", file, kChecksumsKey), found, expected);  // the blanks
}

}  // namespace foreplan
