// Shipped tasks as environments that pay: nothing else is known of what is wanted. For tests.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/systems/environment.h"
#include "foreplan/systems/task.h"

namespace foreplan::testing {

/// Shows a task's system without its state, pays the task's reward and ends where the task does.
class PayingEnvironment final : public Environment {
 public:
  explicit PayingEnvironment(const Task& task)
      : task_(task),
        system_(task.MakeSystem()),
        before_(static_cast<size_t>(spec().observation_dim())),
        after_(before_.size()) {}

  [[nodiscard]] const EnvironmentSpec& spec() const override { return system_->spec(); }
  void Reset(Key key) override {
    system_->Reset(key);
    system_->Observe(after_);
  }
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override {
    before_ = after_;
    StepOutcome outcome = system_->Step(action);
    if (outcome.status != StepStatus::kOk) return outcome;
    system_->Observe(after_);
    uint8_t terminated = 0;
    outcome.reward.emplace();
    task_.reward().Evaluate({.rows = 1,
                             .observation = before_.data(),
                             .action = action.data(),
                             .next_observation = after_.data()},
                            &*outcome.reward, &terminated);
    if (terminated != 0) outcome.end = StepEnd::kTerminated;
    return outcome;
  }
  void Observe(std::span<double> observation) const override { system_->Observe(observation); }
  [[nodiscard]] std::string Divergence() const override { return system_->Divergence(); }

 private:
  Task task_;
  std::unique_ptr<System> system_;
  std::vector<double> before_, after_;  // [no]
};

/// The task of such an environment. It has no reward of its own, for planning neither: who asks for
/// one gets InputError.
inline Task PaidTask(const Task& task) {
  return Task({.name = task.name(),
               .summary = task.summary(),
               .make_environment = [task] { return std::make_unique<PayingEnvironment>(task); },
               .episode_length = task.episode_length(),
               .encoding = task.encoding()});
}

}  // namespace foreplan::testing
