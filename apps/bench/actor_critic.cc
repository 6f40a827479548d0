// Suite actor_critic: whole updates of critics, actor and temperature through an ensemble.
#include "foreplan/critics/actor_critic.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/core/memory.h"
#include "foreplan/models/ensembles/feature_map.h"

namespace foreplan::apps {
namespace {

/// What --set can change.
struct Sizes {
  int horizon = 3;
  int batch = 256;
  int width = 256;  // of actor, critics and model
  int hidden_layers = 3;
  int critics = 5;
  int members = 8;
  bool layer_norm = true;  // of the critics
  int updates = 50;        // that are one sample

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("horizon", horizon, {1, 1000}, "differentiable steps of the model");
    visitor.Field("batch", batch, {1, 65536}, "rows per update");
    visitor.Field("width", width, {1, 4096}, "units per hidden layer of all networks");
    visitor.Field("hidden_layers", hidden_layers, {1, 8}, "of all networks");
    visitor.Field("critics", critics, {1, 64}, "critics");
    visitor.Field("members", members, {1, 64}, "networks of the model");
    visitor.Field("layer_norm", layer_norm, "of the critics' hidden layers");
    visitor.Field("updates", updates, {1, 1e7}, "updates per sample");
  }
};

/// Updates go on from where the last one ended.
struct Updates {
  Updates(const Sizes& sizes, const std::shared_ptr<Executor>& executor)
      : task(SyntheticHalfCheetah()),
        updates(sizes.updates),
        policy(PolicyOf(task, sizes)),
        critics(policy.encoder().inputs(), policy.action_dim(),
                {.critics = sizes.critics,
                 .hidden_layers = sizes.hidden_layers,
                 .width = sizes.width,
                 .layer_norm = sizes.layer_norm},
                sizes.batch, Key{2, 0}, executor),
        actor_critic(policy, critics,
                     {.batch = sizes.batch, .horizon = sizes.horizon, .particles = sizes.members},
                     executor),
        starts(static_cast<size_t>(sizes.batch) * task.spec.observation.size()) {
    EnsembleOptions model;
    model.members = sizes.members;
    model.hidden_layers = sizes.hidden_layers;
    model.width = sizes.width;
    model.propagation = Propagation::kTs1;
    model.noise = MemberNoise::kConstant;
    // The task's own has no derivatives; this one is of the same sizes, and as cheap.
    std::shared_ptr<const Reward> reward =
        MakeReward("gymnasium_half_cheetah", task.spec.observation_dim(), task.spec.action_dim());
    actor_critic.set_model({FitShortly(model, task, executor), std::move(reward)});
    policy.set_scale(policy.encoder().Measure(task.data));
  }

  static SquashedGaussianPolicy PolicyOf(const SyntheticTask& task, const Sizes& sizes) {
    EnvironmentSpec observed = task.spec;
    observed.action.clear();
    Encoding encoding;
    encoding.omit = task.encoding.omit;
    encoding.sin_cos = task.encoding.sin_cos;
    return {FeatureMap(observed, encoding),
            task.spec.action_low,
            task.spec.action_high,
            {.hidden_layers = sizes.hidden_layers, .width = sizes.width},
            Key{1, 0}};
  }

  void Update() {
    Random random(Key{3, done});
    auto to = starts.begin();
    while (to != starts.end()) {
      const auto row = static_cast<int64_t>(random.Below(static_cast<uint64_t>(task.data.size())));
      to = std::ranges::copy(task.data.observation(row), to).out;
    }
    actor_critic.Update(starts, nullptr, Key{4, done++}, true, report);
  }

  double SecondsPerUpdate() {
    return SecondsPerCall(updates, [this] { Update(); });
  }

  SyntheticTask task;
  int updates;
  SquashedGaussianPolicy policy;
  CriticEnsemble critics;
  ActorCritic actor_critic;
  std::vector<double> starts;  // [batch x no]
  uint64_t done = 0;
  ActorCriticReport report;
};

// Least products, 2 a multiply-add: actor along the rollout forwards and back (3 each), model
// forwards and by its inputs (2), critics trained (3), at the horizon forwards and by their inputs
// (2), two targets (1).
double FlopPerUpdate(const Sizes& sizes, const Updates& updates) {
  const auto network = [&](int ends) {
    const double width = sizes.width;
    return 2 * (width * ends + width * width * (sizes.hidden_layers - 1));
  };
  const int features = updates.policy.encoder().inputs();
  const int nu = updates.policy.action_dim();
  const FeatureMap model(updates.task.spec, updates.task.encoding);
  const double actor = 3 * (sizes.horizon + 1) * network(features + 2 * nu);
  const double dynamics = 2 * sizes.horizon * network(model.inputs() + model.targets());
  const double critics = (5 * sizes.critics + 2) * network(features + nu + 1);
  return sizes.batch * (actor + dynamics + critics);
}

double BytesNeeded(const Sizes& sizes) {
  const double activations = 4.0 * sizes.batch * sizes.width * sizes.hidden_layers *
                             (3.0 * (sizes.horizon + 1) + 2.0 * sizes.horizon + 4 * sizes.critics);
  const double parameters =
      4.0 * (2 * sizes.members + 6 * sizes.critics + sizes.members) * sizes.width * sizes.width;
  return activations + parameters * sizes.hidden_layers;
}

Measurement Measure(const std::string& name, Sizes sizes, const BenchOptions& options) {
  RefuseFlag("actor_critic", "--model", options.model);
  RefuseFlag("actor_critic", "--precision", options.precision);
  options.config->Read("", sizes);
  CheckMemory("bench actor_critic: " + name, BytesNeeded(sizes));
  const auto updates = std::make_shared<std::unique_ptr<Updates>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {{"case", name},
                        {"precision", "f32"},
                        {"threads", options.executor->size()},
                        {"batch", sizes.batch},
                        {"horizon", sizes.horizon}};
  measurement.prepare = [=, executor = options.executor] {
    *updates = std::make_unique<Updates>(sizes, executor);
  };
  measurement.sample = [updates] { return (*updates)->SecondsPerUpdate(); };
  measurement.finish = [=](double median, BenchRow& row) {
    const double flop = FlopPerUpdate(sizes, **updates);
    row["gflop"] = 1e-9 * flop;
    row["gflops"] = 1e-9 * flop / median;
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> ActorCriticCases() {
  const auto make = [](const std::string& name, const Sizes& sizes) -> BenchCase {
    return {name, [=](const BenchOptions& options) { return Measure(name, sizes, options); }};
  };
  return {make("tr3_b256", {}), make("tr5_b256", {.horizon = 5})};
}

}  // namespace foreplan::apps
