#include "foreplan/models/physics/physics_fit.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/models/physics/physics_model.h"
#include "foreplan/models/physics/physics_problem.h"
#include "foreplan/systems/closed_form/pendulum.h"
#include "foreplan/systems/testing/cartpole_excitation.h"

namespace foreplan {
namespace {

/// `steps` transitions of a cart-pole under smooth random actions, away from +-2 m.
Dataset Record(const CartPoleOptions& options, int steps, double noise, NoiseModel where, Key key) {
  Dataset data(4, 1);
  CartPole system(options);
  Random random(key);
  std::vector<double> state = {0, 0.1, 0, 0};
  std::vector<double> observed = state;
  std::vector<double> next(4);
  for (int t = 0; t < steps; ++t) {
    const double action = SlidingAction(t, state, random);
    system.SetState(state);
    EXPECT_EQ(system.Step(std::vector<double>{action}), StepStatus::kOk);
    system.GetState(next);
    std::vector<double> seen = next;
    for (double& entry : seen) entry += noise * random.Normal();
    data.Add(observed, std::vector<double>{action}, seen, 1);
    EXPECT_LT(std::abs(next[0]), 2) << "reaches the rail at " << t;
    observed = seen;
    state = where == NoiseModel::kProcess ? seen : next;
  }
  return data;
}

const std::vector<std::string> kNames = {"cart_mass", "pole_mass", "pole_center", "cart_damping",
                                         "hinge_damping"};

/// The inertia is tied: m_p l^2.
std::unique_ptr<System> Tied(std::span<const double> v) {
  CartPoleOptions options = PointMassPole();
  options.cart_mass = v[0];
  options.pole_mass = v[1];
  options.pole_center = v[2];
  options.cart_damping = v[3];
  options.hinge_damping = v[4];
  options.pole_inertia = v[1] * v[2] * v[2];
  return std::make_unique<CartPole>(options);
}

std::vector<Unknown> Guesses() {
  const std::vector<double> start = {5, 2, 0.6, 0.2, 0.2};
  std::vector<Unknown> unknowns;
  for (size_t i = 0; i < kNames.size(); ++i) {
    unknowns.push_back({.name = kNames[i], .start = start[i], .low = 1e-3, .high = 100});
  }
  return unknowns;
}

std::vector<double> Truth() {
  const CartPoleOptions o = PointMassPole();
  return {o.cart_mass, o.pole_mass, o.pole_center, o.cart_damping, o.hinge_damping};
}

class PhysicsFitGate : public ::testing::TestWithParam<NoiseModel> {};

TEST_P(PhysicsFitGate, RecoversTheCartPoleWithHonestIntervals) {
  constexpr int kTrials = 100;
  const std::vector<double> truth = Truth();
  const auto unknowns = Guesses();
  std::vector<int> covered(truth.size());
  std::vector<double> mean_square(truth.size());
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    const Dataset data = Record(PointMassPole(), 200, 1e-3, GetParam(), Key{trial, 7});
    const PhysicsFit fit = FitPhysics(Tied, unknowns, data, {.noise = GetParam()});
    ASSERT_EQ(fit.status, PhysicsFitStatus::kConverged) << trial;
    EXPECT_TRUE(fit.unidentifiable.empty()) << fit.unidentifiable.front();
    for (const double noise : fit.noise) EXPECT_NEAR(noise, 1e-3, 3e-4);  // 200 rows: 5 % each
    for (size_t i = 0; i < truth.size(); ++i) {
      const double error = fit.values[i] - truth[i];
      covered[i] += std::abs(error) <= 1.96 * fit.standard_errors[i] ? 1 : 0;
      mean_square[i] += error * error / (truth[i] * truth[i]) / kTrials;
    }
  }
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_GE(covered[i], 90) << kNames[i];  // of 95 expected
    EXPECT_LT(std::sqrt(mean_square[i]), 0.01) << kNames[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Both, PhysicsFitGate,
                         ::testing::Values(NoiseModel::kProcess, NoiseModel::kMeasurement));

/// One guess, every number within a factor e^3 of the truth, and where it led.
struct FarFit {
  std::vector<double> start;
  PhysicsFit fit;
  double worst = 0;  // of the errors [standard errors]
};

FarFit FitFromFar(const Dataset& data, uint64_t guess, NoiseModel noise) {
  const std::vector<double> truth = Truth();
  FarFit far;
  Random random(Key{guess, 99});
  std::vector<Unknown> unknowns;
  for (size_t i = 0; i < truth.size(); ++i) {
    far.start.push_back(truth[i] * std::exp(random.Uniform(-3, 3)));
    unknowns.push_back({.name = kNames[i], .start = far.start[i], .low = 1e-3, .high = 1000});
  }
  far.fit = FitPhysics(Tied, unknowns, data, {.noise = noise}, Key{guess, 100});
  for (size_t i = 0; i < truth.size(); ++i) {
    const double error = std::abs(far.fit.values[i] - truth[i]) / far.fit.standard_errors[i];
    if (!(error <= far.worst)) far.worst = error;
  }
  return far;
}

/// Writes the table of docs/results/physics_guesses.csv where the environment names a file.
TEST(PhysicsFitGate, NoneOfAHundredFarGuessesIsCalledConvergedAndWrong) {
  const char* file = std::getenv("FOREPLAN_GUESSES_CSV");
  std::ofstream csv;
  if (file != nullptr) csv.open(file);
  csv << "noise,trial,status,guesses,iterations,worst_error_in_standard_errors,largest_noise\n";
  for (const NoiseModel noise : {NoiseModel::kProcess, NoiseModel::kMeasurement}) {
    const bool process = noise == NoiseModel::kProcess;
    const Dataset data = Record(PointMassPole(), 300, 1e-3, noise, Key{0, 7});
    int converged = 0;
    for (uint64_t trial = 0; trial < (process ? 100 : 30); ++trial) {
      const FarFit far = FitFromFar(data, trial, noise);
      if (far.fit.status == PhysicsFitStatus::kConverged) {
        ++converged;
        EXPECT_LE(far.worst, 6) << trial;
      }
      csv << (process ? "process," : "measurement,") << trial << "," << Name(far.fit.status) << ","
          << far.fit.guesses << "," << far.fit.iterations << "," << far.worst << ","
          << *std::ranges::max_element(far.fit.noise) << "\n";
    }
    EXPECT_GE(converged, process ? 95 : 28);  // all did
  }
}

TEST(PhysicsFit, FarGuessesThatLedAstrayFindTheTruth) {
  const Dataset data = Record(PointMassPole(), 300, 1e-3, NoiseModel::kProcess, Key{0, 7});
  // Of the hundred of the gate: from 21 the system all but explodes; 50 leads to a cart with next
  // to no pole, a minimum that leaves noise of a quarter of the data's spread.
  for (const uint64_t guess : {21, 50}) {
    const FarFit far = FitFromFar(data, guess, NoiseModel::kProcess);
    EXPECT_EQ(far.fit.status, PhysicsFitStatus::kConverged) << guess;
    EXPECT_LE(far.worst, 6) << guess;
    for (const double noise : far.fit.noise) EXPECT_NEAR(noise, 1e-3, 2e-4);  // 300 rows: 4 % each
  }
}

TEST(PhysicsFit, RecoversTheCartPoleUnderEitherNoise) {
  for (const NoiseModel noise : {NoiseModel::kProcess, NoiseModel::kMeasurement}) {
    const Dataset data = Record(PointMassPole(), 200, 1e-3, noise, Key{0, 7});
    const PhysicsFit fit = FitPhysics(Tied, Guesses(), data, {.noise = noise});
    EXPECT_EQ(fit.status, PhysicsFitStatus::kConverged);
    for (size_t i = 0; i < fit.values.size(); ++i) {
      EXPECT_NEAR(fit.values[i], Truth()[i], 4 * fit.standard_errors[i]) << kNames[i];
      EXPECT_LT(fit.standard_errors[i], 0.01 * Truth()[i]) << kNames[i];
    }
  }
}

/// The inertia is an unknown of its own.
std::unique_ptr<System> Free(std::span<const double> v) {
  CartPoleOptions options = PointMassPole();
  options.cart_mass = v[0];
  options.pole_mass = v[1];
  options.pole_center = v[2];
  options.cart_damping = v[3];
  options.hinge_damping = v[4];
  options.pole_inertia = v[5];
  return std::make_unique<CartPole>(options);
}

std::vector<Unknown> FreeGuesses() {
  std::vector<Unknown> unknowns = Guesses();
  unknowns.push_back({.name = "pole_inertia", .start = 0.3, .low = 1e-3, .high = 100});
  return unknowns;
}

TEST(PhysicsFit, NamesWhatTheDataCannotTellApart) {
  // Only m_c + m_p, m_p l, I and the frictions show: masses and length change together.
  const Dataset data = Record(PointMassPole(), 200, 1e-3, NoiseModel::kProcess, Key{1, 7});
  const PhysicsFit fit = FitPhysics(Free, FreeGuesses(), data);
  ASSERT_EQ(fit.unidentifiable.size(), 1U);
  const std::string& text = fit.unidentifiable.front();
  for (const char* name : {"cart_mass", "pole_mass", "pole_center"}) {
    EXPECT_NE(text.find(name), std::string::npos) << text;
  }
  for (const char* name : {"damping", "inertia"}) {
    EXPECT_EQ(text.find(name), std::string::npos) << text;
  }
  const std::vector<double> truth = Truth();
  EXPECT_NEAR(fit.values[0] + fit.values[1], truth[0] + truth[1], 0.01 * (truth[0] + truth[1]));
  EXPECT_NEAR(fit.values[1] * fit.values[2], truth[1] * truth[2], 0.01 * truth[1] * truth[2]);
}

TEST(PhysicsFit, APriorSettlesWhatTheDataLeaveOpen) {
  const Dataset data = Record(PointMassPole(), 200, 1e-3, NoiseModel::kProcess, Key{1, 7});
  std::vector<Unknown> unknowns = FreeGuesses();
  unknowns[1].prior_mean = 5;  // somebody weighed the pole
  unknowns[1].prior_deviation = 0.05;
  const PhysicsFit fit = FitPhysics(Free, unknowns, data);
  EXPECT_NEAR(fit.values[1], 5, 0.01);
  EXPECT_NEAR(fit.standard_errors[1], 0.05, 0.01);
  EXPECT_NEAR(fit.values[0], 15.49 - 5, 0.05);
}

TEST(PhysicsFit, StopsAtBoundsAndSaysSo) {
  const Dataset data = Record(PointMassPole(), 100, 1e-3, NoiseModel::kProcess, Key{1, 7});
  std::vector<Unknown> unknowns = Guesses();
  unknowns[0].high = 8;  // the truth is 10.5
  const PhysicsFit fit = FitPhysics(Tied, unknowns, data);
  EXPECT_EQ(fit.values[0], 8);
  EXPECT_TRUE(fit.at_bound[0]);
  EXPECT_FALSE(fit.at_bound[1]);
}

TEST(PhysicsFit, AnExplosionIsNotExcusedByNoise) {
  const Dataset data = Record(PointMassPole(), 60, 1e-3, NoiseModel::kProcess, Key{1, 7});
  const std::vector<Unknown> unknowns = Guesses();
  const SystemFamily family = Tied;
  PhysicsProblem problem(family, unknowns, data, {});
  Eigen::VectorXd values(5);
  values << 5, 2, 0.05, 0.2, 0.2;
  const double most = problem.Cost(values, problem.starts());
  EXPECT_GT(most, 1);
  problem.set_noise(Eigen::VectorXd::Constant(4, 1e9));
  EXPECT_EQ(problem.Cost(values, problem.starts()), most);
  problem.set_noise(problem.spread());
  EXPECT_NEAR(problem.Cost(values, problem.starts()), 4 * most, 1e-9 * most);  // at most twice it
}

TEST(PhysicsFit, SaysThatItDidNotArrive) {
  const Dataset data = Record(PointMassPole(), 60, 1e-3, NoiseModel::kProcess, Key{1, 7});
  const PhysicsFit fit = FitPhysics(Tied, Guesses(), data, {.max_iterations = 2, .guesses = 0});
  EXPECT_EQ(fit.status, PhysicsFitStatus::kIterationLimit);
  EXPECT_EQ(fit.iterations, 2);
  EXPECT_NE(fit.failure.find("not at a minimum after 2 iterations"), std::string::npos)
      << fit.failure;
}

TEST(PhysicsFit, ConvergedMeansThatNoFullStepIsLong) {
  const Dataset data = Record(PointMassPole(), 100, 1e-3, NoiseModel::kProcess, Key{1, 7});
  const PhysicsFit fit = FitPhysics(Tied, Guesses(), data);
  ASSERT_EQ(fit.status, PhysicsFitStatus::kConverged);
  const std::vector<Unknown> unknowns = Guesses();
  const SystemFamily family = Tied;
  PhysicsProblem problem(family, unknowns, data, {});
  problem.set_noise(Eigen::Map<const Eigen::VectorXd>(fit.noise.data(), 4));
  const Eigen::VectorXd values = Eigen::Map<const Eigen::VectorXd>(fit.values.data(), 5);
  const auto at = problem.Expand(values);
  ASSERT_TRUE(at.has_value());
  EXPECT_LT(problem.StepInStandardErrors(*at, values), 1e-3);
  // A standard error of cart_mass away, it is one long: the other unknowns follow by the
  // regression.
  Eigen::VectorXd off = values;
  off += fit.covariance.col(0) / fit.standard_errors[0];
  EXPECT_NEAR(problem.StepInStandardErrors(*problem.Expand(off), off), 1, 0.05);
}

TEST(PhysicsFit, NoiseAboveTheSpreadIsAFailureInWords) {
  // The equations push the cart a hundred times as hard as the motor can.
  const auto wrong = [](std::span<const double> v) -> std::unique_ptr<System> {
    CartPoleOptions options = PointMassPole();
    options.gear = 1e4;
    options.hinge_damping = v[0];
    return std::make_unique<CartPole>(options);
  };
  const Dataset data = Record(PointMassPole(), 60, 1e-3, NoiseModel::kProcess, Key{1, 7});
  const PhysicsFit fit = FitPhysics(
      wrong, std::vector<Unknown>{{.name = "hinge_damping", .start = 0.5, .low = 0, .high = 5}},
      data);
  EXPECT_EQ(fit.status, PhysicsFitStatus::kUnexplained);
  EXPECT_EQ(fit.guesses, 9);
  EXPECT_NE(fit.failure.find("is above twice the data's spread"), std::string::npos) << fit.failure;
  EXPECT_NE(fit.failure.find("the noise of "), std::string::npos) << fit.failure;
  EXPECT_TRUE(std::isinf(fit.standard_errors[0]));
  EXPECT_GT(fit.noise[2], fit.spread[2]);
}

TEST(PhysicsFit, RefusesWrongInput) {
  const Dataset data = Record(PointMassPole(), 20, 0, NoiseModel::kProcess, Key{1, 7});
  const auto message = [](const SystemFamily& family, const std::vector<Unknown>& unknowns,
                          const Dataset& rows, const PhysicsFitOptions& options) -> std::string {
    try {
      (void)FitPhysics(family, unknowns, rows, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(Tied, {}, data, {}).find("no unknowns"), std::string::npos);
  std::vector<Unknown> outside = Guesses();
  outside[2].start = 1000;
  EXPECT_NE(message(Tied, outside, data, {}).find("pole_center: found start 1000"),
            std::string::npos);
  EXPECT_NE(message(Tied, Guesses(), Dataset(4, 1), {}).find("found 0 transitions"),
            std::string::npos);
  Dataset broken(4, 1);
  for (int i = 0; i < 9; ++i) {
    broken.Add(std::vector<double>(4, i == 7 ? NAN : 0.0), std::vector<double>{0.0},
               std::vector<double>(4, 0.0), 1);
  }
  EXPECT_NE(message(Tied, Guesses(), broken, {}).find("transition 7: found nan"),
            std::string::npos);
  EXPECT_NE(message(Tied, Guesses(), data, {.stretch = 0}).find("stretch"), std::string::npos);
  const auto pendulum = [](std::span<const double> /*values*/) -> std::unique_ptr<System> {
    return std::make_unique<Pendulum>();
  };
  EXPECT_NE(message(pendulum, Guesses(), data, {}).find("observed numbers"), std::string::npos);
}

TEST(PhysicsModel, PredictsAndDifferentiatesAsItsSystem) {
  const CartPole system(PointMassPole());
  const PhysicsModel model(system);
  EXPECT_TRUE(model.observation_is_state());
  const std::vector<double> x = {0.1, 2.0, -0.3, 1.0};
  const std::vector<double> u = {0.7};
  EXPECT_LT(CheckDerivatives(model, x, u), 1e-7);
  std::vector<double> next(4);
  const auto workspace = model.MakeWorkspace(1);
  model.Step({.rows = 1,
              .state = x.data(),
              .action = u.data(),
              .next_state = next.data(),
              .next_observation = next.data(),
              .key = {}},
             *workspace);
  CartPole other(PointMassPole());
  other.SetState(x);
  ASSERT_EQ(other.Step(u), StepStatus::kOk);
  std::vector<double> expected(4);
  other.GetState(expected);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(next[i], expected[i], 1e-14);
  EXPECT_THROW(PhysicsModel{Pendulum()}, InputError);  // observes sine and cosine
}

}  // namespace
}  // namespace foreplan
