// Soft returns from their definition, in double: an oracle that shares no code with what it judges.
// For tests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/critics/soft_return.h"
#include "foreplan/critics/testing/small_world.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/policies/testing/network_in_double.h"

namespace foreplan::testing {

// Streams of a rollout's key: what its noise is a function of.
inline constexpr uint64_t kModelNoise = 0;
inline constexpr uint64_t kPolicyNoise = 1;
inline constexpr uint64_t kMembers = 2;

inline std::vector<double> NoiseOf(Key key, uint64_t stream, int particle, int time,
                                   size_t numbers) {
  std::vector<double> noise(numbers);
  Random(key.Fold(stream).Fold(Size(particle)).Fold(Size(time))).FillNormal(noise);
  return noise;
}

inline std::array<double, 3> StartOf(const SmallWorld& w, int row) {
  std::array<double, 3> start;
  std::copy_n(&w.starts[Size(row, 3)], 3, start.begin());
  return start;
}

struct Place {
  int particle = 0;
  int time = 0;
  const double* noise = nullptr;  // of the model: [3]
};
using Model =
    std::function<void(const Place&, const double* o, const double* u, double* next_observation)>;

inline std::vector<double> InDouble(std::span<const float> floats) {
  return {floats.begin(), floats.end()};
}

/// The policy's action in half ranges and -2 ln cosh z for the squashing, from the definitions.
struct Drawn {
  double a[2];
  double u[2];
  double log_density = 0;
};

inline Drawn Draw(const SmallWorld& w, const std::vector<double>& parameters, const double* o,
                  const double* noise) {
  const std::vector<double> y = EvaluateInDouble(
      w.policy.mlp(), parameters,
      Normalised(w.policy.encoder().features(), w.policy.encoder().normaliser(), o, nullptr));
  const EnvironmentSpec spec = SmallSpec();
  Drawn drawn;
  for (size_t j = 0; j < 2; ++j) {
    const double sigma = std::log1p(std::exp(y[2 + j])) + 1e-5;
    const double z = y[j] + sigma * noise[j];
    drawn.a[j] = std::tanh(z);
    drawn.u[j] =
        spec.action_low[j] + (spec.action_high[j] - spec.action_low[j]) * 0.5 * (1 + drawn.a[j]);
    drawn.log_density += -0.5 * noise[j] * noise[j] - std::log(sigma) -
                         0.5 * std::log(2 * std::numbers::pi) + 2 * std::log(std::cosh(z));
  }
  return drawn;
}

inline double MeanOfCritics(const SmallWorld& w, const double* o, const double* a) {
  std::vector<double> x =
      Normalised(w.policy.encoder().features(), w.policy.encoder().normaliser(), o, nullptr);
  x.insert(x.end(), a, a + 2);
  double sum = 0;
  for (int k = 0; k < w.critics.critics(); ++k) {
    const double net =
        EvaluateInDouble(w.critics.mlp(), InDouble(std::as_const(w.critics).parameters(k)), x)[0];
    sum += 0.5 * (w.critics.bounds().high + w.critics.bounds().low) +
           0.5 * (w.critics.bounds().high - w.critics.bounds().low) * net;
  }
  return sum / w.critics.critics();
}

/// J in double throughout, row by row, as its definition says. `ends`: times of last steps.
inline double ReturnInDouble(const SmallWorld& w, const std::vector<double>& parameters,
                             const SoftReturnOptions& options, double temperature, Key key,
                             const Model& model, std::vector<int>* ends = nullptr) {
  double sum = 0;
  for (int particle = 0; particle < options.particles; ++particle) {
    const int first = particle * options.rows / options.particles;
    const int rows = (particle + 1) * options.rows / options.particles - first;
    for (int row = 0; row < rows; ++row) {
      std::array<double, 3> o = StartOf(w, first + row);
      bool goes_on = true;
      double weight = 1;
      for (int t = 0; goes_on; ++t, weight *= options.discount) {
        const auto xi = NoiseOf(key, kPolicyNoise, particle, t, Size(rows, 2));
        const Drawn drawn = Draw(w, parameters, o.data(), &xi[Size(row, 2)]);
        if (t == options.horizon) {
          sum += weight * (MeanOfCritics(w, o.data(), drawn.a) - temperature * drawn.log_density);
          break;
        }
        const auto epsilon = NoiseOf(key, kModelNoise, particle, t, Size(rows, 3));
        std::array<double, 3> next;
        model({particle, t, &epsilon[Size(row, 3)]}, o.data(), drawn.u, next.data());
        sum += weight *
               (SmallReward::Of(o.data(), drawn.u, next.data()) - temperature * drawn.log_density);
        goes_on = !(next[0] > w.reward->end_above);
        if (!goes_on && ends != nullptr) ends->push_back(t);
        o = next;
      }
    }
  }
  return sum / options.rows;
}

struct Found {
  SoftReturnReport report;
  std::vector<float> gradient;  // of J
};

inline Found GradientOf(SoftReturn& imagined, const SmallWorld& w, double temperature, Key key) {
  imagined.Roll(w.starts, key);
  const size_t count = w.policy.parameters().size();
  std::vector<std::vector<float>> parts(Size(imagined.options().particles),
                                        std::vector<float>(count, 1e30F));
  Found found;
  found.report = imagined.Gradient(temperature,
                                   [&](int particle) { return std::span(parts[Size(particle)]); });
  found.gradient.resize(count);
  for (const auto& part : parts) {
    for (size_t i = 0; i < count; ++i) {
      found.gradient[i] += part[i] / static_cast<float>(imagined.options().rows);
    }
  }
  return found;
}

/// Two members with larger weights than the initial ones, normalisers that matter.
inline Ensemble SmallEnsemble() {
  Encoding encoding;
  encoding.sin_cos = {"angle"};
  Ensemble ensemble(SmallSpec(), encoding,
                    {.members = 2,
                     .hidden_layers = 2,
                     .width = 8,
                     .propagation = Propagation::kTs1,
                     .kernel = "eigen"},
                    Key{1, 1});
  for (int member = 0; member < 2; ++member) {
    for (float& parameter : ensemble.parameters(member)) parameter *= 2;
    ensemble.Pack(member);
  }
  for (size_t i = 0; i < ensemble.input_normaliser().scale.size(); ++i) {
    ensemble.input_normaliser().mean[i] = 0.1 * static_cast<double>(i);
    ensemble.input_normaliser().scale[i] = 0.5 + 0.1 * static_cast<double>(i);
  }
  ensemble.target_normaliser().mean = {0.02, -0.05, 0.01};
  ensemble.target_normaliser().scale = {0.1, 0.2, 0.15};
  return ensemble;
}

}  // namespace foreplan::testing
