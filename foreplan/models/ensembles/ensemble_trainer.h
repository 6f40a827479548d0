// Fits ensembles of dynamics networks to data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/fit_options.h"
#include "foreplan/models/fit_control.h"

namespace foreplan {

class FitRows;

/// What one fit did.
struct FitReport {
  int64_t training_rows = 0;
  int64_t holdout_rows = 0;
  int steps = 0;             // taken by the member that trained longest
  double training_loss = 0;  // mean over members and the last tenth of the steps that each took
  double holdout_rmse = 0;   // mean over members [target standard deviations]; 0 without hold-out
  std::vector<double> scale = {};  // standard deviations of the changes trained on; 0: none: [no]
};

/// Trains the members of one ensemble, each on its own rows with its own key; goes on from fit to
/// fit with weights and Adam moments (warm start). Every fit makes a new ensemble; the ones before
/// stay as they are. Members take turns on the threads, which change no bit.
class EnsembleTrainer {
 public:
  /// Begins with `ensemble`. Throws InputError (options out of range).
  EnsembleTrainer(std::shared_ptr<const Ensemble> ensemble, const FitOptions& options,
                  std::shared_ptr<Executor> executor);
  ~EnsembleTrainer();

  /// What the last fit made.
  [[nodiscard]] const std::shared_ptr<const Ensemble>& ensemble() const { return ensemble_; }
  /// Goes on from there; of the same networks.
  void set_ensemble(std::shared_ptr<const Ensemble> ensemble) { ensemble_ = std::move(ensemble); }

  /// Refits normalisers and members to the data: normalisers to the rows that are trained on, a
  /// member that stops early to what it was at its best check, weights, moments and step count.
  /// Throws RunError naming member, step and quantity when a loss is not finite, or expression and
  /// row of an input that is not, and Interrupted when asked to stop, which it looks at before
  /// every gradient step. Whatever is thrown, the trainer is then as it was.
  FitReport Fit(const Dataset& data, Key key, const FitControl& control = {});

  /// Adam moments and step counts, under names that start with "trainer.".
  void Save(TensorFile& file) const;
  /// Throws InputError when names or shapes do not fit, for moments that are no numbers, negative
  /// mean squares and negative step counts; the trainer then stays as it was.
  void Restore(const TensorFile& file);

 private:
  struct Buffers;
  struct Draft;
  struct Member;
  struct Observed;
  struct Training;
  class Turns;

  [[nodiscard]] Draft Begin(const Dataset& data) const;
  [[nodiscard]] std::unique_ptr<Training> BeginMember(int index, Key key, Draft& draft) const;
  void TakeTurn(const Draft& draft, const Observed& observed, Training& training,
                Buffers& buffers) const;
  void TrainPart(const Draft& draft, const Observed& observed, Training& training,
                 Buffers& buffers) const;
  void Judge(const Draft& draft, const Observed& observed, Training& training,
             Buffers& buffers) const;
  static int TellEvery(const Draft& draft);
  double TakeGradientStep(const FitRows& fit, const Member& member, double rate_share,
                          Buffers& buffers) const;
  double Loss(std::span<const float> parameters, int rows, const float* output,
              Buffers& buffers) const;
  void StepNetwork(const Member& member, double rate_share, Buffers& buffers) const;
  void StepNoise(const FitRows& fit, const Member& member, double rate_share,
                 std::span<const float> gradient) const;
  double HoldoutError(const FitRows& fit, std::span<const float> parameters,
                      Buffers& buffers) const;

  std::shared_ptr<const Ensemble> ensemble_;
  Mlp mlp_;  // of the members, as long as there are buffers
  FitOptions options_;
  std::shared_ptr<Executor> executor_;
  std::vector<int64_t> adam_steps_;  // of every member since the ensemble was made: [members]
  std::vector<float> first_moment_;  // [members x member_parameters]
  std::vector<float> second_moment_;
  std::vector<std::unique_ptr<Buffers>> buffers_;  // [workers]
};

}  // namespace foreplan
