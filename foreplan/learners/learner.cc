#include "foreplan/learners/learner.h"

#include <fmt/format.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/control/reconnect.h"
#include "foreplan/core/describe_exception.h"
#include "foreplan/core/error.h"
#include "foreplan/core/options.h"
#include "foreplan/core/registry.h"
#include "foreplan/learners/actor_critic.h"
#include "foreplan/learners/aggregate.h"
#include "foreplan/learners/fit_then_plan.h"
#include "foreplan/learners/local_models.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/learners/policy_backprop.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "foreplan/planners/planner.h"
#include "foreplan/trajopt/kl/initial_policies.h"

namespace foreplan {
namespace {

template <typename Options>
void WriteSection(const std::string& section, Config& config, ConfigWriter& writer) {
  auto options = ReadOptions<Options>(config, section);
  writer.Write(section, options);
}

/// The loop's own section, named after it, and those of ModelLearner.
template <typename Options>
void WriteModelLearner(const std::string& name, const RunOptions& run, Config& config,
                       ConfigWriter& writer) {
  WriteSection<Options>(name, config, writer);
  ModelLearner::WriteSections(run, config, writer);
}

void WriteLocalModels(const std::string& /*name*/, const RunOptions& /*run*/, Config& config,
                      ConfigWriter& writer) {
  WriteSection<LocalModelsOptions>("local_models", config, writer);
  WriteSection<KlConstrainedOptions>("local_models.step", config, writer);
  WriteSection<LocalFitOptions>("local_models.fit", config, writer);
  WriteSection<MixturePriorOptions>("local_models.mixture", config, writer);
  WriteSection<NetworkPriorOptions>("local_models.network", config, writer);
  WriteSection<InitialLqrOptions>("local_models.initial_lqr", config, writer);
  WriteSection<InitialPdOptions>("local_models.initial_pd", config, writer);
  WriteSection<NetworkPolicyOptions>("policy", config, writer);
  WriteSection<PolicyFitOptions>("policy.fit", config, writer);
  WriteModelOptions(config, writer);
}

void WritePolicyBackprop(const std::string& /*name*/, const RunOptions& /*run*/, Config& config,
                         ConfigWriter& writer) {
  WriteSection<EnvironmentOptions>("environment", config, writer);
  WriteSection<PolicyBackpropOptions>("policy_backprop", config, writer);
  WriteSection<BackpropPolicyOptions>("policy_backprop.policy", config, writer);
  WriteSection<PolicyGradientOptions>("policy_backprop.training", config, writer);
  WriteModelOptions(config, writer);
}

template <typename T>
std::unique_ptr<Learner> Make(Config& config, const LearnerContext& context) {
  return std::make_unique<T>(config, context);
}

std::unique_ptr<Learner> MakeLocalModels(Config& config, const LearnerContext& context) {
  RequireEnsemble(config, "the network prior of local_models");
  if (!context.run.model.empty()) {
    throw InputError(fmt::format(
        "run.model: found '{}', but local_models begins with no global model; expected none",
        context.run.model));
  }
  return Make<LocalModelsLearner>(config, context);
}

Registry<LearnerEntry>& Learners() {
  static Registry<LearnerEntry> learners(
      "algorithm",
      {{"aggregate", {Make<AggregateLearner>, WriteModelLearner<WholePlanOptions>}},
       {"fit_then_plan", {Make<FitThenPlanLearner>, WriteModelLearner<WholePlanOptions>}},
       {"local_models", {MakeLocalModels, WriteLocalModels, false}},
       {"mpc", {Make<MpcLearner>, WriteModelLearner<MpcOptions>}},
       {"dhmbpo", ActorCriticLearner::Entry("dhmbpo")},
       {"mbpo", ActorCriticLearner::Entry("mbpo")},
       {"sac", ActorCriticLearner::Entry("sac")},
       {"svg", ActorCriticLearner::Entry("svg")},
       {"policy_backprop", {Make<PolicyBackpropLearner>, WritePolicyBackprop, false}}});
  return learners;
}

LearnerEntry Find(const std::string& name) { return Learners().Find("run.algorithm", name); }

}  // namespace

void Learner::Run() {
  while (Step()) {
  }
}

void Learner::AddData(const Dataset& /*data*/) {
  throw InputError("data: found those of others, which this learner makes nothing of");
}

TensorFile Learner::Model() const {
  TensorFile model;
  Save(model);
  return model;
}

void Learner::RethrowOfObserver(const char* function) {
  RethrowAsRunErrorOf(fmt::format("an observer's {}", function));
}

void Learner::AddObserver(std::shared_ptr<RunObserver> observer) {
  if (observer == nullptr) throw InputError("observer: found null, expected one");
  observers_.push_back(std::move(observer));
}

void RunOptions::Visit(OptionsVisitor& visitor) {
  visitor.Choice("algorithm", algorithm, LearnerNames(), "the loop");
  visitor.Choice("planner", planner, PlannerNames(), "what it plans with");
  visitor.Field("seed", seed, {0, 2147483647}, "of every random number of the run");
  visitor.Field("episodes", episodes, {0, 1e9}, "episodes of the run; 0: not bounded so");
  visitor.Field("steps", steps, {0, 2e9}, "environment steps of the run; 0: not bounded so");
  visitor.Field("model", model, "folder of a fit or a run to begin with its model and data");
}

nlohmann::ordered_json Learner::Results() const { return nlohmann::ordered_json::object(); }

std::vector<std::string> LearnerNames() { return Learners().Names(); }

void RegisterLearner(const std::string& name, LearnerEntry entry) {
  if (!entry.make || !entry.write) {
    throw InputError(
        fmt::format("algorithm '{}': found no function, expected make and write", name));
  }
  Learners().Add(name, std::move(entry));
}

void PrepareConfig(const std::string& name, Config& config) {
  const LearnerEntry entry = Find(name);
  if (entry.prepare) entry.prepare(config);
}

bool LearnerPlans(const std::string& name) { return Find(name).plans; }

std::unique_ptr<Learner> MakeLearner(const std::string& name, Config& config,
                                     const LearnerContext& context) {
  LearnerContext named = context;
  named.run.algorithm = name;
  ValidateOptions("run", named.run);
  if (context.executor == nullptr) throw InputError("learner: executor: found null, expected one");
  return NotNull("algorithm", name, Find(name).make(config, named));
}

void WriteLearnerOptions(const std::string& name, const RunOptions& run, Config& config,
                         ConfigWriter& writer) {
  Find(name).write(name, run, config, writer);
}

}  // namespace foreplan
