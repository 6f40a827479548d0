// Planning through a learned ensemble, in steady state.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {
namespace {

class EnsemblePlanning : public ::testing::TestWithParam<std::string> {
 protected:
  EnsemblePlanning()
      : model_(system_.spec(), {.sin_cos = {"hinge"}, .omit = {}, .absolute = {}}, SmallEnsemble(),
               Key{1, 1}) {}

  static EnsembleOptions SmallEnsemble() {
    EnsembleOptions options;
    options.width = 16;
    return options;
  }

  std::unique_ptr<Planner> Make(Executor& executor) {
    Config config = Config::FromString("", "test");
    config.Set("planner." + GetParam() + ".population=24");
    config.Set("planner." + GetParam() + ".horizon=10");
    if (GetParam() == "cem") config.Set("planner.cem.elites=5");
    return MakePlanner(GetParam(), config,
                       {testing::Borrowed(model_), testing::Borrowed(*reward_), system_.spec(),
                        testing::Borrowed(executor)});
  }

  CartPole system_;
  std::unique_ptr<const Reward> reward_ = MakeReward("pets_cartpole", 4, 1);
  Ensemble model_;
  const std::vector<double> start_ = {0.1, 0.2, -0.1, 0.3};
};

INSTANTIATE_TEST_SUITE_P(Planners, EnsemblePlanning, ::testing::ValuesIn(PlannerNames()));

TEST_P(EnsemblePlanning, AllocatesNothingInSteadyState) {
  for (const int threads : {1, 2}) {
    ThreadPool executor(threads);
    const auto planner = Make(executor);
    const auto plan = [&](uint64_t decision) {
      planner->MakePlan({.state = start_,
                         .step = static_cast<int64_t>(decision),
                         .key = Key{2, decision},
                         .budget = {}});
    };
    plan(0);  // the dense kernel's library sets itself up at its first call
    EXPECT_EQ(testing::CountAllocations([&] { plan(1); }), 0) << threads << " threads";
  }
}

TEST_P(EnsemblePlanning, IsEqualBitForBitOnAnyNumberOfThreads) {
  std::vector<std::vector<double>> actions;
  for (const int threads : {1, 2, 8}) {
    ThreadPool executor(threads);
    const auto planner = Make(executor);
    planner->MakePlan({.state = start_, .step = 0, .key = Key{2, 0}, .budget = {}});
    actions.push_back(
        planner->MakePlan({.state = start_, .step = 1, .key = Key{2, 1}, .budget = {}}).actions);
  }
  EXPECT_EQ(actions[0], actions[1]);
  EXPECT_EQ(actions[0], actions[2]);
}

}  // namespace
}  // namespace foreplan
