#include "python/bindings/policies.h"

#include <fmt/format.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/kl/kl_divergence.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"
#include "python/bindings/matrices.h"

namespace foreplan::python {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

LinearGaussianPolicy PolicyOf(nb::handle K, nb::handle k, nb::handle covariance, nb::handle states,
                              nb::handle actions) {
  auto feedback = MatricesOf(K, "K");
  auto feedforward = VectorsOf(k, "k");
  auto noise = MatricesOf(covariance, "covariance");
  auto state = VectorsOf(states, "states");
  auto action = VectorsOf(actions, "actions");
  CheckSteps(feedforward.size(), "k", feedback.size());
  CheckSteps(noise.size(), "covariance", feedback.size());
  CheckSteps(state.size(), "states", feedback.size());
  CheckSteps(action.size(), "actions", feedback.size());
  std::vector<LinearGaussianStep> steps;
  for (size_t t = 0; t < feedback.size(); ++t) {
    steps.push_back({.action = std::move(action[t]),
                     .state = std::move(state[t]),
                     .feedforward = std::move(feedforward[t]),
                     .feedback = std::move(feedback[t]),
                     .covariance = std::move(noise[t])});
  }
  return LinearGaussianPolicy(std::move(steps));
}

void CheckTime(const LinearGaussianPolicy& policy, int t) {
  if (t >= 0 && t < policy.horizon()) return;
  throw InputError(fmt::format("t: found {}, expected 0 ... {}", t, policy.horizon() - 1));
}

/// `number(row, x)` or `vector(row, x)` for every row of states.
struct Rows {
  Rows(const LinearGaussianPolicy& policy, nb::handle x, int t)
      : given(
            (CheckTime(policy, t), RowsOf(x, "x", static_cast<int>(policy.step(t).state.size())))),
        nu(static_cast<int>(policy.step(t).action.size())) {}

  [[nodiscard]] VectorXd State(int row) const {
    return Eigen::Map<const VectorXd>(given.row(row).data(), given.columns);
  }
  template <typename ActionOf>
  [[nodiscard]] NumpyArray Actions(const ActionOf& action_of) const {
    std::vector<double> values;
    for (int row = 0; row < given.rows; ++row) {
      const VectorXd u = action_of(row, State(row));
      values.insert(values.end(), u.data(), u.data() + u.size());
    }
    return ToArray(std::move(values), given.rows, nu, given.is_vector);
  }

  GivenRows given;
  int nu;
};

NumpyArray Mean(const LinearGaussianPolicy& policy, nb::handle x, int t) {
  return Rows(policy, x, t).Actions([&](int, const VectorXd& at) { return policy.Mean(t, at); });
}

NumpyArray Sample(const LinearGaussianPolicy& policy, nb::handle x, int t, int seed) {
  const Key key =
      Key{.seed = static_cast<uint64_t>(seed), .stream = 0}.Fold(static_cast<uint64_t>(t));
  return Rows(policy, x, t).Actions([&](int row, const VectorXd& at) {
    Random random(key.Fold(static_cast<uint64_t>(row)));
    return policy.Sample(t, at, random);
  });
}

/// [n], or a number of vectors.
nb::any LogDensity(const LinearGaussianPolicy& policy, nb::handle u, nb::handle x, int t) {
  const Rows rows(policy, x, t);
  const GivenRows action = RowsOf(u, "u", rows.nu);
  CheckSameRows(rows.given, "x", action, "u");
  std::vector<double> values;
  for (int row = 0; row < action.rows; ++row) {
    const VectorXd at = Eigen::Map<const VectorXd>(action.row(row).data(), rows.nu);
    values.push_back(policy.LogProbability(t, rows.State(row), at));
  }
  if (rows.given.is_vector) return nb::borrow<nb::any>(nb::float_(values.front()));
  return nb::borrow<nb::any>(ToVector(std::move(values)));
}

NumpyArray Entropies(const LinearGaussianPolicy& policy) {
  std::vector<double> values;
  for (int t = 0; t < policy.horizon(); ++t) values.push_back(policy.Entropy(t));
  return ToVector(std::move(values));
}

/// (state mean, state covariance, action mean, action covariance).
nb::tuple Marginals(const LinearGaussianPolicy& policy, nb::handle model) {
  const TrajectoryDistribution found =
      PropagateDistribution(LinearGaussianDynamicsOf(model), policy);
  return nb::make_tuple(ToSteps(found.state_mean), ToSteps(found.state_covariance),
                        ToSteps(found.action_mean), ToSteps(found.action_covariance));
}

NumpyArray Kl(const LinearGaussianPolicy& policy, const LinearGaussianPolicy& previous,
              nb::handle distribution) {
  const TrajectoryDistribution of_p{
      .state_mean = VectorsOf(distribution.attr("state_mean"), "state_mean"),
      .state_covariance = MatricesOf(distribution.attr("state_covariance"), "state_covariance"),
      .action_mean = VectorsOf(distribution.attr("action_mean"), "action_mean"),
      .action_covariance = MatricesOf(distribution.attr("action_covariance"), "action_covariance")};
  return ToVector(KlDivergences(policy, previous, of_p));
}

}  // namespace

LinearGaussianDynamics LinearGaussianDynamicsOf(nb::handle model) {
  auto A = MatricesOf(model.attr("A"), "A");
  auto B = MatricesOf(model.attr("B"), "B");
  auto c = VectorsOf(model.attr("c"), "c");
  auto covariance = MatricesOf(model.attr("covariance"), "covariance");
  CheckSteps(B.size(), "B", A.size());
  CheckSteps(c.size(), "c", A.size());
  CheckSteps(covariance.size(), "covariance", A.size());
  LinearGaussianDynamics dynamics{
      .initial_mean = VectorOf(model.attr("initial_mean"), "initial_mean"),
      .initial_covariance = MatrixOf(model.attr("initial_covariance"), "initial_covariance"),
      .steps = {}};
  for (size_t t = 0; t < A.size(); ++t) {
    dynamics.steps.push_back({.A = std::move(A[t]),
                              .B = std::move(B[t]),
                              .c = std::move(c[t]),
                              .covariance = std::move(covariance[t])});
  }
  return dynamics;
}

void BindPolicies(nb::module_& module) {
  nb::class_<LinearGaussianPolicy>(module, "LinearGaussianPolicy")
      .def(nb::new_(&PolicyOf), nb::arg("K"), nb::arg("k"), nb::arg("covariance"),
           nb::arg("states"), nb::arg("actions"))
      .def("mean", &Mean, nb::arg("x"), nb::arg("t"))
      .def("sample", &Sample, nb::arg("x"), nb::arg("t"), nb::arg("seed"))
      .def("log_density", &LogDensity, nb::arg("u"), nb::arg("x"), nb::arg("t"))
      .def("entropies", &Entropies)
      .def("marginals", &Marginals, nb::arg("model"))
      .def("kl", &Kl, nb::arg("previous"), nb::arg("distribution"));
}

}  // namespace foreplan::python
