// Suite planning: one whole decision of a sampling planner through an ensemble of networks.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/nets/prediction_kernel.h"
#include "foreplan/planners/cem.h"
#include "foreplan/planners/icem.h"

namespace foreplan::apps {
namespace {

/// What --set can change.
struct Sizes {
  int members = 5;
  int hidden_layers = 3;
  int width = 200;
  int population = 400;
  int elites = 40;
  int iterations = 5;
  int horizon = 25;
  int particles = 20;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("members", members, {1, 64}, "networks");
    visitor.Field("hidden_layers", hidden_layers, {1, 8}, "per network");
    visitor.Field("width", width, {1, 4096}, "units per hidden layer");
    visitor.Field("population", population, {2, 1000000}, "candidates per iteration");
    visitor.Field("elites", elites, {1, 1000000}, "candidates that shape the next iteration");
    visitor.Field("iterations", iterations, {1, 1000}, "per decision");
    visitor.Field("horizon", horizon, {1, 10000}, "steps imagined");
    visitor.Field("particles", particles, {1, 1000}, "rollouts per candidate");
  }
};

struct Definition {
  std::string name;
  Sizes sizes;
  SyntheticTask (*task)();
  Propagation propagation = Propagation::kTsInf;
  double decay = 0;  // of iCEM's population; 0: CEM
};

// PETS: Chua et al. (2018), sizes of the published configuration. mbrl: the defaults of Facebook's
// mbrl-lib, of whose 7 networks the best 5 predict.
std::vector<Definition> Definitions() {
  return {
      {"pets_cartpole_paper",
       {.width = 500, .population = 400, .elites = 40, .horizon = 25},
       &SyntheticCartPole},
      {"mbrl_cartpole", {.population = 500, .elites = 50, .horizon = 30}, &SyntheticCartPole},
      {"mbrl_half_cheetah",
       {.hidden_layers = 4, .population = 400, .elites = 40, .horizon = 30},
       &SyntheticHalfCheetah,
       Propagation::kTs1},
      {"pets_half_cheetah_paper",
       {.hidden_layers = 4, .population = 500, .elites = 50, .horizon = 30},
       &SyntheticHalfCheetah},
      {"mbrl_icem_cartpole",
       {.hidden_layers = 4, .population = 200, .elites = 20, .horizon = 10},
       &SyntheticCartPoleRaw,
       Propagation::kTsInf,
       1.3},
      {"lite",
       {.population = 128, .elites = 13, .iterations = 3, .horizon = 30, .particles = 5},
       &SyntheticCartPole},
  };
}

/// Everything that a decision needs, in the order in which it is built.
struct Planning {
  Planning(const Definition& definition, const SyntheticTask& its_task,
           const EnsembleOptions& model, const std::shared_ptr<Executor>& executor)
      : task(its_task) {
    const PlanningProblem problem{FitShortly(model, task, executor), task.reward, task.spec,
                                  executor};
    const Sizes& sizes = definition.sizes;
    if (definition.decay == 0) {
      CemOptions options;
      options.horizon = sizes.horizon;
      options.particles = sizes.particles;
      options.population = sizes.population;
      options.elites = sizes.elites;
      options.iterations = sizes.iterations;
      options.epsilon = 0;  // never stops early
      planner = std::make_unique<Cem>(options, problem);
    } else {
      IcemOptions options;
      options.horizon = sizes.horizon;
      options.particles = sizes.particles;
      options.population = sizes.population;
      options.elites = sizes.elites;
      options.iterations = sizes.iterations;
      options.decay = definition.decay;
      planner = std::make_unique<Icem>(options, problem);
    }
  }

  double Decide() {
    const auto row = static_cast<int64_t>(decisions % 64);
    const Plan& plan = planner->MakePlan({.state = task.data.observation(row),
                                          .step = static_cast<int64_t>(decisions),
                                          .key = Key{2, decisions},
                                          .budget = {}});
    ++decisions;
    rollouts = plan.rollouts;
    if (plan.status != PlanStatus::kOk) {
      throw RunError("bench planning: the model of synthetic data predicted no finite return");
    }
    return plan.seconds;
  }

  const SyntheticTask& task;
  std::unique_ptr<Planner> planner;
  uint64_t decisions = 0;
  int rollouts = 0;  // of the last decision, without particles
};

Precision PrecisionOf(const BenchOptions& options) {
  const std::array<std::string, 3> names = {"f32", "bf16", "auto"};
  const std::array<Precision, 3> values = {Precision::kF32, Precision::kBf16, Precision::kAuto};
  if (options.precision.empty()) return Precision::kF32;
  const auto found = std::ranges::find(names, options.precision);
  if (found == names.end()) {
    throw UnknownName("bench planning: --precision", "precision", options.precision, names);
  }
  return values[static_cast<size_t>(found - names.begin())];
}

/// Multiply-adds of one row through one network, times 2.
double FlopPerRow(const Sizes& sizes, const FeatureMap& features) {
  const double width = sizes.width;
  const int ends = features.inputs() + 2 * features.targets();
  return 2 * (width * ends + width * width * (sizes.hidden_layers - 1));
}

/// Action sequences, returns per particle, and the parameters with what training keeps of them.
double BytesNeeded(const Sizes& sizes, const FeatureMap& features) {
  const double sequences = 8.0 * sizes.population * sizes.horizon * features.action_dim();
  const double returns = 8.0 * sizes.population * (sizes.particles + 1);
  const double parameters = 6 * 4.0 * sizes.members * FlopPerRow(sizes, features) / 2;
  return sequences + returns + parameters;
}

Measurement Measure(Definition definition, const BenchOptions& options) {
  RefuseFlag("planning", "--model", options.model);
  Sizes& sizes = definition.sizes;
  options.config->Read("", sizes);
  if (sizes.elites > sizes.population) {
    throw InputError(
        fmt::format("bench planning: {}: elites: found {}, expected at most population "
                    "= {}",
                    definition.name, sizes.elites, sizes.population));
  }
  EnsembleOptions model;
  model.members = sizes.members;
  model.hidden_layers = sizes.hidden_layers;
  model.width = sizes.width;
  model.propagation = definition.propagation;
  model.precision = PrecisionOf(options);
  GetPredictionKernel(model.kernel, model.precision);  // refuses what the processor lacks
  const auto task = std::make_shared<const SyntheticTask>(definition.task());
  const FeatureMap features(task->spec, task->encoding);
  CheckMemory("bench planning: " + definition.name, BytesNeeded(sizes, features));

  const auto planning = std::make_shared<std::unique_ptr<Planning>>();
  Measurement measurement;
  measurement.fields = {{"case", definition.name},
                        {"precision", options.precision.empty() ? "f32" : options.precision},
                        {"threads", options.executor->size()}};
  measurement.prepare = [=, executor = options.executor] {
    *planning = std::make_unique<Planning>(definition, *task, model, executor);
  };
  measurement.sample = [planning] { return (*planning)->Decide(); };
  measurement.finish = [=](double median, BenchRow& row) {
    const double rows = 1.0 * (*planning)->rollouts * sizes.particles * sizes.horizon;
    row["gflop"] = 1e-9 * rows * FlopPerRow(sizes, features);
    row["gflops"] = 1e-9 * rows * FlopPerRow(sizes, features) / median;
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> PlanningCases() {
  std::vector<BenchCase> cases;
  for (const Definition& definition : Definitions()) {
    cases.push_back({definition.name, [definition](const BenchOptions& options) {
                       return Measure(definition, options);
                     }});
  }
  return cases;
}

}  // namespace foreplan::apps
