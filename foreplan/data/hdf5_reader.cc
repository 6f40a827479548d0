// HDF5 files, through its C library.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/data/named_array.h"

#ifdef FOREPLAN_HAVE_HDF5
#include <hdf5.h>

namespace foreplan {
namespace {

/// Closes a handle of the library on every way out.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// The innermost of what the library has to say about the last failure.
std::string Cause() {
  std::string cause;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* text) -> herr_t {
        if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
        return 0;
      },
      &cause);
  return cause.empty() ? "no cause given" : cause;
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

class Hdf5File {
 public:
  explicit Hdf5File(const std::filesystem::path& file)
      : source_(file.string()),
        file_(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose) {
    if (!file_.ok()) {
      throw InputError(
          fmt::format("{}: found no whole HDF5 file ({}), expected one", source_, Cause()));
    }
  }

  /// Paths of everything in the file, with whether it is a data set.
  [[nodiscard]] std::vector<std::pair<std::string, bool>> Objects() const {
    std::vector<std::pair<std::string, bool>> objects;
    const herr_t done = H5Ovisit2(
        file_.get(), H5_INDEX_NAME, H5_ITER_INC,
        [](hid_t, const char* name, const H5O_info_t* info, void* list) -> herr_t {
          static_cast<decltype(objects)*>(list)->emplace_back(name, info->type == H5O_TYPE_DATASET);
          return 0;
        },
        &objects, H5O_INFO_BASIC);
    if (done < 0) {
      throw InputError(fmt::format("{}: its contents cannot be listed ({}), expected a whole file",
                                   source_, Cause()));
    }
    std::ranges::sort(objects,
                      [](const auto& a, const auto& b) { return NaturalLess(a.first, b.first); });
    return objects;
  }

  [[nodiscard]] NamedArray Read(const std::string& name) const {
    const std::string where = fmt::format("{}: {}", source_, name);
    const auto damaged = [&where] {
      return InputError(
          fmt::format("{}: cannot be read ({}), expected an undamaged file", where, Cause()));
    };
    const Handle data(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!data.ok()) throw damaged();
    const Handle space(H5Dget_space(data.get()), H5Sclose);
    const Handle type(H5Dget_type(data.get()), H5Tclose);
    if (!space.ok() || !type.ok()) throw damaged();
    NamedArray array{name, Shape(where, space.get()), {}};
    double count = 1;
    for (const int64_t size : array.shape) count *= static_cast<double>(size);
    CheckMemory(where, 3 * sizeof(double) * count);  // read, as a data set, in use
    array.values.resize(static_cast<size_t>(count));
    if (array.values.empty()) return array;
    const H5T_class_t kind = H5Tget_class(type.get());
    if (kind == H5T_FLOAT || kind == H5T_INTEGER) {
      if (H5Dread(data.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                  array.values.data()) < 0) {
        throw damaged();
      }
      return array;
    }
    // Booleans are enumerations of one byte.
    if (kind != H5T_ENUM || H5Tget_size(type.get()) != 1) {
      throw InputError(fmt::format(
          "{}: found elements that are no numbers, expected floats, integers or booleans", where));
    }
    std::vector<uint8_t> flags(array.values.size());
    if (H5Dread(data.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, flags.data()) < 0) {
      throw damaged();
    }
    std::ranges::copy(flags, array.values.begin());
    return array;
  }

  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  static std::vector<int64_t> Shape(const std::string& where, hid_t space) {
    std::array<hsize_t, H5S_MAX_RANK> sizes{};
    const int rank = H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
    if (rank < 0) throw InputError(fmt::format("{}: found no shape, expected an array", where));
    if (rank == 0) return {1};
    return {sizes.begin(), sizes.begin() + rank};
  }

  std::string source_;
  Handle file_;
};

}  // namespace

std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file, const ArrayFilter& wanted) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // the library would print
  const Hdf5File opened(file);
  std::vector<NamedArray> arrays;
  for (const auto& [name, is_array] : opened.Objects()) {
    if (!wanted(name)) continue;
    if (!is_array) {
      throw InputError(
          fmt::format("{}: {}: found a group (a dictionary of observations?), expected one array",
                      opened.source(), name));
    }
    arrays.push_back(opened.Read(name));
  }
  return arrays;
}

}  // namespace foreplan

#else

namespace foreplan {

std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file, const ArrayFilter& /*wanted*/) {
  throw InputError(fmt::format(
      "{}: found an HDF5 file, but this build of foreplan has no HDF5 to read it; expected CSV",
      file.string()));
}

}  // namespace foreplan

#endif
