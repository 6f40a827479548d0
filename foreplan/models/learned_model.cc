#include "foreplan/models/learned_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/core/error.h"
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

enum Stream : uint64_t { kRewardStream = 0x72657764 };  // beside those of the motion

enum class ModelKind { kEnsemble, kPhysics, kResidual };

/// Key `kind` of section [model], beside those of the ensemble.
struct ModelKindOptions {
  ModelKind kind = ModelKind::kEnsemble;

  void Visit(OptionsVisitor& visitor) {
    static const std::vector<std::pair<std::string, ModelKind>> kKinds = {
        {"ensemble", ModelKind::kEnsemble},
        {"physics", ModelKind::kPhysics},
        {"residual", ModelKind::kResidual}};
    visitor.Choice("kind", kind, std::span(kKinds),
                   "networks, physics with unknown parameters, or physics and networks");
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

/// A model of the motion alone.
std::unique_ptr<LearnedModel> MakeMotionModel(const ModelSubject& subject, Config& config, Key key,
                                              std::shared_ptr<Executor> executor) {
  const auto options = ReadOptions<ModelOptions>(config, kSection);
  const auto physics = ReadOptions<PhysicsOptions>(config, kPhysicsSection);
  const auto fit = ReadOptions<FitOptions>(config, kFitSection);
  if (options.kind.kind != ModelKind::kEnsemble && !subject.task) {
    throw InputError(
        fmt::format("{}: found physics without a task, expected the task whose system "
                    "has the unknown parameters",
                    config.Where(kSection, "kind")));
  }
  switch (options.kind.kind) {
    case ModelKind::kPhysics:
      return std::make_unique<FittedPhysics>(*subject.task, physics);
    case ModelKind::kResidual:
      return std::make_unique<ResidualModel>(*subject.task, physics, options.ensemble, fit, key,
                                             std::move(executor));
    case ModelKind::kEnsemble:
      break;
  }
  return std::make_unique<EnsembleModel>(subject.spec, subject.encoding, options.ensemble, fit, key,
                                         std::move(executor));
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

void WriteModelOptions(Config& config, ConfigWriter& writer) {
  auto options = ReadOptions<ModelOptions>(config, kSection);
  writer.Write(kSection, options);
  auto physics = ReadOptions<PhysicsOptions>(config, kPhysicsSection);
  if (!physics.unknowns.empty()) writer.Write(kPhysicsSection, physics);
  auto fit = ReadOptions<FitOptions>(config, kFitSection);
  writer.Write(kFitSection, fit);
  static_cast<void>(ReadOptions<LearnedRewardOptions>(config, kRewardSection));
}

void WriteRewardOptions(Config& config, ConfigWriter& writer) {
  auto options = ReadOptions<LearnedRewardOptions>(config, kRewardSection);
  writer.Write(kRewardSection, options);
}

void RequireEnsemble(Config& config, const std::string& who) {
  if (ReadOptions<ModelKindOptions>(config, kSection).kind == ModelKind::kEnsemble) return;
  throw InputError(fmt::format("{}: found no ensemble, expected model.kind = \"ensemble\" for {}",
                               config.Where(kSection, "kind"), who));
}

}  // namespace foreplan
