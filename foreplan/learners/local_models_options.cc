#include "foreplan/learners/local_models_options.h"

#include <span>
#include <utility>
#include <vector>

namespace foreplan {
namespace {

const std::vector<std::string>& InitialNames() {
  static const std::vector<std::string> kNames = {"lqr", "pd"};
  return kNames;
}

const std::vector<std::string>& PriorNames() {
  static const std::vector<std::string> kNames = {"none", "mixture", "network"};
  return kNames;
}

}  // namespace

void LocalModelsOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, LocalExploration>> kExplorations = {
      {"policy", LocalExploration::kPolicy},
      {"fixed", LocalExploration::kFixed},
      {"none", LocalExploration::kNone}};
  visitor.Field("rollouts", rollouts, {1, 10000}, "per condition and iteration");
  visitor.Field("reuse", reuse, {1, 1000}, "iterations whose rollouts enter a fit");
  visitor.Field("kl_step", kl_step, {1e-9, 1e12}, "base of the KL bound, per time step");
  visitor.Field("adapt_step", adapt_step, "the bound, by predicted and actual improvement");
  visitor.Field("setback", setback, {0, std::numeric_limits<double>::infinity()},
                "rise of the sampled cost, by what was gained, at which a step is taken back");
  visitor.Choice("initial", initial, std::span(InitialNames()), "the first policies");
  visitor.Choice("prior", prior, std::span(PriorNames()), "of the local models");
  visitor.Choice("exploration", exploration, std::span(kExplorations), "noise of the rollouts");
  visitor.Field("fixed_deviation", fixed_deviation, {0, 1e12}, "of the fixed exploration noise");
  visitor.Field("noise_smoothing", noise_smoothing, {0, 1000},
                "of the exploration noise along time [steps]; breaks the Gaussian model");
  visitor.Field("test_rollouts", test_rollouts, {0, 10000},
                "with noise, per condition, after the last iteration");
  visitor.Field("global_policy", global_policy, "one network policy for all conditions");
  visitor.Field("global_start", global_start, {0, 1e9},
                "iterations of the local policies alone before it first learns");
  visitor.Field("on_policy", on_policy, "rollouts are of the global policy once it has learned");
}

}  // namespace foreplan
