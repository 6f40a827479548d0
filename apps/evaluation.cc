#include "apps/evaluation.h"

#include <fmt/format.h>

#include <chrono>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"

namespace foreplan::apps {
namespace {

// Training derives its keys from stream 0 of the seed.
constexpr uint64_t kEvaluationStream = 0x65766c6e;

/// Counts the time that another policy takes.
class TimedPolicy final : public Policy {
 public:
  explicit TimedPolicy(Policy& policy) : policy_(policy) {}

  void Reset(Key key) override { policy_.Reset(key); }

  void Act(const Situation& situation, std::span<double> action) override {
    const auto start = std::chrono::steady_clock::now();
    policy_.Act(situation, action);
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++decisions_;
  }

  [[nodiscard]] double MsPerDecision() const {
    return decisions_ > 0 ? 1e3 * seconds_ / decisions_ : 0;
  }

 private:
  Policy& policy_;
  double seconds_ = 0;
  int decisions_ = 0;
};

}  // namespace

Evaluation Evaluate(const std::string& controller, const Task& task, Policy& policy,
                    const EvaluationRequest& request, const std::atomic<bool>& stop) {
  Evaluation evaluation;
  evaluation.controller = controller;
  TimedPolicy timed(policy);
  const std::unique_ptr<System> system = task.MakeSystem();
  const Key key{static_cast<uint64_t>(request.seed), kEvaluationStream};
  for (int episode = 0; episode < request.episodes; ++episode) {
    const EpisodeResult result =
        RunEpisode(task, *system, timed, key.Fold(static_cast<uint64_t>(episode)),
                   task.episode_length(), [&stop](const EpisodeStep&) {
                     if (stop) throw Interrupted("interrupted; nothing was written");
                   });
    if (!result.divergence.empty()) {
      throw RunError(fmt::format("{}: episode {} of controller '{}': {}", task.name(), episode + 1,
                                 controller, result.divergence));
    }
    evaluation.returns.push_back(result.episode_return);
    evaluation.steps.push_back(result.steps);
  }
  evaluation.summary = Summarize(evaluation.returns);
  evaluation.ms_per_decision = timed.MsPerDecision();
  return evaluation;
}

}  // namespace foreplan::apps
