// What the sampling planners share: a population of action sequences, its imagined returns, the
// choice of elites, the shift of a warm start, and the bookkeeping of a decision.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/deadline.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/models/imagination.h"
#include "foreplan/planners/planner.h"

namespace foreplan {

/// Options of every sampling planner; theirs derive from it.
struct SamplingOptions {
  int horizon = 25;   // steps imagined, 1 ... 10000
  int particles = 5;  // rollouts per candidate, 1 ... 1000; 1 is used on a deterministic model

  void Visit(OptionsVisitor& visitor);
};

/// What a candidate's return is imagined on.
enum class Imagined {
  kParticles,  // rollouts through members and noise of the model, their mean
  kExpected,   // one rollout along the expected next states
};

/// Action sequences (row-major [horizon x nu]), the box they live in, and their imagined returns.
/// Candidate c of a key is drawn from a key of its own, so results do not depend on threads.
/// Allocates only when it is made, and when it gets another model.
class Population {
 public:
  /// Throws InputError when the bounds are not finite, empty or of another size than the actions.
  Population(const PlanningProblem& problem, const SamplingOptions& options, int max_candidates,
             Imagined imagined = Imagined::kParticles);

  void set_model(const ModelVersion& version) { imagination_.set_model(version); }

  [[nodiscard]] int horizon() const { return imagination_.horizon(); }
  [[nodiscard]] size_t action_dim() const { return action_dim_; }
  [[nodiscard]] size_t sequence_size() const { return low_.size(); }        // horizon * nu
  [[nodiscard]] std::span<const double> low() const { return low_; }        // [horizon x nu]
  [[nodiscard]] std::span<const double> high() const { return high_; }      // [horizon x nu]
  [[nodiscard]] std::span<const double> middle() const { return middle_; }  // [horizon x nu]
  [[nodiscard]] int workers() const { return executor_->size(); }

  std::span<double> candidate(int index) {
    return {&actions_[static_cast<size_t>(index) * sequence_size()], sequence_size()};
  }
  /// A place for one more sequence of the planner's: [horizon x nu].
  [[nodiscard]] std::span<double> best() { return best_; }
  [[nodiscard]] double returns(int index) const { return returns_[static_cast<size_t>(index)]; }

  /// Fills candidates first ... count - 1 in parallel: `draw(random, worker, sequence)` writes one
  /// sequence, which is then clamped to the bounds.
  template <typename DrawSequence>
  void Draw(int first, int count, Key key, DrawSequence&& draw) {
    const KeyFamily keys(key.Fold(kActionStream));
    const int chunks = (count - first + kChunk - 1) / kChunk;
    executor_->ParallelFor(chunks, [&](int chunk, int worker) {
      const int begin = first + chunk * kChunk;
      for (int c = begin; c < std::min(begin + kChunk, count); ++c) {
        Random random(keys[static_cast<uint64_t>(c)]);
        draw(random, worker, candidate(c));
        Clamp(candidate(c));
      }
    });
  }

  /// Writes what `proposal` has, null: nothing, from candidate `first` on, clamped to the bounds,
  /// into at most half of the places before `count`, at least one; returns the place behind.
  int Propose(PolicyProposal* proposal, std::span<const double> state, int first, int count);

  /// Clamps a sequence to the bounds.
  void Clamp(std::span<double> sequence) const;

  /// Imagines candidates first ... count - 1 from `state`, those before them having been imagined
  /// with the same key; a return that is not finite is -infinity. False, and they do not count,
  /// when the cutoff came before all was imagined.
  bool Evaluate(std::span<const double> state, int first, int count, Key key,
                const Cutoff& cutoff = {});
  [[nodiscard]] int evaluated() const { return evaluated_; }
  /// From now on none counts: a decision begins.
  void Forget() { evaluated_ = 0; }

  /// Draws candidates and imagines them all; those before `first` stand already. With a deadline it
  /// goes chunk by chunk, each as large as half of the time left allows; false when the cutoff came
  /// before the end.
  template <typename DrawSequence>
  bool Explore(std::span<const double> state, int first, int count, Key key, const Cutoff& cutoff,
               DrawSequence&& draw) {
    evaluated_ = 0;
    int chunk = cutoff.deadline ? kChunk : count;
    for (int begin = 0; begin < count;) {
      const auto start = std::chrono::steady_clock::now();
      const int end = std::min(begin + chunk, count);
      Draw(std::clamp(first, begin, end), end, key, draw);
      if (!Evaluate(state, begin, end, key, cutoff)) return false;
      if (cutoff.deadline) chunk = NextChunk(end - begin, start, *cutoff.deadline, count);
      begin = end;
    }
    return true;
  }

  /// Returns of at most kCompared sequences of the caller's ([horizon x nu] each), imagined
  /// together. False when the cutoff came.
  static constexpr int kCompared = 3;
  bool Compare(std::span<const double> state, std::span<const std::span<const double>> sequences,
               Key key, const Cutoff& cutoff, std::span<double> returns);

  /// The best of the candidates evaluated last, best first, equal returns by index; at most
  /// `wanted`, and only those with a finite return. Valid until the next call.
  [[nodiscard]] std::span<const int> Elites(int wanted) const;
  /// Copies the best of them, as Planner::CopyCandidates says.
  [[nodiscard]] int CopyBest(std::span<double> sequences) const;

  /// Mean and variance (divided by the number of members) of candidates: [horizon x nu] each.
  void Moments(std::span<const int> members, std::span<double> mean, std::span<double> variance);

 private:
  static constexpr uint64_t kActionStream = 0;
  static constexpr uint64_t kModelStream = 1;
  static constexpr int kChunk = 16;  // candidates drawn by one task, and fewest imagined together

  using Time = std::chrono::steady_clock::time_point;
  /// Candidates of the next chunk after one of `size` that began at `start`.
  static int NextChunk(int size, Time start, Time deadline, int most);

  size_t action_dim_;
  std::shared_ptr<Executor> executor_;
  Imagination imagination_;
  std::vector<double> low_;         // [horizon x nu]
  std::vector<double> high_;        // [horizon x nu]
  std::vector<double> middle_;      // [horizon x nu]
  std::vector<double> actions_;     // [max_candidates x horizon x nu]
  std::vector<double> returns_;     // [max_candidates]
  mutable std::vector<int> order_;  // scratch of Elites: [max_candidates]
  std::vector<double> best_;        // [horizon x nu]
  std::vector<double> compared_;    // [kCompared x horizon x nu]
  int evaluated_ = 0;
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

/// The clock and the counters of one decision.
class DecisionClock {
 public:
  /// Starts the clock and clears all of the plan but its actions. The plan must outlive the clock.
  DecisionClock(const PlanRequest& request, Plan& plan);

  /// True when another of `iterations` may begin; false when all are done or the time is over.
  [[nodiscard]] bool NextIteration(int iterations);

  /// An iteration is done, or cut: so many rollouts, the best of them with this return.
  void Record(int rollouts, double best_return);

  /// When searching has to end.
  [[nodiscard]] const Cutoff& cutoff() const { return cutoff_; }
  /// From now on its deadline, if there is one, is so much earlier [s].
  void Reserve(double seconds);
  /// The time is over before the work is done.
  void Cut() { is_cut_ = true; }
  [[nodiscard]] bool is_cut() const { return is_cut_; }

  [[nodiscard]] double Seconds() const;  // since the start

  /// Status and time; call it when the plan's actions are in place.
  const Plan& Finish();

 private:
  std::chrono::steady_clock::time_point start_;
  Cutoff cutoff_;
  Plan& plan_;
  bool any_finite_ = false;
  bool is_cut_ = false;
};

/// One decision of a sampling planner. What is executed is the planner's answer, unless the model
/// cannot predict it or the decision was cut: then the best of the warm start, the best candidate
/// and the answer, compared under noise of their own. Time for the comparison is kept back, as much
/// as the warm start took, which a decision with a deadline imagines before all else.
class SamplingDecision {
 public:
  /// plan.actions: the warm start. References must outlive the decision.
  SamplingDecision(Population& population, const PlanRequest& request, Plan& plan);

  [[nodiscard]] bool NextIteration(int iterations) { return clock_.NextIteration(iterations); }

  /// The candidates of an iteration, see Population::Explore; with those of the first one what the
  /// request proposes.
  template <typename DrawSequence>
  void Explore(int first, int count, Key key, DrawSequence&& draw) {
    if (plan_.iterations == 0) {
      first = population_.Propose(request_.proposal, request_.state, first, count);
    }
    if (!population_.Explore(request_.state, first, count, key, clock_.cutoff(), draw)) {
      clock_.Cut();
    }
    FinishIteration();
  }

  [[nodiscard]] bool is_cut() const { return clock_.is_cut(); }

  /// The best candidate of the last iteration that had a valid one; until then the warm start.
  [[nodiscard]] std::span<const double> best() const { return best_; }

  /// Puts what is executed into the plan.
  const Plan& Conclude(std::span<const double> answer);

 private:
  void ImagineWarmStart();
  void FinishIteration();
  void Choose(std::span<const double> answer);
  /// Returns under the comparison's noise; left as they are, and the decision cut, where there is
  /// no time for them.
  void Compare(std::span<const std::span<const double>> sequences, std::span<double> returns);

  Population& population_;
  const PlanRequest& request_;
  Plan& plan_;
  DecisionClock clock_;
  std::span<double> best_;  // [horizon x nu]
  double warm_return_;      // of the warm start, if it was imagined
};

}  // namespace foreplan
