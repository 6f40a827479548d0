// What the sampling planners share: a population of action sequences, its imagined returns, the
// choice of elites, the shift of a warm start, and the bookkeeping of a decision.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/imagination.h"
#include "foreplan/planners/planner.h"

namespace foreplan {

/// Options of every sampling planner; theirs derive from it.
struct SamplingOptions {
  int horizon = 25;   // steps imagined, 1 ... 10000
  int particles = 5;  // rollouts per candidate, 1 ... 1000; 1 is used on a deterministic model

  void Visit(OptionsVisitor& visitor);
};

/// Action sequences (row-major [horizon x nu]), the box they live in, and their imagined returns.
/// Candidate c of a key is drawn from a key of its own, so results do not depend on threads.
/// Allocates only in the constructor.
class Population {
 public:
  /// Throws InputError when the bounds are not finite, empty or of another size than the actions.
  Population(const PlanningProblem& problem, const SamplingOptions& options, int max_candidates);

  [[nodiscard]] int horizon() const { return imagination_.horizon(); }
  [[nodiscard]] size_t action_dim() const { return action_dim_; }
  [[nodiscard]] size_t sequence_size() const { return low_.size(); }        // horizon * nu
  [[nodiscard]] std::span<const double> low() const { return low_; }        // [horizon x nu]
  [[nodiscard]] std::span<const double> high() const { return high_; }      // [horizon x nu]
  [[nodiscard]] std::span<const double> middle() const { return middle_; }  // [horizon x nu]
  [[nodiscard]] int workers() const { return pool_.size(); }

  std::span<double> candidate(int index) {
    return {&actions_[static_cast<size_t>(index) * sequence_size()], sequence_size()};
  }
  [[nodiscard]] double returns(int index) const { return returns_[static_cast<size_t>(index)]; }

  /// Fills candidates first ... count - 1 in parallel: `draw(random, worker, sequence)` writes one
  /// sequence, which is then clamped to the bounds.
  template <typename DrawSequence>
  void Draw(int first, int count, Key key, DrawSequence&& draw) {
    const KeyFamily keys(key.Fold(kActionStream));
    const int chunks = (count - first + kChunk - 1) / kChunk;
    pool_.ParallelFor(chunks, [&](int chunk, int worker) {
      const int begin = first + chunk * kChunk;
      for (int c = begin; c < std::min(begin + kChunk, count); ++c) {
        Random random(keys[static_cast<uint64_t>(c)]);
        draw(random, worker, candidate(c));
        Clamp(candidate(c));
      }
    });
  }

  /// Clamps a sequence to the bounds.
  void Clamp(std::span<double> sequence) const;

  /// Imagines candidates 0 ... count - 1 from `state`; a return that is not finite is -infinity.
  /// The best return.
  double Evaluate(std::span<const double> state, int count, Key key);

  /// Decides what is executed: `answer` ([horizon x nu]), the planner's own choice; the best
  /// candidate instead where the model cannot predict the answer. Fills actions and expected return
  /// of the plan, whose actions have been the warm start so far. best: [horizon x nu].
  void Conclude(const PlanRequest& request, std::span<const double> best,
                std::span<const double> answer, Plan& plan);

  /// The best of the candidates evaluated last, best first, equal returns by index; at most
  /// `wanted`, and only those with a finite return. Valid until the next call.
  [[nodiscard]] std::span<const int> Elites(int wanted);

  /// Mean and variance (divided by the number of members) of candidates: [horizon x nu] each.
  void Moments(std::span<const int> members, std::span<double> mean, std::span<double> variance);

 private:
  static constexpr uint64_t kActionStream = 0;
  static constexpr uint64_t kModelStream = 1;
  static constexpr uint64_t kFinalStream = uint64_t{1} << 32;  // past all iterations
  static constexpr int kChunk = 16;                            // candidates drawn by one task
  static constexpr int kFinalists = 3;  // the warm start, the best candidate, the answer

  size_t action_dim_;
  ThreadPool& pool_;
  Imagination imagination_;
  std::vector<double> low_;      // [horizon x nu]
  std::vector<double> high_;     // [horizon x nu]
  std::vector<double> middle_;   // [horizon x nu]
  std::vector<double> actions_;  // [max_candidates x horizon x nu]
  std::vector<double> returns_;  // [max_candidates]
  std::vector<int> order_;       // [max_candidates]
  int evaluated_ = 0;
  std::vector<double> finalists_;  // [kFinalists x horizon x nu]
};

/// Moves a sequence ([horizon x nu]) so many steps ahead in time, 0 ... horizon - 1; the last
/// action is repeated.
void ShiftSequence(std::span<double> sequence, size_t nu, int steps);

/// The control step at which a planner's warm start stands.
class WarmStep {
 public:
  /// An episode begins.
  void Reset() { step_.reset(); }
  /// Moves on to `step`; by how many steps, and 0 at the first of an episode. Throws InputError
  /// when `step` lies before the last one.
  int64_t MoveTo(int64_t step);

 private:
  std::optional<int64_t> step_;
};

/// The options if all are in range; throws InputError naming section, option, value and range.
template <typename Options>
Options Validated(std::string_view section, Options options) {
  ValidateOptions(section, options);
  return options;
}

/// The clock and the counters of one decision: everything in a Plan but its actions and what these
/// are expected to earn.
class DecisionClock {
 public:
  /// Starts the clock and clears the plan's counters. References must outlive the decision.
  DecisionClock(const PlanRequest& request, Plan& plan);

  /// True when another of `iterations` may begin; false when all are done or the time is over.
  [[nodiscard]] bool NextIteration(int iterations);

  /// An iteration is done: so many rollouts, the best of them with this return.
  void Record(int rollouts, double best_return);

  /// Status and time; call it when the plan's actions are in place.
  const Plan& Finish();

 private:
  std::chrono::steady_clock::time_point start_;
  const PlanRequest& request_;
  Plan& plan_;
  bool any_finite_ = false;
};

}  // namespace foreplan
