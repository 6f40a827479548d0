// What all members of a model say together.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {

/// What all members say together, of up to `max_rows` rows at a time. Keeps the room to work in:
/// one per thread, of the model's last fit.
class MixturePrediction {
 public:
  MixturePrediction(const LearnedModel& model, int max_rows);

  /// Mean and standard deviation of the next observations, [rows x no] each:
  /// mu = mean_k mu_k, Var = mean_k s_k^2 + Var_k(mu_k) over members k.
  void Predict(int rows, const double* observation, const double* action, double* mean,
               double* deviation);

 private:
  const LearnedModel& model_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  size_t no_;
  std::vector<double> member_mean_, member_deviation_;  // [max_rows x no], of one member
  std::vector<double> first_;                           // [max_rows x no], the first member's mean
  std::vector<double> sum_, spread_, noise_;            // [max_rows x no], over members
};

/// The mean and the deviation of any number of rows, shared out to `executor`; the result does not
/// depend on it.
void PredictMixture(const LearnedModel& model, int rows, const double* observation,
                    const double* action, double* mean, double* deviation, Executor& executor);

/// Drawn next observations [rows x no]: of a member with its noise, of `members` [rows] or where
/// these are empty of a drawn one. Row i depends on its own numbers, on i and on the key alone.
void SampleMixture(const LearnedModel& model, int rows, const double* observation,
                   const double* action, std::span<const int> members, Key key, double* drawn,
                   Executor& executor);

}  // namespace foreplan
