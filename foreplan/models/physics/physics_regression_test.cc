// Physics fits of systems that are a formula, whose answers are regressions or can be told.
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
#include "foreplan/models/physics/physics_fit.h"
#include "foreplan/models/physics/physics_problem.h"

namespace foreplan {
namespace {

/// A system whose next observation is a formula: next = f(x, u).
class Formula final : public System {
 public:
  using Map = std::function<void(const double* x, double u, double* next)>;
  Formula(int components, Map map) : map_(std::move(map)), x_(static_cast<size_t>(components)) {
    spec_.dt = 1;
    for (int i = 0; i < components; ++i) spec_.state.push_back({"x" + std::to_string(i), ""});
    spec_.observation = spec_.state;
    spec_.action = {{"u", ""}};
    spec_.action_low = {-10};
    spec_.action_high = {10};
  }
  const SystemSpec& spec() const override { return spec_; }
  std::unique_ptr<System> Clone() const override { return std::make_unique<Formula>(*this); }
  void Reset(Key) override {}
  StepOutcome Step(std::span<const double> action) override {
    std::vector<double> next(x_.size());
    map_(x_.data(), action[0], next.data());
    x_ = next;
    for (const double x : x_) {
      if (!std::isfinite(x)) return StepStatus::kDiverged;
    }
    return StepStatus::kOk;
  }
  void Observe(std::span<double> observation) const override {
    std::ranges::copy(x_, observation.begin());
  }
  void GetState(std::span<double> state) const override { std::ranges::copy(x_, state.begin()); }
  void SetState(std::span<const double> state) override { std::ranges::copy(state, x_.begin()); }
  std::string Divergence() const override { return "x"; }

 private:
  Map map_;
  SystemSpec spec_;
  std::vector<double> x_;
};

using OneStep = std::function<double(std::span<const double> values, double x, double u)>;

/// Systems of one component: x' = step(values, x, u).
SystemFamily FamilyOf(const OneStep& step) {
  return [step](std::span<const double> v) -> std::unique_ptr<System> {
    const std::vector<double> values(v.begin(), v.end());
    return std::make_unique<Formula>(1, [step, values](const double* x, double u, double* next) {
      *next = step(values, *x, u);
    });
  };
}

/// Episodes of 20 steps of a system of one component under random actions in +-2.
Dataset RecordOne(const OneStep& step, const std::vector<double>& values, int steps, double noise,
                  NoiseModel where = NoiseModel::kProcess) {
  Dataset data(1, 1);
  Random random(Key{3, 3});
  double x = 0;
  double seen = 0;
  for (int t = 0; t < steps; ++t) {
    if (t % 20 == 0) {
      x = random.Normal();
      seen = where == NoiseModel::kProcess ? x : x + noise * random.Normal();
    }
    const double u = random.Uniform(-2, 2);
    x = step(values, x, u);
    const double next = x + noise * random.Normal();
    if (where == NoiseModel::kProcess) x = next;
    data.Add(std::vector<double>{seen}, std::vector<double>{u}, std::vector<double>{next}, t / 20);
    seen = next;
  }
  return data;
}

/// Weighted least squares with known answers: minimises sum w (y - X b)^2.
struct Regression {
  Regression(const Eigen::MatrixXd& X, const Eigen::VectorXd& y, const Eigen::VectorXd& w,
             double degrees) {
    const Eigen::MatrixXd inverse = (X.transpose() * w.asDiagonal() * X).inverse();
    values = inverse * (X.transpose() * w.cwiseProduct(y));
    noise = std::sqrt(w.dot((y - X * values).cwiseAbs2()) / degrees);
    errors = noise * inverse.diagonal().cwiseSqrt();
  }
  Eigen::VectorXd values, errors;
  double noise = 0;
};

// Differences of 1e-6 and the tolerance of 1e-3 standard errors, which a linear problem undercuts.
constexpr double kExact = 1e-5;

double Linear(std::span<const double> v, double x, double u) { return v[0] * x + v[1] * u; }

/// Its regression: x' by x and u.
Regression OfLinear(const Dataset& data) {
  const auto n = static_cast<Eigen::Index>(data.size());
  Eigen::MatrixXd X(n, 2);
  Eigen::VectorXd y(n);
  for (Eigen::Index t = 0; t < n; ++t) {
    X.row(t) << data.observation(t)[0], data.action(t)[0];
    y[t] = data.next_observation(t)[0];
  }
  return {X, y, Eigen::VectorXd::Ones(n), static_cast<double>(n - 2)};
}

TEST(PhysicsFit, OfALinearSystemIsLinearRegression) {
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 60, 0.1);
  const Regression expected = OfLinear(data);
  const PhysicsFit fit = FitPhysics(
      FamilyOf(Linear),
      std::vector<Unknown>{{.name = "a", .start = 0.1}, {.name = "b", .start = 3}}, data);
  ASSERT_EQ(fit.status, PhysicsFitStatus::kConverged);
  EXPECT_EQ(fit.failure, "");
  EXPECT_EQ(fit.guesses, 1);
  EXPECT_LE(fit.iterations, 6);  // damping of 1e-3 leaves a thousandth after each
  EXPECT_NEAR(fit.noise[0], expected.noise, kExact * expected.noise);
  for (Eigen::Index i = 0; i < 2; ++i) {
    const auto place = static_cast<size_t>(i);
    EXPECT_NEAR(fit.values[place], expected.values[i], 2e-3 * expected.errors[i]);  // tolerance
    EXPECT_NEAR(fit.standard_errors[place], expected.errors[i], kExact * expected.errors[i]);
    EXPECT_NEAR(fit.covariance(i, i), std::pow(expected.errors[i], 2), 1e-6);
  }
}

TEST(PhysicsFit, APriorIsOneMoreObservation) {
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 40, 0.1);
  const PhysicsFit free = FitPhysics(
      FamilyOf(Linear),
      std::vector<Unknown>{{.name = "a", .start = 0.1}, {.name = "b", .start = 3}}, data);
  std::vector<Unknown> unknowns = {{.name = "a", .start = 0.1}, {.name = "b", .start = 3}};
  unknowns[1].prior_mean = 0.6;
  unknowns[1].prior_deviation = free.standard_errors[1];
  const PhysicsFit fit = FitPhysics(FamilyOf(Linear), unknowns, data);
  // As sure as the data: half way, and 1 / sqrt(2) of the error; the noise rises a little for it.
  const double rise = fit.noise[0] / free.noise[0];
  const double share = 1 / (1 + rise * rise);  // of the data's precision
  EXPECT_NEAR(fit.values[1], share * free.values[1] + (1 - share) * 0.6,
              0.01 * free.standard_errors[1]);
  EXPECT_NEAR(fit.standard_errors[1] / free.standard_errors[1], std::sqrt(1 - share), 1e-4);
}

double Pushed(std::span<const double> v, double x, double u) { return x + v[0] * u; }

TEST(PhysicsFit, NoiseOfMeasurementIsRegressionWithAStartPerStretch) {
  const Dataset data = RecordOne(Pushed, {0.5}, 60, 0.1, NoiseModel::kMeasurement);
  const int stretch = 10;  // two in each of three episodes
  const PhysicsFit fit =
      FitPhysics(FamilyOf(Pushed), std::vector<Unknown>{{.name = "b", .start = 3}}, data,
                 {.noise = NoiseModel::kMeasurement, .stretch = stretch});
  // o_t = x_0 + b sum of u; columns: b and the six starts; weights: 1/2 for what two stretches
  // share
  std::vector<Eigen::VectorXd> rows;
  std::vector<double> y;
  std::vector<double> w;
  for (int s = 0; s < 6; ++s) {
    double pushed = 0;
    for (int t = 0; t <= stretch; ++t) {
      const int64_t row = s * stretch + t;
      Eigen::VectorXd x = Eigen::VectorXd::Zero(7);
      x[0] = pushed;
      x[1 + s] = 1;
      rows.push_back(x);
      y.push_back(t < stretch ? data.observation(row)[0] : data.next_observation(row - 1)[0]);
      w.push_back((t == 0 && s % 2 == 1) || (t == stretch && s % 2 == 0) ? 0.5 : 1);
      if (t < stretch) pushed += data.action(row)[0];
    }
  }
  Eigen::MatrixXd X(rows.size(), 7);
  for (size_t i = 0; i < rows.size(); ++i) X.row(static_cast<Eigen::Index>(i)) = rows[i];
  const auto n = static_cast<Eigen::Index>(y.size());
  const Regression expected(X, Eigen::Map<Eigen::VectorXd>(y.data(), n),
                            Eigen::Map<Eigen::VectorXd>(w.data(), n), 63.0 - 7);
  ASSERT_EQ(fit.status, PhysicsFitStatus::kConverged);
  EXPECT_NEAR(fit.values[0], expected.values[0], 2e-3 * expected.errors[0]);
  EXPECT_NEAR(fit.standard_errors[0], expected.errors[0], kExact * expected.errors[0]);
  EXPECT_NEAR(fit.noise[0], expected.noise, kExact * expected.noise);
  EXPECT_LE(fit.iterations, 6);  // the starts go along with the parameters
}

TEST(PhysicsFit, ComponentsWeighByTheirNoise) {
  // Both components are b u, one seen ten times as well as the other.
  const SystemFamily family = [](std::span<const double> v) -> std::unique_ptr<System> {
    return std::make_unique<Formula>(
        2, [b = v[0]](const double*, double u, double* next) { next[0] = next[1] = b * u; });
  };
  Dataset data(2, 1);
  Random random(Key{3, 3});
  std::vector<double> before = {0, 0};
  Eigen::Vector2d uy = Eigen::Vector2d::Zero();
  double uu = 0;
  for (int t = 0; t < 40; ++t) {
    const double u = random.Uniform(-2, 2);
    const std::vector<double> next = {0.5 * u + 0.2 * random.Normal(),
                                      0.5 * u + 0.02 * random.Normal()};
    data.Add(before, std::vector<double>{u}, next, 1);
    uy += u * Eigen::Vector2d(next[0], next[1]);
    uu += u * u;
    before = next;
  }
  const PhysicsFit fit = FitPhysics(family, std::vector<Unknown>{{.name = "b", .start = 3}}, data);
  ASSERT_EQ(fit.status, PhysicsFitStatus::kConverged);
  EXPECT_GT(fit.noise[0], 5 * fit.noise[1]);
  // b = sum_i (u'y_i / s_i^2) / sum_i (u'u / s_i^2)
  const Eigen::Vector2d precision(std::pow(fit.noise[0], -2), std::pow(fit.noise[1], -2));
  EXPECT_NEAR(fit.values[0], precision.dot(uy) / (uu * precision.sum()),
              5e-3 * fit.standard_errors[0]);
  EXPECT_NEAR(fit.standard_errors[0], 1 / std::sqrt(uu * precision.sum()),
              kExact * fit.standard_errors[0]);
}

TEST(PhysicsFit, AValueAtItsBoundHoldsOnlyItself) {
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 60, 0.1);
  const PhysicsFit fit = FitPhysics(
      FamilyOf(Linear),
      std::vector<Unknown>{{.name = "a", .start = 0.1}, {.name = "b", .start = 3, .low = 0.7}},
      data);
  EXPECT_EQ(fit.values[1], 0.7);
  EXPECT_TRUE(fit.at_bound[1]);
  EXPECT_FALSE(fit.at_bound[0]);
  EXPECT_EQ(fit.status, PhysicsFitStatus::kConverged);
  // The other is the regression of x' - 0.7 u by x.
  double xx = 0;
  double xy = 0;
  for (int64_t t = 0; t < data.size(); ++t) {
    xx += std::pow(data.observation(t)[0], 2);
    xy += data.observation(t)[0] * (data.next_observation(t)[0] - 0.7 * data.action(t)[0]);
  }
  EXPECT_NEAR(fit.values[0], xy / xx, 2e-3 * fit.standard_errors[0]);
  // The information is that of differences inside the bounds, nothing halved at them.
  const Regression free = OfLinear(data);
  EXPECT_NEAR(fit.standard_errors[1] / fit.noise[0], free.errors[1] / free.noise,
              1e-4 * free.errors[1] / free.noise);
}

TEST(PhysicsFit, WhatMovesAlongAnOpenDirectionHasNoStandardError) {
  const OneStep sum = [](std::span<const double> v, double x, double u) {
    return v[0] * x + (v[1] + 20 * v[2]) * u;
  };
  const Dataset data = RecordOne(sum, {0.9, 1, 1}, 60, 0.1);
  const PhysicsFit fit = FitPhysics(FamilyOf(sum),
                                    std::vector<Unknown>{{.name = "a", .start = 0.5},
                                                         {.name = "much", .start = 1.2},
                                                         {.name = "little", .start = 1}},
                                    data);
  // `little` moves by one twentieth of what `much` does: a small share, but no end to it.
  ASSERT_EQ(fit.unidentifiable.size(), 1U);
  EXPECT_NE(fit.unidentifiable[0].find("much"), std::string::npos) << fit.unidentifiable[0];
  EXPECT_NE(fit.unidentifiable[0].find("little"), std::string::npos) << fit.unidentifiable[0];
  EXPECT_EQ(fit.unidentifiable[0].find("a "), std::string::npos) << fit.unidentifiable[0];
  EXPECT_TRUE(std::isinf(fit.standard_errors[1]));
  EXPECT_TRUE(std::isinf(fit.standard_errors[2]));
  EXPECT_EQ(fit.draw.cols(), 2);  // the two directions that are known
  const auto n = static_cast<Eigen::Index>(data.size());
  Eigen::MatrixXd X(n, 2);
  for (Eigen::Index t = 0; t < n; ++t) X.row(t) << data.observation(t)[0], data.action(t)[0];
  const double error = fit.noise[0] * std::sqrt((X.transpose() * X).inverse()(0, 0));
  EXPECT_NEAR(fit.standard_errors[0], error, 1e-4 * error);
  EXPECT_NEAR(fit.values[1] + 20 * fit.values[2], 21, 0.1);  // what the data do say
}

TEST(PhysicsFit, BadlyKnownIsOpenByTheOption) {
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 40, 0.1);
  const std::vector<Unknown> unknowns = {{.name = "a", .start = 0.1}, {.name = "b", .start = 3}};
  const double relative =
      FitPhysics(FamilyOf(Linear), unknowns, data).standard_errors[1] / 0.5;  // 3 %
  for (const double factor : {0.5, 2.0}) {
    const PhysicsFit fit =
        FitPhysics(FamilyOf(Linear), unknowns, data, {.identifiable_below = factor * relative});
    EXPECT_EQ(fit.unidentifiable.empty(), factor > 1);
    EXPECT_EQ(std::isinf(fit.standard_errors[1]), factor < 1);
  }
}

/// Newton's steps towards 0 grow from |w| > 1.4 on.
double Overshooting(std::span<const double> v, double /*x*/, double u) {
  return std::atan(v[0]) * u;
}

TEST(PhysicsFit, CostNeverRisesAndDampingComesAndGoes) {
  const Dataset data = RecordOne(Overshooting, {0}, 40, 0.1);
  for (const double start : {3.0, 20.0, -100.0}) {
    const PhysicsFit fit =
        FitPhysics(FamilyOf(Overshooting), std::vector<Unknown>{{.name = "w", .start = start}},
                   data, {.guesses = 0});
    EXPECT_EQ(fit.status, PhysicsFitStatus::kConverged) << start;
    EXPECT_NEAR(fit.values[0], 0, 4 * fit.standard_errors[0]) << start;
    EXPECT_LE(fit.iterations, 40) << start;
    for (const auto& round : fit.costs) {
      for (size_t i = 1; i < round.size(); ++i) EXPECT_LT(round[i], round[i - 1]) << start;
    }
  }
}

TEST(PhysicsFit, NoiseOfASystemAtRestIsNoFailure) {
  // What is seen of it is noise of the sensor; a step's is that of both its ends.
  const OneStep still = [](std::span<const double> v, double x, double u) { return x + v[0] * u; };
  const Dataset data = RecordOne(still, {0}, 20, 0.1, NoiseModel::kMeasurement);
  const PhysicsFit fit =
      FitPhysics(FamilyOf(still), std::vector<Unknown>{{.name = "b", .start = 1}}, data);
  EXPECT_EQ(fit.status, PhysicsFitStatus::kConverged) << fit.failure;
  EXPECT_GT(fit.noise[0], fit.spread[0]);
}

/// Many minima in the frequency.
double Wave(std::span<const double> v, double /*x*/, double u) { return std::sin(v[0] * u); }

TEST(PhysicsFit, OtherGuessesAreTriedWhereTheFirstEndsBadly) {
  const Dataset data = RecordOne(Wave, {3}, 60, 0.05);
  const auto fit_by = [&](int guesses, double start, Key key) {
    return FitPhysics(FamilyOf(Wave),
                      std::vector<Unknown>{{.name = "w", .start = start, .low = 0.1, .high = 20}},
                      data, {.guesses = guesses}, key);
  };
  const PhysicsFit alone = fit_by(0, 10, Key{});
  EXPECT_GT(std::abs(alone.values[0] - 3), 1);  // a minimum, but not the one
  const PhysicsFit fit = fit_by(8, 10, Key{});
  EXPECT_EQ(fit.guesses, 9);
  EXPECT_NEAR(fit.values[0], 3, 5 * fit.standard_errors[0]);
  EXPECT_LT(fit.standard_errors[0], 0.05);
  EXPECT_EQ(fit.values, fit_by(8, 10, Key{}).values);
  EXPECT_GT(fit.iterations, alone.iterations);
  EXPECT_EQ(fit_by(8, 2.9, Key{}).guesses, 1);  // a good end: no reason to look for others
}

TEST(PhysicsFit, WhatStaysOrKeepsItsPaceIsNoReasonForOtherGuesses) {
  // Beside a linear system a goal, another in every episode, and a belt that moves on by 0.02 a
  // step: their changes have no spread but rounding, and the equations leave nothing of them.
  const auto with_both = [](const double* x, double u, std::span<const double> v, double* next) {
    next[0] = Linear(v, x[0], u);
    next[1] = x[1];
    next[2] = x[2] + 0.02;
  };
  const SystemFamily family = [&](std::span<const double> v) -> std::unique_ptr<System> {
    const std::vector<double> values(v.begin(), v.end());
    return std::make_unique<Formula>(
        3, [=](const double* x, double u, double* next) { with_both(x, u, values, next); });
  };
  const Dataset one = RecordOne(Linear, {0.9, 0.5}, 100, 0.1);
  Dataset data(3, 1);
  double belt = 0;
  for (int64_t t = 0; t < one.size(); ++t) {
    const double goal = 0.3 + one.episode(t);
    const std::vector<double> from = {one.observation(t)[0], goal, belt};
    belt += 0.02;
    data.Add(from, one.action(t), std::vector<double>{one.next_observation(t)[0], goal, belt},
             one.episode(t));
  }
  const PhysicsFit fit = FitPhysics(
      family, std::vector<Unknown>{{.name = "a", .start = 0.1}, {.name = "b", .start = 3}}, data);
  EXPECT_EQ(fit.status, PhysicsFitStatus::kConverged) << fit.failure;
  EXPECT_EQ(fit.guesses, 1);
}

TEST(PhysicsFit, AUnitOfLengthChangesNoFit) {
  constexpr double kUnit = 0x1p-40;  // a power of two: everything is the same to the bit
  for (const NoiseModel where : {NoiseModel::kProcess, NoiseModel::kMeasurement}) {
    const auto fit_in = [where](double unit) {
      const OneStep step = [unit](std::span<const double> v, double x, double u) {
        return v[0] * x + 0.5 * unit * u;
      };
      const Dataset metres = RecordOne(Linear, {0.9, 0.5}, 60, 0.1, where);
      Dataset data(1, 1);
      for (int64_t t = 0; t < metres.size(); ++t) {
        data.Add(std::vector<double>{unit * metres.observation(t)[0]}, metres.action(t),
                 std::vector<double>{unit * metres.next_observation(t)[0]}, metres.episode(t));
      }
      PhysicsFitOptions options;
      options.noise = where;
      options.stretch = 10;
      return FitPhysics(FamilyOf(step), std::vector<Unknown>{{.name = "a", .start = 0.1}}, data,
                        options);
    };
    const PhysicsFit metres = fit_in(1);
    const PhysicsFit small = fit_in(kUnit);
    EXPECT_EQ(metres.status, PhysicsFitStatus::kConverged) << metres.failure;
    EXPECT_EQ(small.values, metres.values);
    EXPECT_EQ(small.standard_errors, metres.standard_errors);
    EXPECT_EQ(small.noise[0], kUnit * metres.noise[0]);
  }
}

TEST(PhysicsFit, AUnitOfAnUnknownChangesNoFit) {
  constexpr double kUnit = 0x1p-40;
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 60, 0.1);
  const auto fit_in = [&data](double unit) {
    const OneStep step = [unit](std::span<const double> v, double x, double u) {
      return v[0] / unit * x + 0.5 * u;
    };
    return FitPhysics(FamilyOf(step), std::vector<Unknown>{{.name = "a", .start = 0.1 * unit}},
                      data);
  };
  const PhysicsFit one = fit_in(1);
  const PhysicsFit small = fit_in(kUnit);
  EXPECT_EQ(small.values[0], kUnit * one.values[0]);
  EXPECT_EQ(small.standard_errors[0], kUnit * one.standard_errors[0]);
}

TEST(PhysicsFit, AStepThatIsNoNumberOrLeadsUpIsNotArrived) {
  const Dataset data = RecordOne(Linear, {0.9, 0.5}, 20, 0.1);
  const std::vector<Unknown> unknowns = {{.name = "a"}, {.name = "b"}};
  const SystemFamily family = FamilyOf(Linear);
  const PhysicsProblem problem(family, unknowns, data, {});
  const Eigen::VectorXd values = Eigen::VectorXd::Ones(2);
  const auto length = [&](double gradient, double information) {
    return problem.StepInStandardErrors(
        {.cost = 1,
         .gradient = Eigen::VectorXd::Constant(2, gradient),
         .information = information * Eigen::MatrixXd::Identity(2, 2)},
        values);
  };
  EXPECT_NEAR(length(3, 2), std::sqrt(2 * 3 * 3 / 2.0), 1e-8);  // g' H^-1 g, damping of 1e-9
  EXPECT_EQ(length(0, 2), 0);
  EXPECT_TRUE(std::isinf(length(3, -2)));
  EXPECT_TRUE(std::isinf(length(std::nan(""), 2)));
}

}  // namespace
}  // namespace foreplan
