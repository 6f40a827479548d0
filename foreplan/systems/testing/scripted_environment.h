// Environments and tasks that a test writes down.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/task.h"

namespace foreplan::testing {

/// The cart-pole with a reward and an end of its own; it starts at rest.
inline Task ExpressionTask(const std::string& reward, const std::string& more = "") {
  Config config = Config::FromString("name = \"cartpole\"\nreward = \"" + reward + "\"\n" + more +
                                         "\nepisode_length = 30\n[system]\ntype = \"cartpole\"\n" +
                                         "[system.reset]\nposition = 0\nvelocity = 0\n",
                                     "test");
  return Task::FromConfig(config, ".");
}

/// Shows a system without its state, and says of every step what a script says.
class ScriptedEnvironment final : public Environment {
 public:
  /// Called with the number of the step, from 0; may throw.
  using Script = std::function<StepOutcome(int step)>;
  ScriptedEnvironment(const Task& task, Script script)
      : system_(task.MakeSystem()), script_(std::move(script)) {}

  const EnvironmentSpec& spec() const override { return system_->spec(); }
  void Reset(Key key) override {
    system_->Reset(key);
    step_ = 0;
  }
  StepOutcome Step(std::span<const double> action) override {
    const StepOutcome stepped = system_->Step(action);
    return stepped == StepStatus::kOk ? script_(step_++) : stepped;
  }
  void Observe(std::span<double> observation) const override { system_->Observe(observation); }

 private:
  std::unique_ptr<System> system_;
  Script script_;
  int step_ = 0;
};

inline StepOutcome Paid(double reward, StepEnd end = StepEnd::kContinues) {
  StepOutcome outcome;
  outcome.reward = reward;
  outcome.end = end;
  return outcome;
}

}  // namespace foreplan::testing
