#include "foreplan/models/learned_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/registry.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/physics/fitted_physics.h"
#include "foreplan/models/physics/residual_model.h"
#include "foreplan/models/rewards/model_with_reward.h"

namespace foreplan {
namespace {

constexpr const char* kSection = "model";
constexpr const char* kPhysicsSection = "model.physics";
constexpr const char* kRewardSection = "model.reward";
constexpr const char* kFitSection = "fit";

/// Key `kind` of section [model], beside those of the kind.
struct ModelKindOptions {
  std::string kind = "ensemble";

  void Visit(OptionsVisitor& visitor) {
    const std::vector<std::string> kinds = ModelKinds();
    visitor.Choice("kind", kind, std::span<const std::string>(kinds),
                   "networks, physics with unknown parameters, physics and networks, or one of the "
                   "program's");
  }
};

/// The whole section [model].
struct ModelOptions {
  ModelKindOptions kind;
  EnsembleOptions ensemble;

  void Visit(OptionsVisitor& visitor) {
    kind.Visit(visitor);
    ensemble.Visit(visitor);
  }
};

const Task& TaskOf(const ModelSubject& subject, const Config& config) {
  if (subject.task) return *subject.task;
  throw InputError(fmt::format(
      "{}: found physics without a task, expected the task whose system has the unknown "
      "parameters",
      config.Where(kSection, "kind")));
}

std::unique_ptr<LearnedModel> MakeEnsembleModel(const ModelSubject& subject, Config& config,
                                                Key key, std::shared_ptr<Executor> executor) {
  return std::make_unique<EnsembleModel>(
      subject.spec, subject.encoding, ReadOptions<ModelOptions>(config, kSection).ensemble,
      ReadOptions<FitOptions>(config, kFitSection), key, std::move(executor));
}

std::unique_ptr<LearnedModel> MakePhysics(const ModelSubject& subject, Config& config, Key /*key*/,
                                          const std::shared_ptr<Executor>& /*executor*/) {
  return std::make_unique<FittedPhysics>(TaskOf(subject, config),
                                         ReadOptions<PhysicsOptions>(config, kPhysicsSection));
}

std::unique_ptr<LearnedModel> MakeResidual(const ModelSubject& subject, Config& config, Key key,
                                           std::shared_ptr<Executor> executor) {
  return std::make_unique<ResidualModel>(
      TaskOf(subject, config), ReadOptions<PhysicsOptions>(config, kPhysicsSection),
      ReadOptions<ModelOptions>(config, kSection).ensemble,
      ReadOptions<FitOptions>(config, kFitSection), key, std::move(executor));
}

Registry<ModelEntry>& Models() {
  static Registry<ModelEntry> models("model", {{"ensemble", {.make = MakeEnsembleModel}},
                                               {"physics", {.make = MakePhysics}},
                                               {"residual", {.make = MakeResidual}}});
  return models;
}

/// A model of the motion alone.
std::unique_ptr<LearnedModel> MakeMotionModel(const ModelSubject& subject, Config& config, Key key,
                                              std::shared_ptr<Executor> executor) {
  // All of them are read whatever the kind: a file may hold what another run needs.
  const std::string kind = ReadOptions<ModelOptions>(config, kSection).kind.kind;
  static_cast<void>(ReadOptions<PhysicsOptions>(config, kPhysicsSection));
  static_cast<void>(ReadOptions<FitOptions>(config, kFitSection));
  return Models()
      .Find(config.Where(kSection, "kind"), kind)
      .make(subject, config, key, std::move(executor));
}

}  // namespace

ModelVersion LearnedModel::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

void LearnedModel::Publish(ModelVersion version) noexcept {
  const std::lock_guard lock(mutex_);
  std::swap(version_, version);  // the one before ends behind the lock
}

FitMetrics LearnedModel::Fit(const Dataset& data, Key key, std::stop_token stop,
                             FitProgress progress) {
  return FitVersion(data, key, {.stop = std::move(stop), .progress = std::move(progress)});
}

nlohmann::ordered_json LearnedModel::Describe() const { return nlohmann::ordered_json::object(); }

std::unique_ptr<LearnedModel> MakeLearnedModel(const ModelSubject& subject, Config& config, Key key,
                                               std::shared_ptr<Executor> executor) {
  auto motion = MakeMotionModel(subject, config, key, executor);
  const auto options = ReadOptions<LearnedRewardOptions>(config, kRewardSection);
  if (!subject.task || !subject.task->planning_reward_is_learned()) return motion;
  auto reward = std::make_shared<const LearnedReward>(subject.spec, subject.encoding, options,
                                                      key.Fold(kRewardStream));
  return std::make_unique<ModelWithReward>(std::move(motion), std::move(reward),
                                           std::move(executor));
}

void RegisterModel(const std::string& kind, ModelEntry entry) {
  Models().Add(kind, std::move(entry));
}

std::vector<std::string> ModelKinds() { return Models().Names(); }

void WriteModelOptions(Config& config, ConfigWriter& writer) {
  auto options = ReadOptions<ModelOptions>(config, kSection);
  writer.Write(kSection, options);
  auto physics = ReadOptions<PhysicsOptions>(config, kPhysicsSection);
  if (!physics.unknowns.empty()) writer.Write(kPhysicsSection, physics);
  auto fit = ReadOptions<FitOptions>(config, kFitSection);
  writer.Write(kFitSection, fit);
  static_cast<void>(ReadOptions<LearnedRewardOptions>(config, kRewardSection));
  ConfigWriter ignored;
  for (const std::string& kind : ModelKinds()) {
    const ModelEntry entry = Models().Find(kSection, kind);
    if (entry.write) entry.write(config, kind == options.kind.kind ? writer : ignored);
  }
}

void WriteRewardOptions(Config& config, ConfigWriter& writer) {
  auto options = ReadOptions<LearnedRewardOptions>(config, kRewardSection);
  writer.Write(kRewardSection, options);
}

void RequireEnsemble(Config& config, const std::string& who) {
  if (ReadOptions<ModelKindOptions>(config, kSection).kind == "ensemble") return;
  throw InputError(fmt::format("{}: found no ensemble, expected model.kind = \"ensemble\" for {}",
                               config.Where(kSection, "kind"), who));
}

}  // namespace foreplan
