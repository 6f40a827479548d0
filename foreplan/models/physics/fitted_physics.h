// The task's system with unknown parameters as a model that is fitted to data.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/models/learned_model.h"
#include "foreplan/models/physics/physics_fit.h"
#include "foreplan/models/physics/physics_model.h"
#include "foreplan/models/physics/unknowns.h"

namespace foreplan {

/// Plans with the fitted values. Its predictive distribution has the values as first member and as
/// many more as were drawn from what the fit leaves open; the noise is that of the fit. Directions
/// of the unknowns that the data do not know are not drawn: along them nothing is predicted
/// differently.
class FittedPhysics final : public LearnedModel {
 public:
  /// Throws InputError: no unknowns, wrong ones, a system whose state does not begin with what is
  /// observed.
  FittedPhysics(const Task& task, const PhysicsOptions& options);

  /// What the model is made of.
  struct Found {
    std::vector<double> values;      // [members x p], the first are the fit's
    std::vector<double> scale;       // [no]
    std::vector<double> noise;       // [no]
    std::string description = "{}";  // of the fit, JSON
    std::vector<std::shared_ptr<const PhysicsModel>> members;  // of the values
  };
  /// The two halves of Fit, for what is fitted between them: what it finds from the values of the
  /// fit before, while the model stays as it is, and the metrics; then that becomes the model,
  /// without a throw.
  [[nodiscard]] std::pair<Found, FitMetrics> Find(const Dataset& data, Key key,
                                                  const FitControl& control) const;
  void Take(Found found) noexcept;

  [[nodiscard]] int members() const override { return kMembers; }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int max_rows) const override;
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& workspace) const override;
  [[nodiscard]] bool noise_moves_state() const override {
    return options_.fit.noise == NoiseModel::kProcess;
  }
  [[nodiscard]] std::span<const double> scale() const override { return found_.scale; }
  [[nodiscard]] const ObservationDifference& difference() const override { return difference_; }
  void Save(TensorFile& file) const override;
  void Restore(const TensorFile& file) override;
  [[nodiscard]] nlohmann::ordered_json Describe() const override;

 private:
  static constexpr int kMembers = 8;

  FitMetrics FitVersion(const Dataset& data, Key key, const FitControl& control) override;
  [[nodiscard]] std::vector<std::shared_ptr<const PhysicsModel>> ModelsOf(
      std::span<const double> values) const;
  [[nodiscard]] nlohmann::ordered_json Description(const PhysicsFit& fit) const;
  [[nodiscard]] std::string NamesOfUnknowns() const;  // a line each, in order
  void CheckNames(const TensorFile& file) const;

  PhysicsOptions options_;
  std::vector<Unknown> unknowns_;
  std::vector<std::string> observation_;  // names
  ObservationDifference difference_;
  SystemFamily family_;
  Found found_;
};

}  // namespace foreplan
