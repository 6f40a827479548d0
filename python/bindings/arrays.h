// Between Python's arrays and spans of doubles.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <span>
#include <vector>

namespace foreplan::python {

namespace nb = nanobind;

/// An array of doubles without gaps, as Python holds it. Needs the interpreter's lock, also to go.
using Array = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;

/// Rows that were given: of one length, finite. A vector is one row.
struct GivenRows {
  Array array;  // what holds the numbers
  int rows = 0;
  int columns = 0;
  bool is_vector = false;  // what was given had one dimension

  [[nodiscard]] const double* data() const { return array.data(); }
  [[nodiscard]] std::span<const double> row(int64_t i) const {
    return {array.data() + i * columns, static_cast<size_t>(columns)};
  }
};

/// Numbers of any type that NumPy turns into doubles, without a copy where they are doubles without
/// gaps. Throws TypeError for what is none, ValueError for another shape than [rows x columns] or
/// [columns] and for numbers that are not finite; `name` is the argument's.
GivenRows RowsOf(nb::handle value, const char* name, int columns);
/// The same of a vector alone.
GivenRows VectorOf(nb::handle value, const char* name, int size);
/// The same with that many dimensions, each of any length.
Array ArrayOf(nb::handle value, const char* name, size_t dimensions);
/// Throws ValueError unless they have as many rows.
void CheckSameRows(const GivenRows& first, const char* first_name, const GivenRows& second,
                   const char* second_name);

/// A NumPy array of doubles, which signatures name.
class NumpyArray : public nb::object {
  NB_OBJECT_DEFAULT(NumpyArray, nb::object, "numpy.typing.NDArray[numpy.float64]",
                    nb::ndarray_check)
};

/// A NumPy array of [rows x columns], or [columns] of a vector, that owns its numbers.
NumpyArray ToArray(std::vector<double> values, int rows, int columns, bool is_vector = false);
NumpyArray ToVector(std::vector<double> values);
NumpyArray ToShape(std::vector<double> values, std::vector<size_t> shape);

}  // namespace foreplan::python
