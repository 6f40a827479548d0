#include "python/bindings/stored_policies.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/data/safetensors.h"
#include "foreplan/systems/component_names.h"

namespace foreplan::python {
namespace {

void ActInRows(Policy& actor, const GivenRows& observations, Key key,
               std::vector<double>& actions) {
  const size_t nu = actions.size() / static_cast<size_t>(observations.rows);
  for (int row = 0; row < observations.rows; ++row) {
    actor.Act({.observation = observations.row(row),
               .time = 0,
               .key = key.Fold(static_cast<uint64_t>(row))},
              std::span(actions).subspan(static_cast<size_t>(row) * nu, nu));
  }
}

}  // namespace

PythonPolicy::PythonPolicy(StoredPolicy policy)
    : policy_(std::move(policy)),
      mean_(policy_.MakeActor(PolicyAction::kMean)),
      sampled_(policy_.MakeActor(PolicyAction::kSampled)) {}

PythonPolicy::PythonPolicy(const std::string& path) : PythonPolicy(StoredPolicy::Open(path)) {}

PythonPolicy::PythonPolicy(const nb::bytes& bytes)
    : PythonPolicy(StoredPolicy(ParseTensors({bytes.c_str(), bytes.size()}, "policy"))) {}

NumpyArray PythonPolicy::Act(PolicyAction action, Policy& actor, nb::handle observation,
                             Key key) const {
  const GivenRows given = RowsOf(observation, "observation", spec().observation_dim());
  const int nu = spec().action_dim();
  std::vector<double> actions(static_cast<size_t>(given.rows) * static_cast<size_t>(nu));
  if (given.rows == 1) {
    ActInRows(actor, given, key, actions);
  } else if (given.rows > 1) {
    const auto own = policy_.MakeActor(action);
    const nb::gil_scoped_release release;
    ActInRows(*own, given, key, actions);
  }
  return ToArray(std::move(actions), given.rows, nu, given.is_vector);
}

NumpyArray PythonPolicy::Mean(nb::handle observation) const {
  return Act(PolicyAction::kMean, *mean_, observation, Key{});
}

NumpyArray PythonPolicy::Sample(nb::handle observation, int seed) const {
  const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
  return Act(PolicyAction::kSampled, *sampled_, observation, key);
}

nb::bytes PythonPolicy::Save() const {
  const std::string bytes = SerializeTensors(policy_.file(), "policy");
  return nb::bytes(bytes.data(), bytes.size());
}

void PythonPolicy::Write(const std::string& path) const { WriteTensors(path, policy_.file()); }

void BindStoredPolicies(nb::module_& module) {
  nb::class_<PythonPolicy>(module, "Policy")
      .def(nb::init<const std::string&>(), nb::arg("path"))
      .def(nb::init<const nb::bytes&>(), nb::arg("bytes"))
      .def("mean", &PythonPolicy::Mean, nb::arg("observation"))
      .def("sample", &PythonPolicy::Sample, nb::arg("observation"), nb::arg("seed"))
      .def("save", &PythonPolicy::Save)
      .def("write", &PythonPolicy::Write, nb::arg("path"))
      .def_prop_ro("observation_names",
                   [](const PythonPolicy& policy) { return Names(policy.spec().observation); })
      .def_prop_ro("action_names",
                   [](const PythonPolicy& policy) { return Names(policy.spec().action); })
      .def_prop_ro("action_low",
                   [](const PythonPolicy& policy) { return ToVector(policy.spec().action_low); })
      .def_prop_ro("action_high",
                   [](const PythonPolicy& policy) { return ToVector(policy.spec().action_high); })
      .def_prop_ro("dt", [](const PythonPolicy& policy) { return policy.spec().dt; });
}

}  // namespace foreplan::python
