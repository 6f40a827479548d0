#include "foreplan/data/zip_writer.h"

#include <fmt/format.h>
#include <zlib.h>

#include <limits>
#include <type_traits>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

/// Little-endian.
template <typename Number>
void Put(std::string& bytes, Number value) {
  static_assert(std::is_unsigned_v<Number>);
  for (size_t i = 0; i < sizeof(Number); ++i) {
    bytes += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff);
  }
}

constexpr uint32_t kFile = 0x04034b50;
constexpr uint32_t kEntry = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint16_t kVersion = 20;
constexpr uint16_t kUtf8 = 1U << 11;
constexpr uint16_t kNotPacked = 0;
constexpr uint16_t kMidnight = 0;
constexpr uint16_t kFirstDay = (1U << 5) | 1U;  // of 1980, where times of zip begin

/// What local header and directory share.
std::string Description(std::string_view name, std::string_view bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  std::string text;
  Put<uint16_t>(text, kVersion);
  Put<uint16_t>(text, kUtf8);
  Put<uint16_t>(text, kNotPacked);
  Put<uint16_t>(text, kMidnight);
  Put<uint16_t>(text, kFirstDay);
  Put<uint32_t>(text, static_cast<uint32_t>(
                          crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size())));
  Put<uint32_t>(text, size);  // packed
  Put<uint32_t>(text, size);
  Put<uint16_t>(text, static_cast<uint16_t>(name.size()));
  Put<uint16_t>(text, 0);  // no extra field
  return text;
}

}  // namespace

void ZipWriter::Add(std::string_view name, std::string_view bytes) {
  constexpr size_t kRoom = 1 << 20;  // for headers and the directory
  if (archive_.size() + bytes.size() > std::numeric_limits<uint32_t>::max() - kRoom) {
    throw InputError(fmt::format(
        "{}: found an archive of more than 4 GB, expected fewer rows, or a table (csv)", name));
  }
  const std::string description = Description(name, bytes);
  const auto begin = static_cast<uint32_t>(archive_.size());
  Put(archive_, kFile);
  archive_.append(description).append(name).append(bytes);
  Put(directory_, kEntry);
  Put<uint16_t>(directory_, kVersion);  // made by
  directory_ += description;
  Put<uint16_t>(directory_, 0);  // no comment
  Put<uint16_t>(directory_, 0);  // disk
  Put<uint16_t>(directory_, 0);  // internal attributes
  Put<uint32_t>(directory_, 0);  // external ones
  Put<uint32_t>(directory_, begin);
  directory_ += name;
  ++files_;
}

std::string ZipWriter::Finish() && {
  const auto begin = static_cast<uint32_t>(archive_.size());
  archive_ += directory_;
  Put(archive_, kEnd);
  Put<uint16_t>(archive_, 0);  // disk
  Put<uint16_t>(archive_, 0);
  Put(archive_, files_);
  Put(archive_, files_);
  Put(archive_, static_cast<uint32_t>(directory_.size()));
  Put(archive_, begin);
  Put<uint16_t>(archive_, 0);  // no comment
  return std::move(archive_);
}

}  // namespace foreplan
