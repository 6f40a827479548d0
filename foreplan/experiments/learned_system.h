// A learned model in the place of a system, where there are only data: everything that happens in
// it is imagined.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// Section [system] of type "learned".
struct LearnedSystemOptions {
  std::string model = {};  // folder of a fit or a run, or a model's file
  bool sample = false;     // steps draw from what the model says; else they are its mean
  double dt = 0;           // control period [s]; 0: that of the model's data

  void Visit(OptionsVisitor& visitor);
};

/// Steps o' = mean of the members' means, or with `sample` o' = mu_k(o, u) + sigma_k(o, u) z, z ~
/// N(0, I), where a member k is drawn with every start and stays. Starts are those of the episodes
/// that the model was fitted to, each as likely as the others; actions lie within the bounds that
/// the model knows: the task's, or of data without a task what was done in them.
///
/// State: the observation; with `sample` and the member's number and that of the next draw, which
/// are none of its tangent space. Derivatives are those of the mean, exact where the model's are.
class LearnedSystem final : public System {
 public:
  /// Throws InputError for a model of a kind that is a simulator's, without starts or without a
  /// control period.
  LearnedSystem(std::shared_ptr<const StoredModel> stored, const LearnedSystemOptions& options);

  [[nodiscard]] const SystemSpec& spec() const override { return *spec_; }
  [[nodiscard]] std::unique_ptr<System> Clone() const override;
  void Reset(Key key) override;
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override;
  void Observe(std::span<double> observation) const override;
  void GetState(std::span<double> state) const override;
  void SetState(std::span<const double> state) override;
  [[nodiscard]] std::string Divergence() const override;
  [[nodiscard]] int tangent_dim() const override { return spec_->observation_dim(); }
  void Linearize(const SystemDerivatives& derivatives) override;
  void ObservationJacobian(std::span<const double> state, std::span<double> jacobian) override;

  /// What plans in it.
  [[nodiscard]] std::shared_ptr<const Dynamics> dynamics() const { return dynamics_; }
  [[nodiscard]] const LearnedSystemOptions& options() const { return options_; }

 private:
  void StepMean();
  void StepSample();
  [[nodiscard]] size_t observed() const { return spec_->observation.size(); }

  std::shared_ptr<const StoredModel> stored_;
  LearnedSystemOptions options_;
  std::shared_ptr<const SystemSpec> spec_;
  std::shared_ptr<const Dynamics> dynamics_;
  std::unique_ptr<Dynamics::Workspace> workspace_;   // of dynamics_, with derivatives
  std::unique_ptr<Dynamics::Workspace> prediction_;  // of the model's members
  std::vector<double> state_, action_;               // [state_dim], [nu] within the bounds
  std::vector<double> next_, deviation_;             // [no]
};

inline constexpr const char* kLearnedSystemType = "learned";

/// From now on task files may have a [system] of type "learned". LoadExperiment calls it; may be
/// called again.
void RegisterLearnedSystem();

/// What happens in the task is imagined: its system is learned.
[[nodiscard]] bool IsImagined(const Task& task);

/// What plans on a system: on a learned one its model, whose state is the observation, otherwise
/// the system itself (TrueDynamics).
[[nodiscard]] std::shared_ptr<const Dynamics> DynamicsOf(const System& system);

/// A task in what the folder of a fit or run holds: its learned system and encoding, and what
/// `assignments` add, the reward and the length of episodes at least. Throws InputError as
/// Task::Load does.
[[nodiscard]] std::pair<Task, Config> LoadImaginedTask(const std::filesystem::path& model,
                                                       const std::vector<std::string>& assignments);

}  // namespace foreplan
