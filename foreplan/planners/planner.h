// What chooses a plan.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/deadline.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/model_version.h"
#include "foreplan/systems/action_bounds.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

class LinearGaussianPolicy;
class PolicyProposal;
class TerminalValue;

enum class PlanStatus {
  kOk,          // all iterations done
  kConverged,   // stopped early by the planner's own rule
  kDeadline,    // cut by the budget; the plan is the best so far, the warm start among them
  kStopped,     // cut by the stop token, likewise
  kAllInvalid,  // no candidate had a finite return; the plan is the warm start
};

/// "ok", "all invalid": in a plan's JSON and in messages.
[[nodiscard]] std::string_view NameOf(PlanStatus status);

/// What to do from control step `first_step` on. A return that is not finite, or was not imagined,
/// is -infinity.
struct Plan {
  int64_t first_step = 0;
  std::vector<double> actions;  // [horizon x nu], inside the bounds
  /// What the model says `actions` earn, under noise that had no part in choosing them.
  double expected_return = -std::numeric_limits<double>::infinity();
  /// Of the best candidate of the last iteration: of several returns the largest, so too high by
  /// the noise of the model, and no return of `actions` where these are an average.
  double best_return = -std::numeric_limits<double>::infinity();
  PlanStatus status = PlanStatus::kOk;
  int iterations = 0;
  int rollouts = 0;    // candidates of the iterations
  double seconds = 0;  // wall time of the decision
  /// u = u^_t + K_t (x - x^_t) around the plan, t from 0 at first_step, where it was asked for and
  /// the planner has gains, else null; its actions stay inside the bounds.
  std::shared_ptr<const LinearGaussianPolicy> feedback;

  /// What to do at control step `step` in `state`, [state_dim]: the planned action, and the
  /// feedback on how far the state is off where the plan has it. action: [nu]. Throws InputError
  /// for a step that is not the plan's, and a state or an action of another size.
  void ActionAt(int64_t step, std::span<const double> state, std::span<double> action) const;
};

/// How much a planner may spend on one decision.
struct Budget {
  Deadline deadline;  // none: all iterations
};

/// What a decision is asked for.
struct PlanRequest {
  std::span<const double> state;  // [state_dim] of the dynamics
  int64_t step = 0;               // control steps since the episode began
  Key key;                        // of all that the decision draws
  Budget budget;
  std::stop_token stop = {};  // looked at wherever the deadline is
  /// What else may be done; looked at with the first candidates. Null: nothing.
  PolicyProposal* proposal = nullptr;
  bool feedback = false;  // Plan::feedback is wanted
};

/// What a planner plans with.
struct PlanningProblem {
  std::shared_ptr<const Dynamics> dynamics;
  std::shared_ptr<const Reward> reward;
  ActionBounds bounds;
  // What works meanwhile, as a fit may, has another one.
  std::shared_ptr<Executor> executor = std::make_shared<SerialExecutor>();
  std::shared_ptr<const TerminalValue> terminal_value = {};  // at the horizon; null: none

  /// Plans with that version from now on; false where it does already.
  bool Take(const ModelVersion& version);
};

/// Keeps its warm start between decisions of one episode. Allocates only when it is made, and when
/// it gets another model.
class Planner {
 public:
  virtual ~Planner() = default;

  /// Steps of its plans.
  [[nodiscard]] virtual int horizon() const = 0;

  /// Forgets the warm start: an episode begins.
  virtual void Reset() = 0;

  /// Plans with another version of its model from the next decision on; the warm start stays.
  /// Throws InputError unless the version has the sizes of the present one.
  virtual void set_model(const ModelVersion& version) = 0;

  /// Plans from the request's state. The warm start is the last plan, shifted by the steps that
  /// have passed since; of a plan that is used up nothing is left. The reference is valid until the
  /// next call. A decision whose budget is used up is cut: of the warm start, which it imagines
  /// first, and what it has found, it takes what the model likes best. Throws InputError for a step
  /// before that of the last plan: an episode that began without Reset.
  virtual const Plan& MakePlan(const PlanRequest& request) = 0;

  /// Copies the candidates that the last decision's last iteration liked best, the best first, as
  /// many as there are and `sequences` ([count x horizon x nu]) has room for; returns how many.
  /// None where a planner has no candidates, or the decision had no time for any.
  [[nodiscard]] virtual int CopyCandidates(std::span<double> /*sequences*/) const { return 0; }
};

/// Reads sections [planner.<name>] and [planner] of `config` and makes that planner; `horizon`
/// replaces the one of the options. Throws InputError for an unknown name or wrong options.
std::unique_ptr<Planner> MakePlanner(const std::string& name, Config& config,
                                     const PlanningProblem& problem,
                                     std::optional<int> horizon = {});
/// Appends section [planner.<name>] as it is in effect; a horizon in seconds as such, in section
/// [planner].
void WritePlannerOptions(const std::string& name, Config& config, ConfigWriter& writer);
/// Steps that this planner looks ahead; 0 for one of a program that has no option `horizon`.
int PlannerHorizon(const std::string& name, Config& config);
std::vector<std::string> PlannerNames();

}  // namespace foreplan
