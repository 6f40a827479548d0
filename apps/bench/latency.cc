// Suite latency: one network that predicts x' = x + f(x, u), for one state at a time.
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/models/ensemble.h"

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
  Latency(const Network& network, ThreadPool& pool)
      : task(network.task()),
        ensemble(task.spec, task.encoding, Options(network), Key{1, 0}),
        workspace(ensemble.MakeWorkspace(1)),
        next(static_cast<size_t>(ensemble.observation_dim())) {
    FitShortly(ensemble, task, pool);
  }

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
    ensemble.Step({.rows = 1,
                   .state = task.data.observation(row).data(),
                   .action = task.data.action(row).data(),
                   .next_state = next.data(),
                   .next_observation = next.data(),
                   .key = Key{2, 0}},
                  *workspace);
  }

  SyntheticTask task;
  Ensemble ensemble;
  std::unique_ptr<Dynamics::Workspace> workspace;
  std::vector<double> next;  // [nx]
  int64_t calls = 0;
};

Measurement MeasureForward(const Network& network, const BenchOptions& options) {
  RefuseFlag("latency", "--model", options.model);
  RefuseFlag("latency", "--precision", options.precision);
  const auto latency = std::make_shared<std::unique_ptr<Latency>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {
      {"case", "forward_1"}, {"net", network.name}, {"precision", "f32"}, {"threads", 1}};
  measurement.prepare = [=, &pool = *options.pool] {
    *latency = std::make_unique<Latency>(network, pool);
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
  }
  return cases;
}

}  // namespace foreplan::apps
