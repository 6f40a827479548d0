// Suite latency: one network that predicts x' = x + f(x, u), for one state at a time, and the
// Jacobian dx'/d(x, u) at one and at a hundred states; one action of a network policy.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/nets/mlp_jacobian.h"
#include "foreplan/policies/network_policy.h"

namespace foreplan::apps {
namespace {

constexpr int kStates = 64;  // different ones in turn
constexpr int kCallsPerSample = 512;

struct Network {
  std::string name;
  int hidden_layers;
  SyntheticTask (*task)();
};

// (nx, nu) = (4, 1) and (18, 6).
const std::array kNetworks{Network{"3x200", 3, &SyntheticCartPoleRaw},
                           Network{"4x200", 4, &SyntheticHalfCheetahRaw}};

/// An ensemble of one deterministic network.
struct Latency {
  Latency(const Network& network, std::shared_ptr<Executor> executor)
      : task(network.task()),
        ensemble(FitShortly(Options(network), task, std::move(executor))),
        workspace(ensemble->MakeWorkspace(1)),
        next(static_cast<size_t>(ensemble->observation_dim())) {}

  static EnsembleOptions Options(const Network& network) {
    EnsembleOptions options;
    options.members = 1;
    options.hidden_layers = network.hidden_layers;
    options.width = 200;
    options.probabilistic = false;
    return options;
  }

  void Forward() {
    const int64_t row = calls++ % kStates;
    ensemble->Step({.rows = 1,
                    .state = task.data.observation(row).data(),
                    .action = task.data.action(row).data(),
                    .next_state = next.data(),
                    .next_observation = next.data(),
                    .key = Key{2, 0}},
                   *workspace);
  }

  SyntheticTask task;
  std::shared_ptr<const Ensemble> ensemble;
  std::unique_ptr<Dynamics::Workspace> workspace;
  std::vector<double> next;  // [nx]
  int64_t calls = 0;
};

/// Jacobians at states and actions of the data, with the inputs' and the targets' scales.
struct Jacobian {
  Jacobian(const Network& network, int at, std::shared_ptr<Executor> executor)
      : latency(network, std::move(executor)),
        knots(at),
        jacobian(latency.ensemble->mlp(), GetDenseKernel("auto"), knots),
        inputs(static_cast<size_t>(latency.ensemble->mlp().inputs())),
        x(static_cast<size_t>(kStates + knots) * inputs),
        result(static_cast<size_t>(knots) * latency.next.size() * inputs) {
    const Normaliser& normaliser = latency.ensemble->input_normaliser();
    std::vector<double> input(inputs);
    for (size_t row = 0; row < x.size() / inputs; ++row) {
      const auto index = static_cast<int64_t>(row);
      latency.ensemble->features().Input(latency.task.data.observation(index).data(),
                                         latency.task.data.action(index).data(), input.data());
      for (size_t i = 0; i < inputs; ++i) {
        x[row * inputs + i] =
            static_cast<float>((input[i] - normaliser.mean[i]) / normaliser.scale[i]);
      }
    }
  }

  /// dx'_o / dz_i = [o = i] + scale_o / scale_i J_oi.
  void Evaluate() {
    const Ensemble& ensemble = *latency.ensemble;
    const auto first = static_cast<size_t>(latency.calls++ % kStates);
    jacobian.Evaluate(ensemble.parameters(0), knots, &x[first * inputs]);
    const float* entry = jacobian.jacobian();
    double* to = result.data();
    const size_t outputs = latency.next.size();
    for (int knot = 0; knot < knots; ++knot) {
      for (size_t o = 0; o < outputs; ++o, entry += inputs, to += inputs) {
        const double scale = ensemble.target_normaliser().scale[o];
        for (size_t i = 0; i < inputs; ++i) {
          to[i] = scale / ensemble.input_normaliser().scale[i] * entry[i];
        }
        to[o] += 1.0;
      }
    }
  }

  Latency latency;
  int knots;
  MlpJacobian jacobian;
  size_t inputs;
  std::vector<float> x;        // [kStates + knots x inputs], normalised
  std::vector<double> result;  // [knots x nx x inputs]
};

Measurement MeasureJacobian(const std::string& name, const Network& network, int knots,
                            const BenchOptions& options) {
  RefuseFlag("latency", "--model", options.model);
  RefuseFlag("latency", "--precision", options.precision);
  const auto jacobian = std::make_shared<std::unique_ptr<Jacobian>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {
      {"case", name}, {"net", network.name}, {"precision", "f32"}, {"threads", 1}};
  measurement.prepare = [=, executor = options.executor] {
    *jacobian = std::make_unique<Jacobian>(network, knots, executor);
  };
  measurement.sample = [=] {
    return SecondsPerCall(kCallsPerSample / knots + 1, [&] { (*jacobian)->Evaluate(); });
  };
  return measurement;
}

/// The policy of the loop policy_backprop as it is by default, on a cart-pole.
Measurement MeasurePolicy(const BenchOptions& options) {
  RefuseFlag("latency", "--model", options.model);
  RefuseFlag("latency", "--precision", options.precision);
  const auto task = std::make_shared<SyntheticTask>(SyntheticCartPoleRaw());
  const auto policy = std::make_shared<NetworkPolicy>(
      task->spec.observation_dim(), task->spec.action_low, task->spec.action_high,
      NetworkPolicyOptions{.output = PolicyOutput::kTanh}, Key{1, 0});
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {
      {"case", "policy_act"}, {"net", "2x64"}, {"precision", "f32"}, {"threads", 1}};
  measurement.sample = [task, policy] {
    int64_t calls = 0;
    std::vector<double> action(task->spec.action.size());
    return SecondsPerCall(kCallsPerSample, [&] {
      policy->Act({.observation = task->data.observation(calls++ % kStates), .key = {}}, action);
    });
  };
  return measurement;
}

Measurement MeasureForward(const Network& network, const BenchOptions& options) {
  RefuseFlag("latency", "--model", options.model);
  RefuseFlag("latency", "--precision", options.precision);
  const auto latency = std::make_shared<std::unique_ptr<Latency>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {
      {"case", "forward_1"}, {"net", network.name}, {"precision", "f32"}, {"threads", 1}};
  measurement.prepare = [=, executor = options.executor] {
    *latency = std::make_unique<Latency>(network, executor);
  };
  measurement.sample = [latency] {
    return SecondsPerCall(kCallsPerSample, [&] { (*latency)->Forward(); });
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> LatencyCases() {
  std::vector<BenchCase> cases;
  for (const Network& network : kNetworks) {
    cases.push_back({"forward_1", [network](const BenchOptions& options) {
                       return MeasureForward(network, options);
                     }});
    for (const int knots : {1, 100}) {
      const std::string name = fmt::format("jacobian_{}", knots);
      cases.push_back({name, [=](const BenchOptions& options) {
                         return MeasureJacobian(name, network, knots, options);
                       }});
    }
  }
  cases.push_back({"policy_act", MeasurePolicy});
  return cases;
}

}  // namespace foreplan::apps
