#include "foreplan/learners/mpc.h"

#include <utility>

namespace foreplan {

void MpcOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("refit_every", refit_every, {0, 1e9}, "steps between fits; 0: after each episode");
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_episodes", base_episodes, {1, 1e6}, "episodes of the base policy");
  visitor.Field("deadline_ms", deadline_ms, {0, 1e9},
                "a decision takes no longer [ms]; 0: as long as its planner wants");
  visitor.Field("period", period, {1, 10000}, "steps between two plans");
}

MpcLearner::MpcLearner(Config& config, const LearnerContext& context)
    : MpcLearner(context, ReadOptions<MpcOptions>(config, "mpc"),
                 ReadModelLearnerParts(config, context, true)) {}

MpcLearner::MpcLearner(const LearnerContext& context, const MpcOptions& options,
                       ModelLearnerParts parts)
    : ModelLearner(context, std::move(parts), options.base_policy),
      options_(options),
      controller_(planner(), model(),
                  {.deadline = DecisionTime(options.deadline_ms),
                   .period = options.period,
                   .stop = context.stop}) {}

bool MpcLearner::Step() {
  const bool has_base = episodes() >= BaseEpisodes(options_.base_episodes);
  // The episode before is saved by now: a run that stops in its fit goes on here.
  if (has_base && has_new_data()) {
    Refit();
    Checkpoint();
  }
  if (Done()) return false;
  if (!has_base) {
    PlayBaseEpisode();
    return true;
  }
  // Every step: plan from o_t and execute the first action (the controller does),
  PlayEpisode("mpc", controller_, [this](const EpisodeStep& step) {
    AddToData(step);  // D <- D + (o_t, u_t, o_t+1),
    // and every N steps fit f to D. What is due after the last step waits until that is saved.
    if (IsRefitDue() && step.end == StepEnd::kContinues) Refit();
  });
  return true;
}

bool MpcLearner::IsRefitDue() const {
  return options_.refit_every > 0 && rows_since_fit() >= options_.refit_every;
}

}  // namespace foreplan
