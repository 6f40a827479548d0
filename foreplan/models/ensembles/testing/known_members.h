// A learned model whose predictions a test chooses.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "foreplan/models/learned_model.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan::testing {

/// Members that say that both components of a double integrator's state change by what the test
/// gives and half the action, with its deviations.
class KnownMembers final : public LearnedModel {
 public:
  static constexpr double kGain = 0.5;  // of the action

  struct Member {
    std::vector<double> change;     // [2]
    std::vector<double> deviation;  // [2]
  };

  KnownMembers(std::vector<Member> members, std::vector<double> scale,
               ObservationDifference difference = {})
      : difference_(std::move(difference)), members_(std::move(members)), scale_(std::move(scale)) {
    Publish(std::make_shared<DoubleIntegrator>());  // two components, one action
  }

  [[nodiscard]] int members() const override { return static_cast<int>(members_.size()); }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int /*max_rows*/) const override {
    return std::make_unique<Dynamics::Workspace>();
  }
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& /*workspace*/) const override {
    const Member& of = members_[static_cast<size_t>(member)];
    for (size_t i = 0; i < 2 * static_cast<size_t>(rows); ++i) {
      mean[i] = observation[i] + of.change[i % 2] + kGain * action[i / 2];
      deviation[i] = of.deviation[i % 2];
    }
  }
  [[nodiscard]] std::span<const double> scale() const override { return scale_; }
  [[nodiscard]] const ObservationDifference& difference() const override { return difference_; }
  void Save(TensorFile& /*file*/) const override {}
  void Restore(const TensorFile& /*file*/) override {}

 private:
  FitMetrics FitVersion(const Dataset& /*data*/, Key /*key*/,
                        const FitControl& /*control*/) override {
    return {};
  }

  ObservationDifference difference_;
  std::vector<Member> members_;
  std::vector<double> scale_;
};

}  // namespace foreplan::testing
