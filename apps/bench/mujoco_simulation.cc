// Suite simulation: open-loop rollouts of a MuJoCo model, shared out over threads.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/suite.h"
#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task_files.h"

namespace foreplan::apps {
namespace {

/// What --set can change.
struct Sizes {
  int rollouts = 256;
  int steps = 100;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("rollouts", rollouts, {1, 1000000}, "per sample");
    visitor.Field("steps", steps, {1, 1000000}, "simulator steps per rollout");
  }
};

/// Every rollout starts from a state and a control sequence of its own and keeps the state after
/// every step.
class Simulation {
 public:
  Simulation(const MujocoSystem& system, const Sizes& sizes, Executor& executor)
      : sizes_(sizes),
        executor_(executor),
        nu_(static_cast<size_t>(system.spec().action_dim())),
        ns_(static_cast<size_t>(system.spec().state_dim())),
        actions_(Steps() * nu_),
        starts_(static_cast<size_t>(sizes.rollouts) * ns_),
        states_(Steps() * ns_) {
    for (int worker = 0; worker < executor.size(); ++worker) systems_.push_back(system.Clone());
    Random random(Key{1, 0});
    for (size_t i = 0; i < actions_.size(); ++i) {
      actions_[i] =
          random.Uniform(system.spec().action_low[i % nu_], system.spec().action_high[i % nu_]);
    }
    for (int rollout = 0; rollout < sizes.rollouts; ++rollout) {
      systems_[0]->Reset(Key{2, static_cast<uint64_t>(rollout)});
      systems_[0]->GetState(Start(rollout));
    }
  }

  void Run() {
    executor_.ParallelFor(sizes_.rollouts, [this](int rollout, int worker) {
      System& system = *systems_[static_cast<size_t>(worker)];
      system.SetState(Start(rollout));
      for (int t = 0; t < sizes_.steps; ++t) {
        const size_t at = static_cast<size_t>(rollout) * static_cast<size_t>(sizes_.steps) +
                          static_cast<size_t>(t);
        if (system.Step({&actions_[at * nu_], nu_}) != StepStatus::kOk) {
          throw RunError("bench simulation: " + system.Divergence());
        }
        system.GetState({&states_[at * ns_], ns_});
      }
    });
  }

 private:
  [[nodiscard]] size_t Steps() const {
    return static_cast<size_t>(sizes_.rollouts) * static_cast<size_t>(sizes_.steps);
  }
  std::span<double> Start(int rollout) {
    return std::span(starts_).subspan(static_cast<size_t>(rollout) * ns_, ns_);
  }

  Sizes sizes_;
  Executor& executor_;
  size_t nu_;
  size_t ns_;
  std::vector<double> actions_;                   // [rollouts x steps x nu]
  std::vector<double> starts_;                    // [rollouts x state_dim]
  std::vector<double> states_;                    // [rollouts x steps x state_dim]
  std::vector<std::unique_ptr<System>> systems_;  // [workers]
};

Measurement Measure(const BenchOptions& options) {
  RefuseFlag("simulation", "--precision", options.precision);
  Sizes sizes;
  options.config->Read("", sizes);
  MujocoOptions model;
  model.model =
      options.model.empty() ? (TasksDirectory() / "pets_cartpole.xml").string() : options.model;
  model.reset.distribution = ResetOptions::Distribution::kUniform;
  model.reset.position = 0.05;
  model.reset.velocity = 0.05;
  const auto system = std::make_shared<const MujocoSystem>(model);
  const SystemSpec& spec = system->spec();
  CheckMemory("bench simulation",
              8.0 * sizes.rollouts * (sizes.steps + 1) * (spec.state_dim() + spec.action_dim()));

  const auto simulation = std::make_shared<std::unique_ptr<Simulation>>();
  Measurement measurement;
  measurement.fields = {{"case", std::filesystem::path(model.model).stem().string()},
                        {"precision", "f64"},
                        {"threads", options.executor->size()},
                        {"rollouts", sizes.rollouts},
                        {"steps", sizes.steps}};
  measurement.prepare = [=, executor = options.executor] {
    *simulation = std::make_unique<Simulation>(*system, sizes, *executor);
  };
  measurement.sample = [simulation] { return SecondsPerCall(1, [&] { (*simulation)->Run(); }); };
  measurement.finish = [sizes](double median, BenchRow& row) {
    row["steps_per_second"] = 1.0 * sizes.rollouts * sizes.steps / median;
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> SimulationCases() { return {{"rollouts", &Measure}}; }

}  // namespace foreplan::apps
