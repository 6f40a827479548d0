// Suite mppi: MPPI on models that cost next to nothing, so that the planner itself is measured.
#include "foreplan/planners/mppi.h"

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/closed_form/pendulum.h"

namespace foreplan::apps {
namespace {

/// x' = x + B u in the plane, B = diag(0.5, -0.5).
class Point final : public ClosedFormOf<Point, 2, 2, 2> {
 public:
  static constexpr double kBound = 10;

  Point() : ClosedFormOf(MakeSpec()) {}
  [[nodiscard]] std::unique_ptr<System> Clone() const override {
    return std::make_unique<Point>(*this);
  }
  void Reset(Key /*key*/) override { SetState(std::array{-3.0, -2.0}); }

  template <typename T>
  std::array<T, 2> Next(const std::array<T, 2>& state, const std::array<T, 2>& action) const {
    return {state[0] + 0.5 * action[0], state[1] - 0.5 * action[1]};
  }
  template <typename T>
  std::array<T, 2> Observation(const std::array<T, 2>& state) const {
    return state;
  }

 private:
  static SystemSpec MakeSpec() {
    SystemSpec spec;
    spec.dt = 1;
    spec.state = {{"x", ""}, {"y", ""}};
    spec.observation = spec.state;
    spec.action = {{"x_step", ""}, {"y_step", ""}};
    spec.action_low = {-kBound, -kBound};
    spec.action_high = {kBound, kBound};
    return spec;
  }
};

/// Minus the squared distance to (2, 2).
class PointReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double dx = batch.next_observation[2 * row] - 2.0;
      const double dy = batch.next_observation[2 * row + 1] - 2.0;
      reward[row] = -(dx * dx + dy * dy);
      terminated[row] = 0;
    }
  }
};

/// What --set can change.
struct Sizes {
  int population;
  int horizon;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("population", population, {1, 1000000}, "rollouts per decision (K)");
    visitor.Field("horizon", horizon, {1, 10000}, "steps imagined (T)");
  }
};

struct Definition {
  std::string name;
  Sizes sizes;
  double lambda;
  double noise_sigma;  // in half ranges
  std::unique_ptr<System> (*system)();
  std::unique_ptr<const Reward> (*reward)();
};

// The toy's noise has the covariance I; the pendulum's standard deviation is 1 N m.
const std::array kDefinitions{
    Definition{"toy",
               {.population = 500, .horizon = 15},
               1.0,
               1.0 / Point::kBound,
               []() -> std::unique_ptr<System> { return std::make_unique<Point>(); },
               []() -> std::unique_ptr<const Reward> { return std::make_unique<PointReward>(); }},
    Definition{"pendulum",
               {.population = 1000, .horizon = 30},
               1.0,
               0.5,
               []() -> std::unique_ptr<System> { return std::make_unique<Pendulum>(); },
               [] { return MakeReward("pendulum", 3, 1); }}};

struct Planning {
  Planning(const Definition& definition, const MppiOptions& options,
           std::shared_ptr<Executor> executor)
      : system(definition.system()),
        planner(options, {std::make_shared<const TrueDynamics>(*system), definition.reward(),
                          system->spec(), std::move(executor)}),
        state(system->spec().state.size()) {
    system->Reset(Key{1, 0});
    system->GetState(state);
  }

  double Decide() {
    const Plan& plan = planner.MakePlan({.state = state,
                                         .step = static_cast<int64_t>(decisions),
                                         .key = Key{2, decisions},
                                         .budget = {}});
    ++decisions;
    return plan.seconds;
  }

  std::unique_ptr<System> system;
  Mppi planner;
  std::vector<double> state;
  uint64_t decisions = 0;
};

Measurement Measure(const Definition& definition, const BenchOptions& options) {
  RefuseFlag("mppi", "--model", options.model);
  RefuseFlag("mppi", "--precision", options.precision);
  Sizes sizes = definition.sizes;
  options.config->Read("", sizes);
  CheckMemory("bench mppi: " + definition.name, 8.0 * sizes.population * (2 * sizes.horizon + 4));
  MppiOptions mppi;
  mppi.population = sizes.population;
  mppi.horizon = sizes.horizon;
  mppi.lambda = definition.lambda;
  mppi.noise_sigma = definition.noise_sigma;

  const auto planning = std::make_shared<std::unique_ptr<Planning>>();
  Measurement measurement;
  measurement.fields = {
      {"case", definition.name}, {"precision", "f64"}, {"threads", options.executor->size()}};
  measurement.prepare = [=, &definition, executor = options.executor] {
    *planning = std::make_unique<Planning>(definition, mppi, executor);
  };
  measurement.sample = [planning] {
    constexpr int kDecisions = 32;
    double seconds = 0;
    for (int decision = 0; decision < kDecisions; ++decision) seconds += (*planning)->Decide();
    return seconds / kDecisions;
  };
  measurement.finish = [sizes](double median, BenchRow& row) {
    row["ns_per_step"] = 1e9 * median / (1.0 * sizes.population * sizes.horizon);
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> MppiCases() {
  std::vector<BenchCase> cases;
  for (const Definition& definition : kDefinitions) {
    cases.push_back({definition.name, [&definition](const BenchOptions& options) {
                       return Measure(definition, options);
                     }});
  }
  return cases;
}

}  // namespace foreplan::apps
