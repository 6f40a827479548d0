// Policies that runs learned, as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "foreplan/policies/stored_policy.h"
#include "python/bindings/arrays.h"

namespace foreplan::python {

class PythonPolicy {
 public:
  /// What StoredPolicy opens.
  explicit PythonPolicy(const std::string& path);
  /// Of the bytes that Save gave.
  explicit PythonPolicy(const nb::bytes& bytes);

  [[nodiscard]] NumpyArray Mean(nb::handle observation) const;
  [[nodiscard]] NumpyArray Sample(nb::handle observation, int seed) const;
  [[nodiscard]] nb::bytes Save() const;
  void Write(const std::string& path) const;

  [[nodiscard]] const EnvironmentSpec& spec() const { return policy_.spec(); }

 private:
  explicit PythonPolicy(StoredPolicy policy);
  [[nodiscard]] NumpyArray Act(PolicyAction action, Policy& actor, nb::handle observation,
                               Key key) const;

  StoredPolicy policy_;
  std::unique_ptr<Policy> mean_, sampled_;  // of single rows, under the interpreter's lock
};

void BindStoredPolicies(nb::module_& module);

}  // namespace foreplan::python
