#include "python/bindings/exchange.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "foreplan/experiments/exchange.h"

namespace foreplan::python {

namespace nb = nanobind;

void BindExchange(nb::module_& module) {
  module.def("data_kinds", &DataKinds);
  module.def("model_file_kinds", &ModelFileKinds);
  module.def(
      "export_data",
      [](const std::string& source, const std::string& kind, const std::string& out) {
        const nb::gil_scoped_release release;
        return ExportData(source, kind, out).file.string();
      },
      nb::arg("source"), nb::arg("kind"), nb::arg("out"));
  module.def(
      "export_model",
      [](const std::string& source, const std::string& kind, const std::string& what,
         const std::string& out) {
        const nb::gil_scoped_release release;
        return ExportModel(source, kind, what, out).file.string();
      },
      nb::arg("source"), nb::arg("kind"), nb::arg("what"), nb::arg("out"));
}

}  // namespace foreplan::python
