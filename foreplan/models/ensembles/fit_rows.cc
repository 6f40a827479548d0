#include "foreplan/models/ensembles/fit_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/data/column_statistics.h"
#include "foreplan/models/change_statistics.h"

namespace foreplan {
namespace {

constexpr uint64_t kHoldout = 0;  // stream of the rows that are held out

// Constant noise is at least so much of the target's deviation, and its inverse a float.
constexpr double kLeastNoise = 1e-3;
constexpr double kLeastLogVariance = -80;
constexpr size_t kMostKept = size_t{1} << 28;  // bytes of encoded rows

}  // namespace

FitRows::FitRows(const Ensemble& ensemble, const Dataset& data, double holdout_share)
    : ensemble_(ensemble),
      features_(ensemble.features()),
      data_(data),
      input_(ensemble.input_normaliser()),
      target_(ensemble.target_normaliser()) {
  Split(holdout_share);
  Measure();
}

// A row's side of the split depends on its index alone: warm-started members never trained on what
// they are judged by.
void FitRows::Split(double holdout_share) {
  const Key holdout_key = Key{0, kHoldout};
  for (int64_t row = 0; row < data_.size(); ++row) {
    const Key key = holdout_key.Fold(static_cast<uint64_t>(row));
    const bool held = Random(key).Uniform() < holdout_share;
    (held ? holdout_ : training_).push_back(row);
  }
  if (training_.empty()) std::swap(training_, holdout_);
}

// Normalisers and scale, of the rows that are trained on: what is held out must not even lend its
// units to what it judges.
void FitRows::Measure() {
  const auto rows = std::ssize(training_);
  const auto row = [&](int64_t i) { return training_[static_cast<size_t>(i)]; };
  input_ = Normaliser::OfInputs(
      MeasureColumns(rows, static_cast<size_t>(features_.inputs()), [&](int64_t i, double* input) {
        features_.Input(data_.observation(row(i)).data(), data_.action(row(i)).data(), input);
      }));
  CheckInputs();
  // A target o' - o is as exact as o and o' are.
  ColumnStatistics targets = MeasureColumns(
      rows, static_cast<size_t>(features_.targets()),
      [&](int64_t i, double* target) {
        features_.Target(data_.observation(row(i)).data(), data_.next_observation(row(i)).data(),
                         target);
      },
      MagnitudeOf(data_, training_));
  target_scale_ = targets.deviation;
  const Normaliser normaliser = Normaliser::OfTargets(std::move(targets));
  if (ensemble_.options().normalise_targets) target_ = normaliser;
  if (!ensemble_.has_constant_noise()) return;
  for (size_t k = 0; k < normaliser.scale.size(); ++k) {
    const double least = 2 * std::log(kLeastNoise * normaliser.scale[k] / target_.scale[k]);
    least_log_variance_.push_back(static_cast<float>(std::max(least, kLeastLogVariance)));
  }
}

// Names the expression and the row where an input is not finite.
void FitRows::CheckInputs() const {
  const auto finite = [](double value) { return std::isfinite(value); };
  std::vector<double> input(static_cast<size_t>(features_.inputs()));
  const auto usable = [&](int64_t row) {
    features_.Input(data_.observation(row).data(), data_.action(row).data(), input.data());
    return std::ranges::all_of(input, finite);
  };
  if (std::ranges::all_of(input_.mean, finite) && std::ranges::all_of(holdout_, usable)) {
    return;
  }
  for (int64_t row = 0; row < data_.size(); ++row) {
    try {
      features_.CheckFinite(
          data_.observation(row).data(), data_.action(row).data(),
          fmt::format("in row {} of the data, of episode {}", row + 1, data_.episode(row)));
    } catch (const InputError& error) {
      throw RunError(error.what());
    }
  }
}

void FitRows::Keep(int64_t drawn, Executor& executor) {
  constexpr int64_t kBlock = 4096;  // rows of one task
  const int64_t rows = data_.size();
  const auto inputs = static_cast<size_t>(features_.inputs());
  const auto targets = static_cast<size_t>(features_.targets());
  const size_t bytes = static_cast<size_t>(rows) * (inputs + targets) * sizeof(float);
  if (drawn < rows || bytes > kMostKept) return;
  std::vector<float> kept_inputs(static_cast<size_t>(rows) * inputs);
  std::vector<float> kept_targets(static_cast<size_t>(rows) * targets);
  executor.ParallelFor(
      static_cast<int>((rows + kBlock - 1) / kBlock), [&](int block, int /*worker*/) {
        std::vector<double> values(std::max(inputs, targets));
        for (int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row) {
          FillInput(row, values, &kept_inputs[static_cast<size_t>(row) * inputs]);
          FillTarget(row, values, &kept_targets[static_cast<size_t>(row) * targets]);
        }
      });
  inputs_ = std::move(kept_inputs);
  targets_ = std::move(kept_targets);
}

void FitRows::FillInput(int64_t row, std::vector<double>& values, float* input) const {
  if (!inputs_.empty()) {
    const auto inputs = static_cast<size_t>(features_.inputs());
    std::copy_n(&inputs_[static_cast<size_t>(row) * inputs], inputs, input);
    return;
  }
  features_.Input(data_.observation(row).data(), data_.action(row).data(), values.data());
  input_.Apply(values.data(), input);
}

void FitRows::FillTarget(int64_t row, std::vector<double>& values, float* target) const {
  if (!targets_.empty()) {
    const auto targets = static_cast<size_t>(features_.targets());
    std::copy_n(&targets_[static_cast<size_t>(row) * targets], targets, target);
    return;
  }
  features_.Target(data_.observation(row).data(), data_.next_observation(row).data(),
                   values.data());
  target_.Apply(values.data(), target);
}

}  // namespace foreplan
