#include "foreplan/learners/mpc.h"

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
    : MpcLearner(config, context, ReadOptions<MpcOptions>(config, "mpc")) {}

MpcLearner::MpcLearner(Config& config, const LearnerContext& context, const MpcOptions& options)
    : ModelLearner(config, context, options.base_policy),
      options_(options),
      controller_(planner(), model(),
                  {.deadline = DecisionTime(options.deadline_ms), .period = options.period}) {}

void MpcLearner::Run() {
  const int base = BaseEpisodes(options_.base_episodes);
  for (;;) {
    // The episode is saved by now: a run that stops in its fit goes on here.
    if (episodes() >= base && has_new_data()) {
      Refit();
      Checkpoint();
    }
    if (Done()) return;
    if (episodes() < base) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(controller_, "mpc", options_.refit_every);
    }
  }
}

}  // namespace foreplan
