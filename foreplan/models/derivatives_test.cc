// Derivatives of every model against differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/system_types.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

std::vector<double> Normals(int count, uint64_t stream, double scale) {
  Random random(Key{4, stream});
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) value = scale * random.Normal();
  return values;
}

TEST(Derivatives, OfEveryClosedFormEqualDifferences) {
  for (const std::string& name : ClosedFormNames()) {
    const auto system = MakeSystemFactory("test", name)->Make();
    const TrueDynamics dynamics(*system);
    for (uint64_t i = 0; i < 5; ++i) {
      const auto state = Normals(dynamics.state_dim(), i, 0.5);
      std::vector<double> action = system->spec().action_low;  // a quarter into the bounds
      for (size_t j = 0; j < action.size(); ++j) {
        action[j] += 0.25 * (system->spec().action_high[j] - action[j]);
      }
      // Central differences with 1e-6: rounding of about 1e-10 times slopes up to 100.
      EXPECT_LT(CheckDerivatives(dynamics, state, action), 1e-7) << name;
    }
  }
}

TEST(Derivatives, ByAClampedActionAreZero) {
  const auto system = MakeSystemFactory("test", "unicycle")->Make();
  const TrueDynamics dynamics(*system);
  const auto workspace = dynamics.MakeDerivativeWorkspace(1);
  const std::vector<double> state = {0.1, 0.2, 0.3};
  const std::vector<double> action = {7.0, 0.5};  // the speed is beyond its bound
  std::vector<double> A(9);
  std::vector<double> B(6);
  dynamics.Linearize(
      {.rows = 1, .state = state.data(), .action = action.data(), .A = A.data(), .B = B.data()},
      *workspace);
  EXPECT_EQ(B[0], 0);
  EXPECT_EQ(B[2], 0);
  EXPECT_NE(B[5], 0);
}

TEST(Derivatives, OfTheObservationEqualDifferences) {
  const auto system = MakeSystemFactory("test", "pendulum")->Make();
  std::vector<double> jacobian(6);
  system->ObservationJacobian(std::vector<double>{0.7, -0.2}, jacobian);
  const std::vector<double> expected = {-std::sin(0.7), 0, std::cos(0.7), 0, 0, 1};
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(jacobian[i], expected[i], 1e-15);
}

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.dt = 0.4;
  spec.observation = {{"a", ""}, {"angle", "rad"}, {"a_rate", ""}};
  spec.action = {{"u", ""}, {"v", ""}};
  spec.action_low = {-1, -1};
  spec.action_high = {1, 1};
  return spec;
}

Encoding PlainEncoding() { return {.sin_cos = {"angle"}, .omit = {"a"}, .absolute = {"a_rate"}}; }

// With inputs that are products, and a component that its rate moves.
Encoding GreyEncoding() {
  Config config = Config::FromString(
      "encoding.integrate = ['*']\n"
      "encoding.inputs = ['[0.3, 1] * a * sin(angle)', 'max(0, a + 0.1 * a_rate) * u.v']",
      "test");
  return ReadEncoding(config, Spec(), {});
}

Ensemble MakeEnsemble(bool probabilistic, const Encoding& encoding = PlainEncoding(),
                      EnsembleOptions options = {}) {
  options.members = 3;
  options.hidden_layers = 2;
  options.width = 24;
  options.probabilistic = probabilistic;
  Ensemble ensemble(Spec(), encoding, options, Key{1, 1});
  // Larger weights than the initial ones, and normalisers that matter.
  for (int member = 0; member < 3; ++member) {
    for (float& parameter : ensemble.parameters(member)) parameter *= 3;
    ensemble.Pack(member);
  }
  for (size_t i = 0; i < ensemble.input_normaliser().scale.size(); ++i) {
    ensemble.input_normaliser().mean[i] = 0.1 * static_cast<double>(i);
    ensemble.input_normaliser().scale[i] = 0.5 + 0.1 * static_cast<double>(i);
  }
  for (size_t i = 0; i < 3; ++i) {
    ensemble.target_normaliser().mean[i] = 0.3;
    ensemble.target_normaliser().scale[i] = 1.5 + static_cast<double>(i);
  }
  return ensemble;
}

TEST(Derivatives, OfAnEnsembleEqualDifferences) {
  for (const Encoding& encoding : {PlainEncoding(), GreyEncoding()}) {
    for (const bool probabilistic : {false, true}) {
      const Ensemble ensemble = MakeEnsemble(probabilistic, encoding);
      for (uint64_t i = 0; i < 5; ++i) {
        // Networks in float: with a half width of 1e-2 rounding leaves 1e-5 and curvature 1e-3.
        EXPECT_LT(
            CheckDerivatives(ensemble, Normals(3, 10 + i, 0.5), Normals(2, 20 + i, 0.3), 1e-2),
            5e-3);
      }
    }
  }
}

TEST(Derivatives, OfNetworksOfOtherKindsEqualDifferences) {
  for (const Activation activation : {Activation::kSwish, Activation::kRelu, Activation::kElu}) {
    for (const bool layer_norm : {false, true}) {
      EnsembleOptions options;
      options.activation = activation;
      options.layer_norm = layer_norm;
      const Ensemble ensemble = MakeEnsemble(true, GreyEncoding(), options);
      std::vector<double> errors;
      for (uint64_t i = 0; i < 9; ++i) {
        errors.push_back(
            CheckDerivatives(ensemble, Normals(3, 10 + i, 0.5), Normals(2, 20 + i, 0.3), 5e-3));
      }
      std::ranges::sort(errors);
      // As above; relu has kinks within the width of the differences at some of the knots.
      const double error = activation == Activation::kRelu ? errors[4] : errors.back();
      EXPECT_LT(error, 5e-3) << static_cast<int>(activation) << layer_norm;
    }
  }
}

TEST(Derivatives, OfManyKnotsEqualThoseOfEachAndAllocateNothing) {
  const Ensemble ensemble = MakeEnsemble(true, GreyEncoding());
  const int rows = 11;
  const auto state = Normals(3 * rows, 30, 0.5);
  const auto action = Normals(2 * rows, 31, 0.3);
  const auto workspace = ensemble.MakeDerivativeWorkspace(4);  // three calls
  const auto single = ensemble.MakeDerivativeWorkspace(1);
  std::vector<double> A(9 * rows);
  std::vector<double> B(6 * rows);
  const LinearizeBatch batch{
      .rows = rows, .state = state.data(), .action = action.data(), .A = A.data(), .B = B.data()};
  ensemble.Linearize(batch, *workspace);
  EXPECT_EQ(testing::CountAllocations([&] { ensemble.Linearize(batch, *workspace); }), 0);
  for (int row = 0; row < rows; ++row) {
    std::vector<double> A1(9);
    std::vector<double> B1(6);
    ensemble.Linearize({.rows = 1,
                        .state = state.data() + 3 * row,
                        .action = action.data() + 2 * row,
                        .A = A1.data(),
                        .B = B1.data()},
                       *single);
    // Sums in float may be taken in another order.
    for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(A[9 * static_cast<size_t>(row) + i], A1[i], 1e-5);
    for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(B[6 * static_cast<size_t>(row) + i], B1[i], 1e-5);
  }
}

TEST(Derivatives, OfAModelWithoutItsOwnAreDifferences) {
  const testing::DoubleIntegrator dynamics;
  const auto workspace = dynamics.MakeDerivativeWorkspace(1);
  const std::vector<double> state = {1, 2};
  const std::vector<double> action = {0.5};
  std::vector<double> A(4);
  std::vector<double> B(2);
  dynamics.Dynamics::Linearize(
      {.rows = 1, .state = state.data(), .action = action.data(), .A = A.data(), .B = B.data()},
      *workspace);
  EXPECT_NEAR(A[1], testing::DoubleIntegrator::kStep, 1e-9);
  EXPECT_NEAR(B[1], testing::DoubleIntegrator::kStep, 1e-9);
}

/// Says neither how it is observed nor what it needs.
class Bare final : public Dynamics {
 public:
  explicit Bare(bool observed) : observed_(observed) {}
  int state_dim() const override { return 2; }
  int action_dim() const override { return 1; }
  bool observation_is_state() const override { return observed_; }
  void Step(const StepBatch& /*batch*/, Workspace& /*workspace*/) const override {}

 private:
  bool observed_;
};

TEST(Dynamics, ObservesItsStateUnlessItSaysOtherwise) {
  const Bare observed(true);
  const auto workspace = observed.MakeWorkspace(1);
  EXPECT_EQ(observed.observation_dim(), 2);
  EXPECT_FALSE(observed.is_stochastic());
  std::vector<double> observation(2);
  observed.Observe(std::vector<double>{3, 4}, observation, *workspace);
  EXPECT_EQ(observation, (std::vector<double>{3, 4}));
  EXPECT_THROW(Bare(false).Observe(observation, observation, *workspace), InputError);
}

}  // namespace
}  // namespace foreplan
