#include "python/bindings/arrays.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan::python {
namespace {

std::string TypeName(nb::handle value) {
  return nb::cast<std::string>(value.type().attr("__name__"));
}

/// What NumPy makes of it.
Array AsDoubles(nb::handle value, const char* name) {
  Array array;
  if (nb::try_cast(value, array, /*convert=*/false)) return array;
  nb::object doubles;
  try {
    const nb::module_ numpy = nb::module_::import_("numpy");
    const nb::object any = numpy.attr("asarray")(value);
    const auto kind = nb::cast<std::string>(any.attr("dtype").attr("kind"));
    if (std::string("biuf").find(kind) == std::string::npos) {
      throw nb::type_error(fmt::format("{}: found {} of dtype {}, expected numbers", name,
                                       TypeName(value),
                                       nb::cast<std::string>(any.attr("dtype").attr("name")))
                               .c_str());
    }
    doubles = numpy.attr("ascontiguousarray")(any, "float64");
    // A number alone has become a vector of one.
    if (nb::cast<int>(any.attr("ndim")) == 0) doubles = doubles.attr("reshape")(nb::make_tuple(1));
  } catch (const nb::python_error& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    throw nb::type_error(
        fmt::format("{}: found {}, expected an array of numbers", name, TypeName(value)).c_str());
  }
  return nb::cast<Array>(doubles);
}

std::string ShapeText(const Array& array) {
  std::string text;
  for (size_t i = 0; i < array.ndim(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", array.shape(i));
  }
  return fmt::format("[{}]", text);
}

void CheckFinite(const Array& array, const char* name) {
  for (size_t i = 0; i < array.size(); ++i) {
    if (std::isfinite(array.data()[i])) continue;
    const size_t columns = array.shape(array.ndim() - 1);
    const std::string place =
        array.ndim() == 1 ? fmt::format("{}", i) : fmt::format("{}, {}", i / columns, i % columns);
    throw InputError(
        fmt::format("{}: found {} at [{}], expected finite numbers", name, array.data()[i], place));
  }
}

}  // namespace

GivenRows RowsOf(nb::handle value, const char* name, int columns) {
  Array array = AsDoubles(value, name);
  const size_t dimensions = array.ndim();
  if (dimensions < 1 || dimensions > 2 ||
      array.shape(dimensions - 1) != static_cast<size_t>(columns)) {
    throw InputError(fmt::format("{}: found shape {}, expected [n, {}] or [{}]", name,
                                 ShapeText(array), columns, columns));
  }
  CheckFinite(array, name);
  const int rows = dimensions == 1 ? 1 : static_cast<int>(array.shape(0));
  return {std::move(array), rows, columns, dimensions == 1};
}

GivenRows VectorOf(nb::handle value, const char* name, int size) {
  Array array = AsDoubles(value, name);
  if (array.ndim() != 1 || array.shape(0) != static_cast<size_t>(size)) {
    throw InputError(
        fmt::format("{}: found shape {}, expected [{}]", name, ShapeText(array), size));
  }
  CheckFinite(array, name);
  return {std::move(array), 1, size, true};
}

Array ArrayOf(nb::handle value, const char* name, size_t dimensions) {
  Array array = AsDoubles(value, name);
  if (array.ndim() != dimensions) {
    throw InputError(fmt::format("{}: found shape {}, expected {} dimensions", name,
                                 ShapeText(array), dimensions));
  }
  CheckFinite(array, name);
  return array;
}

void CheckSameRows(const GivenRows& first, const char* first_name, const GivenRows& second,
                   const char* second_name) {
  if (first.rows == second.rows) return;
  throw InputError(fmt::format("{}: found {} rows, expected the {} of {}", second_name, second.rows,
                               first.rows, first_name));
}

NumpyArray ToArray(std::vector<double> values, int rows, int columns, bool is_vector) {
  if (is_vector) return ToVector(std::move(values));
  return ToShape(std::move(values), {static_cast<size_t>(rows), static_cast<size_t>(columns)});
}

NumpyArray ToVector(std::vector<double> values) {
  const size_t size = values.size();
  return ToShape(std::move(values), {size});
}

NumpyArray ToShape(std::vector<double> values, std::vector<size_t> shape) {
  auto kept = std::make_unique<std::vector<double>>(std::move(values));
  double* data = kept->data();
  const nb::capsule owner(kept.release(), [](void* vector) noexcept {
    delete static_cast<std::vector<double>*>(vector);
  });
  return nb::cast<NumpyArray>(
      nb::cast(nb::ndarray<nb::numpy, double>(data, shape.size(), shape.data(), owner)));
}

}  // namespace foreplan::python
