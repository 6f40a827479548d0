// Gradients of soft returns against differences in double.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/critics/testing/soft_return_in_double.h"

namespace foreplan {
namespace {

using testing::Found;
using testing::GradientOf;
using testing::InDouble;
using testing::kMembers;
using testing::Model;
using testing::Place;
using testing::ReturnInDouble;
using testing::SmallWorld;

/// |found - central differences| / |differences| over all parameters.
double RelativeError(const std::vector<float>& found, std::span<const float> at,
                     const std::function<double(const std::vector<double>&)>& value) {
  std::vector<double> parameters = InDouble(at);
  double error = 0;
  double norm = 0;
  const double h = 1e-5;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double kept = parameters[i];
    parameters[i] = kept + h;
    const double above = value(parameters);
    parameters[i] = kept - h;
    const double difference = (above - value(parameters)) / (2 * h);
    parameters[i] = kept;
    error += std::pow(difference - found[i], 2);
    norm += difference * difference;
  }
  return std::sqrt(error / norm);
}

void ExpectGradientOfDefinition(const SmallWorld& w, const SoftReturnOptions& options,
                                double temperature, const ModelVersion& version, const Model& model,
                                const std::vector<int>& ends) {
  const Key key{7, 1};
  SoftReturn imagined(w.policy, w.critics, options, std::make_shared<SerialExecutor>());
  imagined.set_model(version);
  const Found found = GradientOf(imagined, w, temperature, key);
  const auto in_double = [&](const std::vector<double>& parameters) {
    return ReturnInDouble(w, parameters, options, temperature, key, model);
  };
  const std::vector<double> parameters = InDouble(w.policy.parameters());
  std::vector<int> really_ended;
  ReturnInDouble(w, parameters, options, temperature, key, model, &really_ended);
  // Networks are in float: 6e-8 per operation, a few hundred of them, mostly cancelling.
  EXPECT_NEAR(found.report.value, in_double(parameters), 1e-5);
  EXPECT_LT(RelativeError(found.gradient, w.policy.parameters(), in_double), 1e-5)
      << "horizon " << options.horizon << ", temperature " << temperature;
  EXPECT_EQ(really_ended, ends);
  EXPECT_EQ(found.report.ended, std::ssize(ends));
  EXPECT_EQ(found.report.invalid, 0);
}

TEST(SoftReturn, GradientThroughAClosedFormEqualsDifferencesOfItsDefinition) {
  SmallWorld w(7);
  const Model model = [&](const Place&, const double* o, const double* u, double* next) {
    w.model->Next(o, u, nullptr, next);
  };
  for (const int horizon : {0, 1, 3, 5}) {
    for (const double temperature : {0.0, 0.3}) {
      ExpectGradientOfDefinition(w,
                                 {.horizon = horizon, .rows = 7, .particles = 2, .discount = 0.9},
                                 temperature, w.version(), model, {});
    }
  }
}

TEST(SoftReturn, GradientOfRowsThatEndAtDifferentStepsEqualsDifferencesOfItsDefinition) {
  SmallWorld w(8);
  w.reward->end_above = 0.35;
  w.model->noise = 0.2;
  for (int row = 0; row < 8; ++row) {
    w.starts[Size(row, 3)] = -0.7 + 0.14 * row;
    w.starts[Size(row, 3) + 1] = 3;
  }
  const Model model = [&](const Place& place, const double* o, const double* u, double* next) {
    w.model->Next(o, u, place.noise, next);
  };
  const SoftReturnOptions options = {.horizon = 3, .rows = 8, .particles = 2, .discount = 0.9};
  ExpectGradientOfDefinition(w, options, 0.3, w.version(), model, {2, 2, 0, 0});
  ExpectGradientOfDefinition(w, options, 0, w.version(), model, {2, 2, 0, 0});
}

TEST(SoftReturn, GradientThroughAnEnsembleEqualsDifferencesOfItsDefinition) {
  SmallWorld w(8);
  const auto ensemble = std::make_shared<Ensemble>(testing::SmallEnsemble());
  const SoftReturnOptions options = {.horizon = 3, .rows = 8, .particles = 2, .discount = 0.9};
  const Key key{7, 1};
  std::set<int> members;
  const Model model = [&](const Place& place, const double* o, const double* u, double* next) {
    const int member = ensemble->MemberOf({.particle = place.particle,
                                           .particles = options.particles,
                                           .time = place.time,
                                           .key = key.Fold(kMembers)});
    members.insert(member);
    const std::vector<double> y =
        EvaluateInDouble(ensemble->mlp(), InDouble(std::as_const(*ensemble).parameters(member)),
                         Normalised(ensemble->features(), ensemble->input_normaliser(), o, u));
    const LogVarianceBounds bounds = ensemble->bounds(member);
    for (size_t i = 0; i < 3; ++i) {
      const double share = 1 / (1 + std::exp(-(y[3 + i] - bounds.max[i])));
      const double variance = std::exp(static_cast<double>(bounds.min[i])) +
                              std::exp(static_cast<double>(bounds.max[i])) * share;
      next[i] =
          o[i] + ensemble->target_normaliser().mean[i] +
          ensemble->target_normaliser().scale[i] * (y[i] + std::sqrt(variance) * place.noise[i]);
    }
  };
  ExpectGradientOfDefinition(w, options, 0.3, {ensemble, w.reward}, model, {});
  EXPECT_EQ(members.size(), 2U);
}

TEST(SoftReturn, WithoutValuesAndEntropyWhatIsEarnedIsLeft) {
  SmallWorld w(4);
  testing::MakeConstant(w.critics, {0, 0, 0}, {0, 0, 0});
  testing::Rewrite(w.critics, [](TensorFile& file) {
    file.tensors["bounds"].values = std::vector<double>{-4, 4, 1};
  });
  const Model model = [&](const Place&, const double* o, const double* u, double* next) {
    w.model->Next(o, u, nullptr, next);
  };
  ExpectGradientOfDefinition(w, {.horizon = 3, .rows = 4, .particles = 1, .discount = 0.9}, 0,
                             w.version(), model, {});
}

}  // namespace
}  // namespace foreplan
