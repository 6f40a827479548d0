// NPZ: a zip archive of NPY files, each a short text that describes an array, and its numbers
// (NumPy enhancement proposal 1).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/data/array_names.h"
#include "foreplan/data/named_array.h"

#ifdef FOREPLAN_HAVE_LIBZIP
#include <zip.h>

#include <memory>

namespace foreplan {
namespace {

struct NpyHeader {
  char kind = 'f';  // f, i, u, b
  int bytes = 8;    // of one number
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t numbers = 1;
  size_t begin = 0;  // of the numbers in the file
};

class NpyParser {
 public:
  NpyParser(std::string where, std::string_view bytes) : where_(std::move(where)), bytes_(bytes) {}

  NpyHeader Header();
  [[nodiscard]] bool HoldsNumbers();
  NamedArray Array(const std::string& name);

 private:
  [[nodiscard]] InputError Wrong(std::string_view found, std::string_view expected) const {
    return InputError(fmt::format("{}: found {}, expected {}", where_, found, expected));
  }
  [[nodiscard]] std::string_view Value(std::string_view dictionary, std::string_view key) const;
  void ReadType(std::string_view text, NpyHeader& header) const;
  void ReadShape(std::string_view text, NpyHeader& header) const;

  std::string where_;
  std::string_view bytes_;
};

/// What follows 'key': in the Python dictionary of an NPY header.
std::string_view NpyParser::Value(std::string_view dictionary, std::string_view key) const {
  const std::string quoted = fmt::format("'{}':", key);
  const size_t at = dictionary.find(quoted);
  if (at == std::string_view::npos) throw Wrong("no " + quoted, "it in the array's header");
  std::string_view value = dictionary.substr(at + quoted.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

void NpyParser::ReadType(std::string_view text, NpyHeader& header) const {
  // "'<f8', ..."
  const size_t close = text.starts_with('\'') ? text.find('\'', 1) : std::string_view::npos;
  if (close == std::string_view::npos) throw Wrong("an array of records", "an array of numbers");
  const std::string_view type = text.substr(1, close - 1);
  const std::string_view order = "<>|=";
  const bool known = type.size() == 3 && order.find(type[0]) != std::string_view::npos &&
                     std::string_view("fiub").find(type[1]) != std::string_view::npos &&
                     std::string_view("1248").find(type[2]) != std::string_view::npos &&
                     !(type[1] == 'f' && type[2] < '4') && !(type[1] == 'b' && type[2] != '1');
  if (!known) {
    throw Wrong(fmt::format("elements of type '{}'", type.substr(0, 20)),
                "floats of 4 or 8 bytes, integers or booleans");
  }
  header.big_endian = type[0] == '>';
  header.kind = type[1];
  header.bytes = type[2] - '0';
}

void NpyParser::ReadShape(std::string_view text, NpyHeader& header) const {
  // "(3, 4), ..."
  const size_t close = text.starts_with('(') ? text.find(')') : std::string_view::npos;
  if (close == std::string_view::npos) throw Wrong("no tuple", "the array's shape");
  std::string_view list = text.substr(1, close - 1);
  while (!list.empty()) {
    int64_t size = 0;
    const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), size);
    if (error != std::errc() || size < 0) throw Wrong("no size", "one in the array's shape");
    header.shape.push_back(size);
    list.remove_prefix(static_cast<size_t>(end - list.data()));
    while (!list.empty() && (list.front() == ',' || list.front() == ' ')) list.remove_prefix(1);
  }
}

NpyHeader NpyParser::Header() {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (!bytes_.starts_with(kMagic) || bytes_.size() < 12) {
    throw Wrong("no array of NumPy", "one, whole");
  }
  const auto byte = [this](size_t i) {
    return static_cast<size_t>(static_cast<uint8_t>(bytes_[i]));
  };
  const size_t major = byte(6);
  if (major < 1 || major > 3) throw Wrong(fmt::format("format {}", major), "1, 2 or 3");
  const size_t start = major == 1 ? 10 : 12;
  size_t length = byte(8) | byte(9) << 8;
  if (major > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes_.size() - start) throw Wrong("a header that is cut off", "a whole one");
  const std::string_view dictionary = bytes_.substr(start, length);

  NpyHeader header;
  header.begin = start + length;
  ReadType(Value(dictionary, "descr"), header);
  header.fortran_order = Value(dictionary, "fortran_order").starts_with("True");
  ReadShape(Value(dictionary, "shape"), header);
  if (header.shape.empty()) header.shape.push_back(1);
  const size_t available = (bytes_.size() - header.begin) / static_cast<size_t>(header.bytes);
  if (std::ranges::find(header.shape, 0) != header.shape.end()) header.numbers = 0;
  for (const int64_t size : header.shape) {
    const auto count = static_cast<size_t>(size);
    if (count > 0 && header.numbers > available / count) {
      throw Wrong(fmt::format("{} bytes of numbers", bytes_.size() - header.begin),
                  "as many as the array's shape needs");
    }
    header.numbers *= count;
  }
  return header;
}

bool NpyParser::HoldsNumbers() {
  try {
    Header();
    return true;
  } catch (const InputError&) {
    return false;
  }
}

template <typename T>
double As(std::array<char, 8> raw) {
  T value;
  std::memcpy(&value, raw.data(), sizeof value);
  return static_cast<double>(value);
}

double Decode(const NpyHeader& header, const char* bytes) {
  std::array<char, 8> raw{};
  const auto count = static_cast<size_t>(header.bytes);
  for (size_t i = 0; i < count; ++i) raw[header.big_endian ? count - 1 - i : i] = bytes[i];
  if (header.kind == 'f') return header.bytes == 4 ? As<float>(raw) : As<double>(raw);
  const bool is_signed = header.kind == 'i';
  switch (header.bytes) {
    case 1:
      return is_signed ? As<int8_t>(raw) : As<uint8_t>(raw);
    case 2:
      return is_signed ? As<int16_t>(raw) : As<uint16_t>(raw);
    case 4:
      return is_signed ? As<int32_t>(raw) : As<uint32_t>(raw);
    default:
      return is_signed ? As<int64_t>(raw) : As<uint64_t>(raw);
  }
}

NamedArray NpyParser::Array(const std::string& name) {
  static_assert(std::endian::native == std::endian::little);
  const NpyHeader header = Header();
  NamedArray array{name, header.shape, std::vector<double>(header.numbers)};
  const size_t dimensions = header.shape.size();
  std::vector<int64_t> index(dimensions, 0);
  for (size_t i = 0; i < header.numbers; ++i) {
    size_t place = i;
    if (header.fortran_order) {
      place = 0;
      for (size_t d = 0; d < dimensions; ++d) {
        place = place * static_cast<size_t>(header.shape[d]) + static_cast<size_t>(index[d]);
      }
      for (size_t d = 0; d < dimensions && ++index[d] == header.shape[d]; ++d) index[d] = 0;
    }
    array.values[place] =
        Decode(header, bytes_.data() + header.begin + i * static_cast<size_t>(header.bytes));
  }
  return array;
}

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct ZipEntryCloser {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

std::string ReadEntry(const std::string& where, zip_t* archive, zip_uint64_t index) {
  zip_stat_t stat;
  const std::unique_ptr<zip_file_t, ZipEntryCloser> entry(zip_fopen_index(archive, index, 0));
  if (!entry || zip_stat_index(archive, index, 0, &stat) != 0) {
    throw InputError(fmt::format("{}: cannot be opened: {}", where, zip_strerror(archive)));
  }
  std::string bytes;
  std::vector<char> block(size_t{1} << 20);
  for (;;) {
    const zip_int64_t count = zip_fread(entry.get(), block.data(), block.size());
    if (count < 0) {
      throw InputError(fmt::format("{}: cannot be unpacked: {}; expected an undamaged file", where,
                                   zip_file_strerror(entry.get())));
    }
    if (count == 0) return bytes;
    CheckMemory(where, 10.0 * static_cast<double>(bytes.size()));  // as bytes, as double, in use
    bytes.append(block.data(), static_cast<size_t>(count));
  }
}

}  // namespace

std::vector<NamedArray> ReadNpz(const std::filesystem::path& file,
                                const std::vector<std::string>& others) {
  int code = 0;
  const std::unique_ptr<zip_t, ZipCloser> archive(
      zip_open(file.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string cause = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw InputError(
        fmt::format("{}: found no whole NPZ file ({}), expected one", file.string(), cause));
  }
  std::vector<NamedArray> arrays;
  const zip_int64_t entries = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < entries; ++i) {
    const char* raw = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    std::string name = raw != nullptr ? raw : "";
    if (!name.ends_with(".npy")) continue;
    name.resize(name.size() - 4);
    if (!HoldsTransitions(name, others)) continue;
    const std::string where = fmt::format("{}: {}", file.string(), name);
    const std::string bytes = ReadEntry(where, archive.get(), static_cast<zip_uint64_t>(i));
    NpyParser parser(where, bytes);
    if (IsOneOf(kTimeArrayNames, name) && !parser.HoldsNumbers()) continue;
    arrays.push_back(parser.Array(name));
  }
  return arrays;
}

}  // namespace foreplan

#else

namespace foreplan {

std::vector<NamedArray> ReadNpz(const std::filesystem::path& file,
                                const std::vector<std::string>& /*others*/) {
  throw InputError(fmt::format(
      "{}: found an NPZ file, but this build of foreplan has no libzip to read it; expected CSV",
      file.string()));
}

}  // namespace foreplan

#endif
