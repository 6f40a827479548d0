// foreplan_hdf5_writer ARRAYS FILE: makes an HDF5 file of the arrays in a file of records
// (array_stream.h). Writes what kept it from that, or an empty list of arrays, to standard output.
#include <hdf5.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/data/array_names.h"
#include "foreplan/data/array_stream.h"
#include "foreplan/data/hdf5_program/handle.h"
#include "foreplan/data/hdf5_program/stream.h"

namespace foreplan {
namespace {

/// The records of a file, one after the other.
class Records {
 public:
  explicit Records(const char* path) : file_(path, std::ios::binary) {}

  ArrayRecord Next() {
    std::array<uint64_t, 2> head{};
    file_.read(reinterpret_cast<char*>(head.data()), sizeof(head));
    if (!file_ || head[1] > kLongestArrayRecord) throw FileError("found no arrays to write");
    bytes_.resize(head[1]);
    file_.read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    if (!file_) throw FileError("found arrays that are cut off");
    return static_cast<ArrayRecord>(head[0]);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::ifstream file_;
  std::string bytes_;
};

struct Array {
  std::string name;
  std::vector<hsize_t> shape;
  std::vector<double> values;
};

/// What a record of kind kArray begins, and the values that follow it.
Array ReadArray(Records& records) {
  uint64_t dimensions = 0;
  std::memcpy(&dimensions, records.bytes().data(), sizeof(dimensions));
  Array array;
  array.shape.resize(dimensions);
  std::memcpy(array.shape.data(), records.bytes().data() + sizeof(dimensions),
              dimensions * sizeof(uint64_t));
  array.name = records.bytes().substr((1 + dimensions) * sizeof(uint64_t));
  hsize_t count = 1;
  for (const hsize_t size : array.shape) count *= size;
  while (array.values.size() < count) {
    if (records.Next() != ArrayRecord::kValues) throw FileError("found arrays that are cut off");
    const size_t before = array.values.size();
    array.values.resize(before + records.bytes().size() / sizeof(double));
    std::memcpy(array.values.data() + before, records.bytes().data(), records.bytes().size());
  }
  return array;
}

void Check(bool holds, const std::string& name) {
  if (!holds) throw FileError(name + ": cannot be written (" + Cause() + ")");
}

/// Flags as most programs know them: an enumeration of one byte.
hid_t FlagType() {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  int8_t value = 0;
  H5Tenum_insert(type, "FALSE", &value);
  value = 1;
  H5Tenum_insert(type, "TRUE", &value);
  return type;
}

void WriteArray(hid_t file, const Array& array) {
  const Handle space(
      H5Screate_simple(static_cast<int>(array.shape.size()), array.shape.data(), nullptr),
      H5Sclose);
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);  // makes groups on the way
  H5Pset_create_intermediate_group(links.get(), 1);
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);  // equal arrays give equal bytes
  const bool is_flag = IsEndName(BaseName(array.name));
  const Handle type(is_flag ? FlagType() : H5Tcopy(H5T_IEEE_F64LE), H5Tclose);
  const Handle data(H5Dcreate2(file, array.name.c_str(), type.get(), space.get(), links.get(),
                               creation.get(), H5P_DEFAULT),
                    H5Dclose);
  Check(data.ok(), array.name);
  const std::vector<int8_t> flags(array.values.begin(), array.values.end());
  const hid_t memory = is_flag ? type.get() : H5T_NATIVE_DOUBLE;
  const void* values = is_flag ? static_cast<const void*>(flags.data()) : array.values.data();
  Check(H5Dwrite(data.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, array.name);
}

/// An array "group@name" of one whole number is an attribute of the group.
void WriteAttribute(hid_t file, const Array& array, size_t at) {
  const std::string group = array.name.substr(0, at);
  const std::string name = array.name.substr(at + 1);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate_by_name(file, group.c_str(), name.c_str(), H5T_STD_I64LE,
                                           space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  Check(attribute.ok(), array.name);
  const auto value = static_cast<int64_t>(array.values.at(0));
  Check(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value) >= 0, array.name);
}

void WriteFile(const char* arrays, const char* path) {
  Records records(arrays);
  if (records.Next() != ArrayRecord::kBegin) throw FileError("found no arrays to write");
  const Handle file(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  Check(file.ok(), path);
  for (;;) {
    const ArrayRecord kind = records.Next();
    if (kind == ArrayRecord::kEnd) break;
    if (kind != ArrayRecord::kArray) throw FileError("found arrays that are cut off");
    const Array array = ReadArray(records);
    const size_t at = array.name.find('@');
    at == std::string::npos ? WriteArray(file.get(), array) : WriteAttribute(file.get(), array, at);
  }
  Check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL) >= 0, path);
}

void Main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);             // no writer outlives who asked
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // the library would print
  WriteRecord(ArrayRecord::kBegin, nullptr, 0);
  try {
    if (argc != 3) throw FileError("found no files, expected arrays and a file to write");
    WriteFile(argv[1], argv[2]);
    const uint64_t none = 0;
    WriteRecord(ArrayRecord::kEnd, &none, sizeof(none));
  } catch (const std::exception& error) {
    const std::string_view text = error.what();
    WriteRecord(ArrayRecord::kError, text.data(), text.size());
  }
  _exit(0);
}

}  // namespace
}  // namespace foreplan

int main(int argc, char** argv) { foreplan::Main(argc, argv); }
