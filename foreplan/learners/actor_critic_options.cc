#include "foreplan/learners/actor_critic_options.h"

#include <fmt/format.h>

#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/log_section.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/policies/policy.h"

namespace foreplan {
namespace {

constexpr const char* kSection = "actor_critic";
constexpr const char* kPolicySection = "actor_critic.policy";
constexpr const char* kCriticSection = "actor_critic.critic";
constexpr const char* kTrainingSection = "actor_critic.training";
// What dynamics need to be imagined many steps at a time, a member per row and step, and to be
// fitted often.
const std::vector<std::pair<std::string, std::string>> kModelDefaults = {
    {"model.members", "8"},       {"model.hidden_layers", "3"},   {"model.width", "256"},
    {"model.layer_norm", "true"}, {"model.propagation", "ts_1"},  {"fit.epochs", "0"},
    {"fit.first_steps", "8000"},  {"fit.min_steps", "1200"},      {"fit.max_steps", "1200"},
    {"fit.batch", "128"},         {"fit.learning_rate", "0.004"}, {"fit.final_rate_share", "0.05"}};

// What a file says for the algorithm alone, in sections that begin with its name: checked, and
// known from now on whichever algorithm runs.
void CheckOwnSections(const std::string& algorithm, Config& config) {
  const ActorCriticSections own(algorithm);
  const auto check = [&](const char* section, auto options) {
    config.Read(algorithm + '.' + section, options);
  };
  check("model", EnsembleOptions());
  check("fit", FitOptions());
  check(kSection, own.learner);
  check(kPolicySection, own.policy);
  check(kCriticSection, own.critic);
  check(kTrainingSection, own.training);
}

}  // namespace

void PrepareActorCritic(const std::string& algorithm, Config& config) {
  constexpr size_t kFile = 1;  // layer
  CheckOwnSections(algorithm, config);
  const auto layer = [&](const std::string& path) {
    const size_t dot = path.rfind('.');
    return config.Layer(path.substr(0, dot), path.substr(dot + 1));
  };
  for (const std::string& assignment : config.Assignments(algorithm)) {
    const std::string plain = assignment.substr(algorithm.size() + 1);
    if (layer(plain.substr(0, plain.find('='))) <= kFile) config.Set(plain);
  }
  for (const auto& [path, value] : kModelDefaults) {
    if (layer(path) == 0) config.Set(path + '=' + value);
  }
  // Members without noise have no constant one.
  const bool has_noise = ReadOptions<EnsembleOptions>(config, "model").probabilistic;
  if (has_noise && layer("model.noise") == 0) config.Set("model.noise=constant");
}

void ActorCriticLearnerOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, CriticRows>> kRows = {
      {"expansion", CriticRows::kExpansion},
      {"real", CriticRows::kReal},
      {"imagined", CriticRows::kImagined}};
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_steps", base_steps, {1, 1e9},
                "steps of the base policy, to the end of an episode; those of data count");
  visitor.Field("data", data, "transitions to begin with: a log of others, or the folder of a run");
  visitor.Field("train_every", train_every, {1, 1e9}, "new steps before the next training");
  visitor.Field("updates_per_step", updates_per_step, {0.001, 1000},
                "updates of actor and critics per new step");
  visitor.Field("critic_updates_per_step", critic_updates_per_step, {0, 1000},
                "updates of the critics alone per new step, after every fit");
  visitor.Field("rollout_steps", rollout_steps, {0, 10000},
                "DR, steps of rollouts that imagine which states the policy meets; 0: none");
  visitor.Field("pool", pool, {1, 1e8}, "imagined transitions that are kept");
  visitor.Field("pool_updates", pool_updates, {1, 1e4},
                "updates before as many batches of imagined transitions join the pool");
  visitor.Field("range_margin", range_margin, {0, 1e9},
                "what is imagined counts within what was seen and so many of its widths beside it");
  visitor.Choice("critic_rows", critic_rows, std::span(kRows),
                 "what critics learn from: the actor's rollouts, seen or imagined transitions");
  visitor.Field("real_share", real_share, {0, 1},
                "of seen rows among imagined transitions and starts");
  visitor.Field("forget_moments", forget_moments, "Adam begins anew after every fit");
  visitor.Field("evaluate_every", evaluate_every, {0, 1e9},
                "steps between evaluations of the mean action; 0: none");
  visitor.Field("evaluation_episodes", evaluation_episodes, {1, 1e6},
                "episodes of an evaluation, which are no experience");
}

ActorCriticSections::ActorCriticSections(const std::string& algorithm) {
  if (algorithm == "dhmbpo") return;
  learner.critic_rows = CriticRows::kReal;
  learner.critic_updates_per_step = 0;
  learner.forget_moments = false;
  critic.critics = 2;
  if (algorithm == "sac") {
    learner.rollout_steps = 0;
    learner.base_steps = 10000;
    training.horizon = 0;
    training.temperature = 1;
    critic.layer_norm = false;
    critic.bounded = false;
  } else if (algorithm == "mbpo") {
    learner.critic_rows = CriticRows::kImagined;
    learner.rollout_steps = 1;
    learner.train_every = 250;
    learner.updates_per_step = 20;
    learner.pool = 400000;
    training.horizon = 0;
  } else if (algorithm == "svg") {
    learner.rollout_steps = 0;
    training.horizon = 2;
  } else {
    throw InputError(fmt::format(
        "actor_critic: found algorithm '{}', expected sac, mbpo, svg or dhmbpo", algorithm));
  }
}

ActorCriticSections::ActorCriticSections(const std::string& algorithm, Config& config)
    : ActorCriticSections(algorithm) {
  config.Read(kSection, learner);
  config.Read(kPolicySection, policy);
  config.Read(kCriticSection, critic);
  config.Read(kTrainingSection, training);
  CheckOwnSections(algorithm, config);
  learner.log = ReadLogSection(config).options();
  static_cast<void>(Checked());
}

void ActorCriticSections::Write(ConfigWriter& writer) {
  writer.Write(kSection, learner);
  writer.Write(kPolicySection, policy);
  writer.Write(kCriticSection, critic);
  writer.Write(kTrainingSection, training);
}

const ActorCriticSections& ActorCriticSections::Checked() const {
  ActorCriticLearnerOptions options = learner;
  ValidateOptions(kSection, options);
  const auto refuse = [](const std::string& what) { throw InputError("actor_critic." + what); };
  if (learner.critic_rows == CriticRows::kExpansion && training.horizon == 0) {
    refuse(
        "critic_rows: found \"expansion\" with training.horizon = 0, expected \"real\" or "
        "\"imagined\": there is nothing to expand along");
  }
  if (learner.critic_rows == CriticRows::kImagined && learner.rollout_steps == 0) {
    refuse(
        "critic_rows: found \"imagined\" with rollout_steps = 0, expected \"expansion\" or "
        "\"real\": nothing is imagined");
  }
  return *this;
}

}  // namespace foreplan
