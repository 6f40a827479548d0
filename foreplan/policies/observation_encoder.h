// Observations as networks see them that do not belong to a model.
#pragma once

#include <span>
#include <vector>

#include "foreplan/data/dataset.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

/// Features of an observation, which take no action, brought to mean 0 and deviation 1:
///   x = (feature(o) - mean) / scale.
class ObservationEncoder {
 public:
  explicit ObservationEncoder(FeatureMap features);

  [[nodiscard]] int observation_dim() const { return features_.observation_dim(); }
  [[nodiscard]] int inputs() const { return features_.inputs(); }
  [[nodiscard]] const FeatureMap& features() const { return features_; }
  [[nodiscard]] const Normaliser& normaliser() const { return normaliser_; }
  [[nodiscard]] Normaliser& normaliser() { return normaliser_; }

  /// Further from the mean than so many deviations there is nothing to learn, and sums of products
  /// in float are no numbers any more.
  static constexpr float kFarthest = 1e9F;

  /// observation: [rows x no]; x: [rows x inputs].
  void Encode(int rows, const double* observation, float* x) const;
  /// Whether a network can digest a row of x: finite, and nowhere beyond kFarthest.
  [[nodiscard]] bool IsDigestible(const float* x) const;
  /// From gradients by x, rows of `stride` floats of which the first `inputs` count, those by the
  /// observation: [rows x no]. by_input: [inputs], scratch.
  void PullBack(int rows, const double* observation, const float* d_x, int stride,
                std::span<double> by_input, double* d_observation) const;

  /// Mean and deviation of the features of all observations. A constant feature is only centred;
  /// sines and cosines stay as they are: their range is known, and where a pendulum only hung, its
  /// cosine hardly spread.
  [[nodiscard]] Normaliser Measure(const Dataset& data) const;
  [[nodiscard]] Normaliser Measure(int64_t rows, const double* observation) const;

 private:
  FeatureMap features_;
  Normaliser normaliser_;
};

/// Keeps a network the function that it is when its first inputs, those of the normalisers, come in
/// another scale: with x = (f - m) / s and x' = (f - m') / s',
///   W'_k = W_k s'_k / s_k,  b' = b + sum_k W_k (m'_k - m_k) / s_k,  for all rows k of W.
void RescaleFirstLayer(const Mlp& mlp, const Normaliser& from, const Normaliser& to,
                       std::span<float> parameters);

}  // namespace foreplan
