#include "foreplan/data/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/tensor_checksums.h"

namespace foreplan {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are copied byte by byte");

constexpr size_t kLengthBytes = 8;            // of the header's own length
constexpr uint64_t kMaxHeader = 100'000'000;  // [bytes], the format's own limit
constexpr std::string_view kMetadata = "__metadata__";

struct Dtype {
  std::string_view name;
  size_t bytes;  // per element
};
constexpr std::array<Dtype, 4> kDtypes = {
    {{"F32", 4}, {"F64", 8}, {"I32", 4}, {"U8", 1}}};  // as in Tensor

const Dtype& DtypeOf(const Tensor& tensor) { return kDtypes[tensor.values.index()]; }

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  size_t dtype;  // index into kDtypes
  std::vector<int64_t> shape;
  uint64_t begin;  // [bytes] in the data
  uint64_t end;
};

/// JSON string; never breaks the line.
std::string Quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

InputError Malformed(const std::string& where, std::string_view found, std::string_view expected) {
  return InputError(fmt::format("{}: found {}, expected {}", where, found, expected));
}

/// Product of the sizes, nothing when one is negative or the product does not fit.
std::optional<uint64_t> ElementCount(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(size), &count)) {
      return std::nullopt;
    }
  }
  return count;
}

/// Parses the header, refusing what a DOM would hide (duplicate keys) or choke on (depth).
nlohmann::json ParseHeader(const std::string& file, std::string_view text) {
  constexpr int kMaxDepth = 2;  // { "name": { "shape": [ ] } }
  std::array<std::set<std::string>, kMaxDepth + 2> keys;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth > kMaxDepth) throw Malformed(file, "a deeply nested header", "a flat one");
      keys[static_cast<size_t>(depth) + 1].clear();
    } else if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys[static_cast<size_t>(depth)].insert(key).second) {
        throw Malformed(file, Quote(key) + " twice in the header", "each name once");
      }
    }
    return true;
  };
  try {
    nlohmann::json header = nlohmann::json::parse(text.begin(), text.end(), check);
    if (header.is_object() && text.front() == '{') return header;
  } catch (const nlohmann::json::parse_error& error) {
    throw Malformed(file, fmt::format("malformed JSON at byte {} of the header", error.byte),
                    "a JSON object");
  }
  throw Malformed(file, "a header that is no JSON object", "a safetensors file");
}

std::vector<uint64_t> ParseSizes(const std::string& where, const nlohmann::json& entry,
                                 const char* key) {
  const auto list = entry.find(key);
  std::vector<uint64_t> sizes;
  bool valid = list != entry.end() && list->is_array();
  if (valid) {
    for (const nlohmann::json& size : *list) {
      valid = valid && size.is_number_unsigned();
      if (valid) sizes.push_back(size.get<uint64_t>());
    }
  }
  if (!valid) {
    throw Malformed(where, list == entry.end() ? "nothing" : "a wrong value",
                    fmt::format("{}: an array of sizes", key));
  }
  return sizes;
}

size_t ParseDtype(const std::string& where, const nlohmann::json& entry) {
  const auto dtype = entry.find("dtype");
  const std::string name =
      dtype != entry.end() && dtype->is_string() ? dtype->get<std::string>() : "";
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return i;
  }
  throw Malformed(where, name.empty() ? "no dtype" : "dtype " + Quote(name),
                  "dtype F32, F64, I32 or U8");
}

Entry ParseEntry(const std::string& file, const std::string& name, const nlohmann::json& value) {
  const std::string where = fmt::format("{}: tensor {}", file, Quote(name));
  if (!value.is_object()) throw Malformed(where, "no JSON object", "dtype, shape, data_offsets");
  Entry entry{name, ParseDtype(where, value), {}, 0, 0};
  for (const uint64_t size : ParseSizes(where, value, "shape")) {
    entry.shape.push_back(static_cast<int64_t>(size));  // too large ones turn negative
  }
  const std::vector<uint64_t> offsets = ParseSizes(where, value, "data_offsets");
  if (value.size() != 3 || offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw Malformed(where, "a wrong entry", "dtype, shape and data_offsets [begin, end]");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  const std::optional<uint64_t> count = ElementCount(entry.shape);
  const uint64_t bytes = kDtypes[entry.dtype].bytes;
  if (!count || (entry.end - entry.begin) % bytes != 0 ||
      *count != (entry.end - entry.begin) / bytes) {
    throw Malformed(
        where, fmt::format("{} bytes of data", entry.end - entry.begin),
        fmt::format("as many as shape {} of {} needs", entry.shape, kDtypes[entry.dtype].name));
  }
  return entry;
}

/// Entries in the order of their data, which must follow each other without gaps to the end.
void SortAndCheckCover(const std::string& file, std::vector<Entry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position || entry.end > data_bytes) {
      throw Malformed(fmt::format("{}: tensor {}", file, Quote(entry.name)),
                      fmt::format("data_offsets [{}, {}]", entry.begin, entry.end),
                      fmt::format("them to start at {} and to end by {}", position, data_bytes));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    throw Malformed(file, fmt::format("{} bytes of data", data_bytes),
                    fmt::format("{} as the header says", position));
  }
}

template <typename T>
std::vector<T> CopyValues(std::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Tensor MakeTensor(Entry entry, std::string_view data) {
  const std::string_view bytes = data.substr(entry.begin, entry.end - entry.begin);
  Tensor tensor{std::move(entry.shape), {}};
  if (entry.dtype == 0) tensor.values = CopyValues<float>(bytes);
  if (entry.dtype == 1) tensor.values = CopyValues<double>(bytes);
  if (entry.dtype == 2) tensor.values = CopyValues<int32_t>(bytes);
  if (entry.dtype == 3) tensor.values = CopyValues<uint8_t>(bytes);
  return tensor;
}

std::map<std::string, std::string> ParseMetadata(const std::string& file,
                                                 const nlohmann::json& value) {
  std::map<std::string, std::string> metadata;
  bool valid = value.is_object();
  if (valid) {
    for (const auto& [key, text] : value.items()) {
      valid = valid && text.is_string();
      if (valid) metadata.emplace(key, text.get<std::string>());
    }
  }
  if (!valid) throw Malformed(file, "other things in __metadata__", "strings by name");
  return metadata;
}

/// Holds a file against its checksums, where it has some: other programs write none.
void TakeChecksums(const std::vector<Entry>& entries, std::string_view data, nlohmann::json& header,
                   TensorFile& file) {
  const auto found = file.metadata.find(std::string(kChecksumsKey));
  if (found == file.metadata.end()) return;
  header[kMetadata].erase(std::string(kChecksumsKey));
  if (header[kMetadata].empty()) header.erase(std::string(kMetadata));
  std::vector<TensorBytes> tensors;
  for (const Entry& entry : entries) {
    tensors.push_back({entry.name, data.substr(entry.begin, entry.end - entry.begin)});
  }
  CheckChecksums(file.source, found->second, header, tensors);
  file.metadata.erase(found);
}

std::string_view AsBytes(const Tensor& tensor) {
  return std::visit(
      [](const auto& values) {
        return std::string_view(reinterpret_cast<const char*>(values.data()),
                                values.size() * sizeof(values[0]));
      },
      tensor.values);
}

/// Names in the order of their data: wide elements first, so that every tensor is aligned.
std::vector<std::string> DataOrder(const TensorFile& tensors) {
  std::vector<std::string> names;
  names.reserve(tensors.tensors.size());
  for (const auto& [name, tensor] : tensors.tensors) names.push_back(name);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return DtypeOf(tensors.tensors.at(a)).bytes > DtypeOf(tensors.tensors.at(b)).bytes;
  });
  return names;
}

nlohmann::json MakeHeader(const std::string& file, const TensorFile& tensors,
                          const std::vector<std::string>& order) {
  nlohmann::json header = nlohmann::json::object();
  if (!tensors.metadata.empty()) header[kMetadata] = tensors.metadata;
  size_t position = 0;
  for (const std::string& name : order) {
    const Tensor& tensor = tensors.tensors.at(name);
    const size_t bytes = AsBytes(tensor).size();
    const std::optional<uint64_t> count = ElementCount(tensor.shape);
    if (name == kMetadata || !count || *count != bytes / DtypeOf(tensor).bytes) {
      throw Malformed(fmt::format("{}: tensor {}", file, Quote(name)),
                      fmt::format("{} values", bytes / DtypeOf(tensor).bytes),
                      fmt::format("shape {} of them and no reserved name", tensor.shape));
    }
    header[name] = {{"dtype", DtypeOf(tensor).name},
                    {"shape", tensor.shape},
                    {"data_offsets", {position, position + bytes}}};
    position += bytes;
  }
  return header;
}

std::string ShapeText(std::span<const int64_t> shape) {
  std::vector<std::string> sizes;
  for (const int64_t size : shape) sizes.push_back(size < 0 ? "any" : fmt::format("{}", size));
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

bool ShapeMatches(std::span<const int64_t> found, std::span<const int64_t> expected) {
  return std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                    [](int64_t size, int64_t wanted) { return wanted < 0 || size == wanted; });
}

template <typename T>
const std::vector<T>& Values(const TensorFile& file, const std::string& name,
                             std::span<const int64_t> shape, std::string_view dtype) {
  const std::string source = file.source.empty() ? "tensors" : file.source;
  const auto found = file.tensors.find(name);
  const std::string expected = fmt::format("{} {}", dtype, ShapeText(shape));
  if (found == file.tensors.end()) {
    throw Malformed(fmt::format("{}: tensor '{}'", source, name), "none of that name", expected);
  }
  const Tensor& tensor = found->second;
  const auto* values = std::get_if<std::vector<T>>(&tensor.values);
  if (values == nullptr || !ShapeMatches(tensor.shape, shape)) {
    throw Malformed(fmt::format("{}: tensor '{}'", source, name),
                    fmt::format("{} {}", DtypeOf(tensor).name, ShapeText(tensor.shape)), expected);
  }
  return *values;
}

}  // namespace

const std::vector<float>& TensorFile::Floats(const std::string& name,
                                             std::span<const int64_t> shape) const {
  return Values<float>(*this, name, shape, "F32");
}

const std::vector<double>& TensorFile::Doubles(const std::string& name,
                                               std::span<const int64_t> shape) const {
  return Values<double>(*this, name, shape, "F64");
}

const std::vector<int32_t>& TensorFile::Ints(const std::string& name,
                                             std::span<const int64_t> shape) const {
  return Values<int32_t>(*this, name, shape, "I32");
}

const std::vector<uint8_t>& TensorFile::Bytes(const std::string& name,
                                              std::span<const int64_t> shape) const {
  return Values<uint8_t>(*this, name, shape, "U8");
}

std::string SerializeTensors(const TensorFile& tensors, const std::string& name) {
  if (tensors.metadata.count(std::string(kChecksumsKey)) != 0) {
    throw Malformed(name, fmt::format("metadata '{}'", kChecksumsKey), "no reserved name");
  }
  const std::vector<std::string> order = DataOrder(tensors);
  std::vector<TensorBytes> data;
  for (const std::string& tensor : order) {
    data.push_back({tensor, AsBytes(tensors.tensors.at(tensor))});
  }
  std::string header;
  try {
    nlohmann::json entries = MakeHeader(name, tensors, order);
    entries[kMetadata][kChecksumsKey] = ChecksumsOf(entries, data);
    header = entries.dump();
  } catch (const nlohmann::json::type_error&) {
    throw Malformed(name, "names or metadata that are no UTF-8", "UTF-8");
  }
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data start aligned
  if (header.size() > kMaxHeader) {
    throw RunError(fmt::format("{}: found names and metadata of {} bytes, expected at most {}",
                               name, header.size(), kMaxHeader));
  }
  const uint64_t length = header.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes += header;
  for (const TensorBytes& tensor : data) bytes += tensor.bytes;
  return bytes;
}

void WriteTensors(const std::filesystem::path& file, const TensorFile& tensors) {
  WriteFileAtomically(file, SerializeTensors(tensors, file.string()));
}

TensorFile ReadTensors(const std::filesystem::path& file) {
  return ParseTensors(ReadFile(file), file.string());
}

TensorFile ParseTensors(std::string_view bytes, std::string source) {
  TensorFile result;
  result.source = std::move(source);
  uint64_t length = 0;
  if (bytes.size() >= kLengthBytes) std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length == 0 || length > kMaxHeader || length > bytes.size() - kLengthBytes) {
    throw Malformed(result.source, fmt::format("{} bytes and a header of {}", bytes.size(), length),
                    "a safetensors file");
  }
  const std::string_view data = bytes.substr(kLengthBytes + length);
  std::vector<Entry> entries;
  nlohmann::json header = ParseHeader(result.source, bytes.substr(kLengthBytes, length));
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      result.metadata = ParseMetadata(result.source, value);
    } else {
      entries.push_back(ParseEntry(result.source, name, value));
    }
  }
  SortAndCheckCover(result.source, entries, data.size());
  TakeChecksums(entries, data, header, result);
  for (Entry& entry : entries) {
    const std::string name = entry.name;
    result.tensors.emplace(name, MakeTensor(std::move(entry), data));
  }
  return result;
}

}  // namespace foreplan
