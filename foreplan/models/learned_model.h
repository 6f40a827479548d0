// Models that are fitted to data, whatever their kind: what loops and reports need of them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/fit_control.h"
#include "foreplan/models/model_subject.h"
#include "foreplan/models/model_version.h"
#include "foreplan/models/observation_difference.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// What one fit did, by the names that metrics have after "fit.".
using FitMetrics = std::vector<std::pair<std::string, double>>;

/// A model in versions: what a fit found never changes again, the next fit publishes another. Any
/// thread may take the present version and plan with it, also while another thread fits; everything
/// else here is for the thread that fits.
class LearnedModel {
 public:
  virtual ~LearnedModel() = default;
  LearnedModel(const LearnedModel&) = delete;
  LearnedModel& operator=(const LearnedModel&) = delete;

  /// The present version, for planners, with the reward of the same fit where one is learned. Its
  /// state is the observation; its sizes are those of all versions.
  [[nodiscard]] ModelVersion version() const;
  /// Its dynamics alone.
  [[nodiscard]] std::shared_ptr<const Dynamics> snapshot() const { return version().dynamics; }

  /// Fits to all rows and publishes what it found. Throws RunError when the fit diverges and
  /// Interrupted when `stop` asks for an end; whatever is thrown, the model is as it was.
  FitMetrics Fit(const Dataset& data, Key key, std::stop_token stop = {},
                 FitProgress progress = {});

  // Its predictive distribution: a mixture of members, each a normal distribution per component.

  [[nodiscard]] virtual int members() const = 0;
  /// A workspace for Predict of up to `max_rows` rows at once, until the next fit.
  [[nodiscard]] virtual std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int max_rows) const = 0;
  /// What that member says of the next observations: mean and standard deviation, [rows x no] each.
  /// observation: [rows x no], action: [rows x nu].
  virtual void Predict(int member, int rows, const double* observation, const double* action,
                       double* mean, double* deviation, Dynamics::Workspace& workspace) const = 0;
  /// False where the deviation is an error of measurement: what is observed is off by it, the
  /// motion is not.
  [[nodiscard]] virtual bool noise_moves_state() const { return true; }
  /// Standard deviation of the changes in one step in the data of the last fit; 0 for a component
  /// that changed by the same amount in every step, or not at all: [no].
  [[nodiscard]] virtual std::span<const double> scale() const = 0;

  /// How far apart observations are: angles differ by half a turn at most.
  [[nodiscard]] virtual const ObservationDifference& difference() const = 0;

  /// Everything that Fit changed.
  virtual void Save(TensorFile& file) const = 0;
  /// Throws InputError when the file is of another model.
  virtual void Restore(const TensorFile& file) = 0;
  /// What others read: like Save, without what only a next fit needs.
  virtual void SavePredictor(TensorFile& file) const { Save(file); }
  virtual void RestorePredictor(const TensorFile& file) { Restore(file); }

  /// What can be told of the last fit beside metrics, e.g. the values of unknown parameters.
  [[nodiscard]] virtual nlohmann::ordered_json Describe() const;

 protected:
  /// A derived class publishes its first version when it is made.
  LearnedModel() = default;
  void Publish(ModelVersion version) noexcept;
  void Publish(std::shared_ptr<const Dynamics> dynamics) noexcept {
    Publish(ModelVersion{std::move(dynamics)});
  }

 private:
  /// Fit: all or nothing.
  virtual FitMetrics FitVersion(const Dataset& data, Key key, const FitControl& control) = 0;

  mutable std::mutex mutex_;  // of version_
  ModelVersion version_;
};

/// Restores `part`, then what `rest` restores; where that throws, the part is as it was.
template <typename Part, typename Rest>
void RestoreBoth(Part& part, const TensorFile& file, const Rest& rest) {
  TensorFile before;
  part.Save(before);
  part.Restore(file);
  try {
    rest();
  } catch (...) {
    part.Restore(before);
    throw;
  }
}

/// How a model is made from sections of a configuration, and how those that only it has,
/// [model.<kind>], are written as they are in effect; null: it has none.
struct ModelEntry {
  std::function<std::unique_ptr<LearnedModel>(const ModelSubject& subject, Config& config, Key key,
                                              std::shared_ptr<Executor> executor)>
      make;
  std::function<void(Config& config, ConfigWriter& writer)> write = {};
};

/// From now on `model.kind` may name that model. Throws InputError where the name is taken.
void RegisterModel(const std::string& kind, ModelEntry entry);
[[nodiscard]] std::vector<std::string> ModelKinds();

/// Makes the model that section [model] of `config` asks for by its key `kind`:
///   ensemble   networks (sections [model], [fit])
///   physics    the task's system with unknown parameters (section [model.physics]); needs a task
///   residual   the same plus an ensemble of what it leaves unexplained
/// or one of the program's (RegisterModel),
/// and beside it, where the task's planning reward is learned, its reward and terminations (section
/// [model.reward]).
/// Throws InputError. Fits share their work out to `executor`: another one than that of what plans
/// meanwhile.
[[nodiscard]] std::unique_ptr<LearnedModel> MakeLearnedModel(const ModelSubject& subject,
                                                             Config& config, Key key,
                                                             std::shared_ptr<Executor> executor);
/// Its sections, as they are in effect, but for [model.reward].
void WriteModelOptions(Config& config, ConfigWriter& writer);
/// Section [model.reward], for tasks whose planning reward is learned.
void WriteRewardOptions(Config& config, ConfigWriter& writer);
/// Throws InputError unless `config` asks for an ensemble; `who` needs one.
void RequireEnsemble(Config& config, const std::string& who);

}  // namespace foreplan
