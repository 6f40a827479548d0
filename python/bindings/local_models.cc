#include "python/bindings/local_models.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "python/bindings/matrices.h"
#include "python/bindings/models.h"

namespace foreplan::python {
namespace {

/// Options of the fit and of both priors.
struct Setup {
  explicit Setup(const std::vector<std::string>& assignments) {
    Config config = Config::FromString("", "LocalModelFitter");
    for (const std::string& assignment : assignments) config.Set(assignment);
    config.Read("fit", fit);
    config.Read("mixture", mixture);
    config.Read("network", network);
    config.ThrowOnUnknownKeys();
  }

  LocalFitOptions fit;
  MixturePriorOptions mixture;
  NetworkPriorOptions network;
};

/// The ensemble that a model is at present.
std::shared_ptr<const Ensemble> EnsembleOf(const PythonModel& model) {
  auto ensemble = std::dynamic_pointer_cast<const Ensemble>(model.version().dynamics);
  if (ensemble == nullptr) {
    throw InputError("prior: found a model of another kind, expected an ensemble");
  }
  return ensemble;
}

class PythonLocalFitter {
 public:
  /// `prior`: a Model, "none" or "mixture".
  PythonLocalFitter(nb::object prior, int seed, const std::vector<std::string>& options)
      : setup_(options), fitter_(setup_.fit), model_(std::move(prior)), seed_(seed) {
    if (nb::isinstance<PythonModel>(model_)) {
      static_cast<void>(EnsembleOf(nb::cast<const PythonModel&>(model_)));
      return;
    }
    kind_ = nb::cast<std::string>(model_);
    if (kind_ != "none" && kind_ != "mixture") {
      throw InputError(fmt::format("prior: found '{}', expected none, mixture or a Model", kind_));
    }
  }

  /// (A, B, c, covariance, initial mean and covariance, ranks, conditions, log evidences, m, n0).
  nb::tuple Fit(nb::handle states, nb::handle actions) {
    const Array x = ArrayOf(states, "states", 3);
    const Array u = ArrayOf(actions, "actions", 3);
    CheckShapes(x, u);
    const auto length = [](const Array& array, size_t i) {
      return static_cast<int>(array.shape(i));
    };
    const RolloutView rollouts{.rollouts = length(u, 0),
                               .transitions = length(u, 1),
                               .nx = length(x, 2),
                               .nu = length(u, 2),
                               .states = x.data(),
                               .actions = u.data()};
    CheckRollouts("rollouts", rollouts);
    if (prior_ == nullptr) MakePrior(rollouts);
    if (rollouts.nx != nx_ || rollouts.nu != nu_) {
      throw InputError(fmt::format(
          "states, actions: found {} and {} numbers, expected the {} and {} of the prior",
          rollouts.nx, rollouts.nu, nx_, nu_));
    }
    LocalModelFit fit;
    raised_.Run([&] {
      prior_->Learn(rollouts);
      fitter_.Fit(rollouts, *prior_, fit);
    });
    return AsTuple(fit);
  }

 private:
  static void CheckShapes(const Array& x, const Array& u) {
    if (x.shape(0) == u.shape(0) && x.shape(1) == u.shape(1) + 1) return;
    throw InputError(fmt::format(
        "actions: found {} rollouts of {} steps, expected the {} of {} that belong to states",
        u.shape(0), u.shape(1), x.shape(0), static_cast<int64_t>(x.shape(1)) - 1));
  }

  void MakePrior(const RolloutView& rollouts) {
    nx_ = rollouts.nx;
    nu_ = rollouts.nu;
    if (kind_ == "none") {
      prior_ = std::make_unique<NoPrior>();
    } else if (kind_ == "mixture") {
      const Key key{.seed = static_cast<uint64_t>(seed_), .stream = 0};
      prior_ = std::make_unique<MixturePrior>(nx_, nu_, setup_.mixture, key);
    } else {
      const auto& model = nb::cast<const PythonModel&>(model_);
      nx_ = model.observation_dim();
      nu_ = model.action_dim();
      prior_ =
          std::make_unique<NetworkPrior>([&model] { return EnsembleOf(model); }, setup_.network);
    }
  }

  static nb::tuple AsTuple(const LocalModelFit& fit) {
    std::vector<Eigen::MatrixXd> A;
    std::vector<Eigen::MatrixXd> B;
    std::vector<Eigen::VectorXd> c;
    std::vector<Eigen::MatrixXd> covariance;
    for (const LinearGaussianTransition& step : fit.dynamics.steps) {
      A.push_back(step.A);
      B.push_back(step.B);
      c.push_back(step.c);
      covariance.push_back(step.covariance);
    }
    std::vector<double> ranks;
    std::vector<double> conditions;
    std::vector<double> evidences;
    for (const LocalFitStep& step : fit.steps) {
      ranks.push_back(step.rank);
      conditions.push_back(step.condition);
      evidences.push_back(step.log_evidence);
    }
    return nb::make_tuple(ToSteps(A), ToSteps(B), ToSteps(c), ToSteps(covariance),
                          ToVector(fit.dynamics.initial_mean),
                          ToMatrix(fit.dynamics.initial_covariance), ToVector(std::move(ranks)),
                          ToVector(std::move(conditions)), ToVector(std::move(evidences)), fit.m,
                          fit.n0);
  }

  Setup setup_;
  LocalModelFitter fitter_;
  nb::object model_;  // or the name of another prior
  std::string kind_;
  int seed_;
  std::unique_ptr<LocalPrior> prior_;  // of the sizes of the first rollouts
  int nx_ = 0;
  int nu_ = 0;
  Raised raised_;
};

}  // namespace

void BindLocalModels(nb::module_& module) {
  nb::class_<PythonLocalFitter>(module, "LocalModelFitter")
      .def(nb::init<nb::object, int, const std::vector<std::string>&>(), nb::arg("prior"),
           nb::arg("seed"), nb::arg("options"))
      .def("fit", &PythonLocalFitter::Fit, nb::arg("states"), nb::arg("actions"));
}

}  // namespace foreplan::python
