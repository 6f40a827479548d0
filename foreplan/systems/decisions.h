// What stands between the decisions of a controller and what acts: actions that are held for
// several control periods, actions that are filtered, and what the observation tells of both.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/expressions/expression_scope.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"

namespace foreplan {

struct DecisionOptions {
  int repeat = 1;     // control periods that a decision is held for
  double filter = 0;  // time constant of a first-order low pass of the actions [s]; 0: none
  bool observes_time = false;
  bool observes_previous_action = false;

  /// Whether there is anything to do.
  [[nodiscard]] bool any() const {
    return repeat > 1 || filter > 0 || observes_time || observes_previous_action;
  }
};

/// Of the components that are added behind those of an observation z:
///   "episode_time" [s]   seconds since the start of the episode;
///   "filtered_<action>"  f, what acts: f += (1 - exp(-dt / filter)) (u - f) in every control
///                        period, before it; at the start 0, or the bound next to it;
///   "previous_<action>"  the decision before; at the start as f.
/// All move as is known: z' = keep z + gain u + offset.
class DecisionRule {
 public:
  /// `spec` is that of what acts.
  DecisionRule(const EnvironmentSpec& spec, const DecisionOptions& options);

  [[nodiscard]] const DecisionOptions& options() const { return options_; }
  /// What a controller sees and does: of decisions.
  [[nodiscard]] EnvironmentSpec SpecOf(EnvironmentSpec spec) const;
  /// The components that are added, and their motion over one decision.
  [[nodiscard]] const std::vector<Component>& added() const { return added_; }
  [[nodiscard]] std::vector<KnownMotion> motions() const;
  /// Those that say nothing of how what acts goes on.
  [[nodiscard]] std::vector<std::string> NotOfTheMotion() const;

  // z: [added], decision, applied: [nu]

  void Start(std::span<double> z) const;
  /// The action of the next control period; moves time and filter by it.
  void BeginPeriod(std::span<const double> decision, std::span<double> z,
                   std::span<double> applied) const;
  /// The decision becomes the one before.
  void EndDecision(std::span<const double> decision, std::span<double> z) const;
  /// d applied / d z and d applied / d decision of action i in control period `period`, 0 for the
  /// first; z of the filter is at `filter_place() + i`.
  [[nodiscard]] double KeepAfter(int periods) const;
  [[nodiscard]] size_t filter_place() const { return first_filtered_; }
  [[nodiscard]] bool filters() const { return options_.filter > 0; }
  /// 1 where a small change of decision i acts, 0 outside its bounds.
  [[nodiscard]] double SlopeOf(size_t i, double decision) const {
    return decision < low_[i] || decision > high_[i] ? 0.0 : 1.0;
  }

 private:
  [[nodiscard]] double Inside(size_t i, double decision) const;

  DecisionOptions options_;
  double dt_;  // control period [s]
  size_t nu_;
  size_t observed_;  // components before those that are added
  std::vector<double> low_;
  std::vector<double> high_;
  std::vector<Component> added_;
  size_t first_filtered_ = 0;  // of added_
  size_t first_previous_ = 0;  // of added_
};

/// What the control periods of a decision earn, where the sum is paid with it.
struct DecisionPay {
  bool environment_pays = false;                   // and not the reward
  std::shared_ptr<const Reward> reward = nullptr;  // of a control period; ends it, too
};

/// The same environment, acting on decisions. With a repeat the outcome of a step is the sum of
/// what its control periods earned, up to the first that ends the episode, whose end it is.
std::unique_ptr<Environment> WithDecisions(std::shared_ptr<Environment> inner,
                                           std::shared_ptr<const DecisionRule> rule,
                                           DecisionPay pay);
std::unique_ptr<System> WithDecisions(std::unique_ptr<System> inner,
                                      std::shared_ptr<const DecisionRule> rule, DecisionPay pay);

/// Rewards and terminations of a control period as one of `periods`: what a planner expects of a
/// decision of which it knows both ends alone. `sizes` are those of the transitions.
std::shared_ptr<const Reward> OfPeriods(std::shared_ptr<const Reward> reward, int periods,
                                        TransitionSizes sizes);

}  // namespace foreplan
