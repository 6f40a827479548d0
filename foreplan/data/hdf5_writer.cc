// HDF5 files, written by a program of their own (hdf5_program/).
#include <fmt/format.h>

#include "foreplan/core/error.h"
#include "foreplan/data/named_array.h"

#ifdef FOREPLAN_HAVE_HDF5
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "foreplan/data/array_program.h"
#include "foreplan/data/array_stream.h"
#include "foreplan/data/files.h"
#include "foreplan/data/hdf5_programs.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// A file beside another, gone afterwards.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& beside, const char* suffix)
      : path_(fmt::format("{}.{}{}", beside.string(), getpid(), suffix)) {}
  ~TemporaryFile() {
    std::error_code error;
    fs::remove(path_, error);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void AppendRecord(ArrayRecord kind, std::string_view bytes, std::string& to) {
  const std::array<uint64_t, 2> head = {static_cast<uint64_t>(kind), bytes.size()};
  to.append(reinterpret_cast<const char*>(head.data()), sizeof(head));
  to += bytes;
}

template <typename Number>
std::string_view AsBytes(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

std::string Records(const std::vector<NamedArray>& arrays) {
  std::string records;
  AppendRecord(ArrayRecord::kBegin, "", records);
  for (const NamedArray& array : arrays) {
    std::vector<uint64_t> head = {array.shape.size()};
    head.insert(head.end(), array.shape.begin(), array.shape.end());
    AppendRecord(ArrayRecord::kArray, std::string(AsBytes(head)) + array.name, records);
    std::string_view values = AsBytes(array.values);
    while (!values.empty()) {
      const std::string_view part = values.substr(0, kLongestArrayRecord);
      AppendRecord(ArrayRecord::kValues, part, records);
      values.remove_prefix(part.size());
    }
  }
  const std::vector<uint64_t> count = {arrays.size()};
  AppendRecord(ArrayRecord::kEnd, AsBytes(count), records);
  return records;
}

}  // namespace

void WriteHdf5(const fs::path& file, const std::vector<NamedArray>& arrays) {
  constexpr std::chrono::minutes kPatience{30};  // a slow disk; the program says nothing meanwhile
  const std::string program = Hdf5Program("foreplan_hdf5_writer", file.string());
  const TemporaryFile records(file, ".arrays");
  const TemporaryFile written(file, ".hdf5");
  WriteFileAtomically(records.path(), Records(arrays));
  try {
    ReadArraysFromProgram({program, records.path().string(), written.path().string()},
                          file.string(), kPatience);
  } catch (const InputError& error) {
    throw RunError(error.what());
  }
  RenameDurably(written.path(), file);
}

}  // namespace foreplan

#else

namespace foreplan {

void WriteHdf5(const std::filesystem::path& file, const std::vector<NamedArray>& /*arrays*/) {
  throw InputError(fmt::format("{}: this build of foreplan has no HDF5 to write it; expected npz",
                               file.string()));
}

}  // namespace foreplan

#endif
