// foreplan_hdf5_reader FILE [PATH...]: writes the arrays of transitions in an HDF5 file, and those
// at the paths, to standard output (array_stream.h). A program of its own, because damaged files
// crash the HDF5 library.
#include <hdf5.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/data/array_names.h"
#include "foreplan/data/array_stream.h"
#include "foreplan/data/hdf5_program/handle.h"
#include "foreplan/data/hdf5_program/stream.h"

namespace foreplan {
namespace {

void WriteArrayRecord(const std::string& name, const std::vector<hsize_t>& shape) {
  std::vector<uint64_t> numbers = {shape.size()};
  numbers.insert(numbers.end(), shape.begin(), shape.end());
  std::string bytes(reinterpret_cast<const char*>(numbers.data()),
                    numbers.size() * sizeof(uint64_t));
  bytes += name;
  WriteRecord(ArrayRecord::kArray, bytes.data(), bytes.size());
}

/// "episode_2" before "episode_10": runs of digits compare by their value.
bool NaturalLess(const std::string& a, const std::string& b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto number = [&](const std::string& text, size_t& at) {
        while (at < text.size() && text[at] == '0') ++at;
        const size_t first = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return std::string_view(text).substr(first, at - first);
      };
      const std::string_view x = number(a, i);
      const std::string_view y = number(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

/// Paths of everything in the file, with whether it is an array.
std::vector<std::pair<std::string, bool>> Objects(hid_t file) {
  std::vector<std::pair<std::string, bool>> objects;
  const herr_t done = H5Ovisit2(
      file, H5_INDEX_NAME, H5_ITER_INC,
      [](hid_t, const char* name, const H5O_info_t* info, void* list) -> herr_t {
        static_cast<decltype(objects)*>(list)->emplace_back(name, info->type == H5O_TYPE_DATASET);
        return 0;
      },
      &objects, H5O_INFO_BASIC);
  if (done < 0) {
    throw FileError("its contents cannot be listed (" + Cause() + "), expected a whole file");
  }
  std::ranges::sort(objects,
                    [](const auto& a, const auto& b) { return NaturalLess(a.first, b.first); });
  return objects;
}

std::vector<hsize_t> Shape(const std::string& name, hid_t space) {
  std::array<hsize_t, H5S_MAX_RANK> sizes{};
  const int rank = H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  if (rank < 0) throw FileError(name + ": found no shape, expected an array");
  if (rank == 0) return {1};
  return {sizes.begin(), sizes.begin() + rank};
}

/// Writes the numbers of an array, some of its first dimension at a time.
class ArrayWriter {
 public:
  ArrayWriter(std::string name, hid_t data)
      : name_(std::move(name)),
        data_(data),
        space_(H5Dget_space(data), H5Sclose),
        type_(H5Dget_type(data), H5Tclose) {
    if (!space_.ok() || !type_.ok()) throw Damaged();
  }

  [[nodiscard]] bool holds_numbers() const {
    const H5T_class_t kind = H5Tget_class(type_.get());
    return kind == H5T_FLOAT || kind == H5T_INTEGER || is_flag();
  }

  void Write() const {
    const std::vector<hsize_t> shape = Shape(name_, space_.get());
    if (!holds_numbers()) {
      throw FileError(
          name_ + ": found elements that are no numbers, expected floats, integers or booleans");
    }
    WriteArrayRecord(name_, shape);
    if (std::ranges::find(shape, hsize_t{0}) != shape.end()) return;
    constexpr hsize_t kMost = kLongestArrayRecord / sizeof(double);  // numbers at a time
    hsize_t per_row = 1;
    for (size_t i = 1; i < shape.size(); ++i) per_row = Times(per_row, shape[i]);
    if (per_row > kMost) {
      throw FileError(name_ + ": found rows of " + std::to_string(per_row) +
                      " numbers, expected at most " + std::to_string(kMost));
    }
    const hsize_t rows = kMost / per_row;
    for (hsize_t first = 0; first < shape[0]; first += rows) {
      WriteRows(shape, first, std::min(rows, shape[0] - first), per_row);
    }
  }

 private:
  [[nodiscard]] FileError Damaged() const {
    return FileError(name_ + ": cannot be read (" + Cause() + "), expected an undamaged file");
  }

  [[nodiscard]] hsize_t Times(hsize_t a, hsize_t b) const {
    hsize_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) throw Damaged();
    return product;
  }

  /// Booleans are enumerations of one byte.
  [[nodiscard]] bool is_flag() const {
    return H5Tget_class(type_.get()) == H5T_ENUM && H5Tget_size(type_.get()) == 1;
  }

  void WriteRows(const std::vector<hsize_t>& shape, hsize_t first, hsize_t rows,
                 hsize_t per_row) const {
    std::vector<hsize_t> begin(shape.size(), 0);
    std::vector<hsize_t> count = shape;
    begin[0] = first;
    count[0] = rows;
    const int rank = static_cast<int>(shape.size());
    const Handle memory(H5Screate_simple(rank, count.data(), nullptr), H5Sclose);
    const bool is_scalar = H5Sget_simple_extent_ndims(space_.get()) == 0;
    if (!is_scalar && H5Sselect_hyperslab(space_.get(), H5S_SELECT_SET, begin.data(), nullptr,
                                          count.data(), nullptr) < 0) {
      throw Damaged();
    }
    std::vector<double> values(rows * per_row);
    if (is_flag()) {
      std::vector<uint8_t> flags(values.size());
      if (H5Dread(data_, type_.get(), memory.get(), space_.get(), H5P_DEFAULT, flags.data()) < 0) {
        throw Damaged();
      }
      std::ranges::copy(flags, values.begin());
    } else if (H5Dread(data_, H5T_NATIVE_DOUBLE, memory.get(), space_.get(), H5P_DEFAULT,
                       values.data()) < 0) {
      throw Damaged();
    }
    WriteRecord(ArrayRecord::kValues, values.data(), values.size() * sizeof(double));
  }

  std::string name_;
  hid_t data_;
  Handle space_;
  Handle type_;
};

void WriteFile(const char* path, const std::vector<std::string>& others) {
  const Handle file(H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.ok()) throw FileError("found no whole HDF5 file (" + Cause() + "), expected one");
  uint64_t arrays = 0;
  for (const auto& [name, is_array] : Objects(file.get())) {
    if (!HoldsTransitions(name, others)) continue;
    if (!is_array) {
      const bool may_be = std::ranges::any_of(others, [&](const auto& o) { return IsAt(name, o); });
      if (may_be || IsSpaceName(PathOf(name).role)) continue;  // a dictionary
      throw FileError(name + ": found a group, expected one array");
    }
    const Handle data(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!data.ok()) {
      throw FileError(name + ": cannot be read (" + Cause() + "), expected an undamaged file");
    }
    const ArrayWriter writer(name, data.get());
    if (IsOneOf(kTimeArrayNames, name) && !writer.holds_numbers()) continue;
    writer.Write();
    ++arrays;
  }
  WriteRecord(ArrayRecord::kEnd, &arrays, sizeof(arrays));
}

void Main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no reader outlives who asked
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // the library would print
  WriteRecord(ArrayRecord::kBegin, nullptr, 0);
  try {
    if (argc < 2) throw FileError("found no file, expected one");
    WriteFile(argv[1], {argv + 2, argv + argc});
  } catch (const std::exception& error) {
    const std::string_view text = error.what();
    WriteRecord(ArrayRecord::kError, text.data(), text.size());
  }
  _exit(0);  // nothing of a library that may be in disorder runs any more
}

}  // namespace
}  // namespace foreplan

int main(int argc, char** argv) { foreplan::Main(argc, argv); }
