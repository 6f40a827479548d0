#include "apps/bench/suite.h"

namespace foreplan::apps {

// One line per suite.
const std::vector<BenchSuite>& BenchSuites() {
  static const std::vector<BenchSuite> kSuites = {
      {"planning", "whole decisions through ensembles of networks", &PlanningCases},
      {"deadlines", "decisions of 1 ms through a learned cart-pole, and what time earns",
       &DeadlineCases},
      {"training", "gradient steps of an ensemble", &TrainingCases},
      {"actor_critic", "updates of critics and actor through an ensemble", &ActorCriticCases},
      {"prediction", "what an ensemble says of many rows", &PredictionCases},
      {"latency", "one network at one state", &LatencyCases},
      {"mppi", "sampling control on cheap closed forms", &MppiCases},
      {"trajopt", "trajectory optimisation of the reference problems", &TrajoptCases},
      {"storage", "what an episode costs that is kept, by how many transitions there are",
       &StorageCases},
#ifdef FOREPLAN_HAVE_MUJOCO
      {"simulation", "threaded rollouts of a MuJoCo model", &SimulationCases},
#endif
  };
  return kSuites;
}

}  // namespace foreplan::apps
