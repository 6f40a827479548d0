#include "foreplan/trajopt/dynamics_problem.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/rewards/expression_reward.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

constexpr int kHorizon = 3;

/// A rollout of random actions and its expansion.
class Expanded {
 public:
  Expanded(const TrajectoryProblem& problem, std::vector<double> start, uint64_t stream)
      : layout_{problem.tangent_dim(), problem.action_dim()},
        workspace_(problem.MakeWorkspace()),
        memory_(layout_.knot_size() * (kHorizon + 1)),
        xs(std::move(start)) {
    const auto nx = static_cast<size_t>(problem.state_dim());
    Random random(Key{41, stream});
    xs.resize(nx * (kHorizon + 1));
    for (int i = 0; i < kHorizon * layout_.nu; ++i) {
      const auto j = static_cast<size_t>(i % layout_.nu);
      const double low = problem.action_low()[j];
      us.push_back(low + random.Uniform(0.2, 0.8) * (problem.action_high()[j] - low));
    }
    double* at = memory_.data();
    for (int t = 0; t <= kHorizon; ++t) {
      knots.push_back(Knot::Take(layout_, at));
      problem.Bind(t, knots.back());
      if (t < kHorizon) (void)problem.Step(t, State(t), Action(t), State(t + 1), *workspace_);
    }
    problem.Expand(0, kHorizon, xs.data(), us.data(), knots.data(), *workspace_);
  }

  [[nodiscard]] KnotView<> view(int t) const {
    return KnotView<>(knots[static_cast<size_t>(t)], layout_);
  }
  double* State(int t) {
    return xs.data() + t * static_cast<std::ptrdiff_t>(xs.size()) / (kHorizon + 1);
  }
  double* Action(int t) { return us.data() + t * layout_.nu; }

 private:
  KnotLayout layout_;
  std::unique_ptr<TrajectoryProblem::Workspace> workspace_;
  AlignedVector<double> memory_;

 public:
  std::vector<double> xs, us;
  std::vector<Knot> knots;
};

TEST(DynamicsProblem, ExpansionsEqualDifferencesOfItsSteps) {
  struct Case {
    const char* task;
    const char* reward;  // "": the task's
    std::vector<double> start;
  };
  // The pendulum's observation is not its state; its own reward is of the one before the step.
  for (const auto& [name, formula, start] :
       {Case{"pendulum", "", {0.7, -0.3}},
        Case{"pendulum", "-square(sin_theta + 0.1 * theta_dot) * previous.cos_theta", {0.7, -0.3}},
        Case{"cartpole_closed_form", "", {0.1, 0.2, -0.3, 0.4}}}) {
    SCOPED_TRACE(std::string(name) + " " + formula);
    const Task task = Task::Load(name).first;
    const auto system = task.MakeSystem();
    const TrueDynamics dynamics(*system);
    std::optional<ExpressionReward> own;
    if (*formula != '\0')
      own.emplace(task.spec(), ExpressionDefinitions{}, ExpressionText{"reward", formula},
                  std::nullopt);
    const Reward& reward = own ? *own : task.planning_reward();
    const DynamicsProblem problem(testing::Borrowed(dynamics), testing::Borrowed(reward),
                                  task.spec(), kHorizon);
    Expanded expanded(problem, start, 1);
    const auto workspace = problem.MakeWorkspace();
    const int nx = problem.state_dim();
    std::vector<double> above(static_cast<size_t>(nx));
    std::vector<double> below = above;
    for (int t = 0; t < kHorizon; ++t) {
      const KnotView<> view = expanded.view(t);
      for (int j = -1; j < nx; ++j) {  // -1: the action
        double& entry = j < 0 ? expanded.Action(t)[0] : expanded.State(t)[j];
        const double kept = entry;
        const auto cost = [&](double step, std::vector<double>& next) {
          entry = kept + step;
          const double at =
              problem.Step(t, expanded.State(t), expanded.Action(t), next.data(), *workspace);
          entry = kept;
          return at;
        };
        constexpr double kStep = 1e-6;
        const double slope = (cost(kStep, above) - cost(-kStep, below)) / (2 * kStep);
        // Central differences: rounding of 1e-10.
        EXPECT_NEAR(j < 0 ? view.lu(0) : view.lx(j), slope, 1e-8 * (1 + std::abs(slope)))
            << t << " " << j;
        for (int i = 0; i < nx; ++i) {
          const auto at = static_cast<size_t>(i);
          EXPECT_NEAR(j < 0 ? view.B(i, 0) : view.A(i, j), (above[at] - below[at]) / (2 * kStep),
                      1e-8)
              << t << " " << i << " " << j;
        }
      }
    }
  }
}

TEST(DynamicsProblem, HessiansArePulledBackThroughTheDynamics) {
  // l = p'^2 + 0.1 v'^2 + 0.01 u^2 with (p', v') = (p + h v, v + h u) has the Hessian M'W M.
  const testing::DoubleIntegrator dynamics;
  const testing::QuadraticReward reward;
  const DynamicsProblem problem(testing::Borrowed(dynamics), testing::Borrowed(reward),
                                testing::DoubleIntegratorSpec(2), kHorizon);
  const Expanded expanded(problem, {0.4, -0.2}, 2);
  const double h = testing::DoubleIntegrator::kStep;
  Eigen::Matrix3d M;  // rows p', v', u by columns u, p, v
  M << 0, 1, h, h, 0, 1, 1, 0, 0;
  const Eigen::Vector3d weights(1, 0.1, 0.01);
  const Eigen::Matrix3d H = 2 * M.transpose() * weights.asDiagonal() * M;
  for (int t = 0; t < kHorizon; ++t) {
    const KnotView<> view = expanded.view(t);
    EXPECT_NEAR(view.luu(0, 0), H(0, 0), 1e-14);
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(view.lux(0, i), H(0, 1 + i), 1e-14);
      for (int j = 0; j < 2; ++j) EXPECT_NEAR(view.lxx(i, j), H(1 + i, 1 + j), 1e-14);
    }
  }
}

TEST(DynamicsProblem, ExpansionsInPartsAreTheSameBits) {
  const Task task = Task::Load("cartpole_closed_form").first;
  const auto system = task.MakeSystem();
  const TrueDynamics dynamics(*system);
  const DynamicsProblem problem(testing::Borrowed(dynamics), task.shared_planning_reward(),
                                task.spec(), kHorizon);
  const Expanded whole(problem, {0.1, 0.2, -0.3, 0.4}, 3);
  Expanded parts(problem, {0.1, 0.2, -0.3, 0.4}, 3);
  const KnotLayout layout{problem.tangent_dim(), problem.action_dim()};
  for (Knot& knot : parts.knots) std::fill_n(knot.jacobian, layout.knot_size(), 0.0);
  const auto workspace = problem.MakeWorkspace();
  for (const int t : {1, 2, 0}) {
    problem.Expand(t, t + 1, parts.xs.data(), parts.us.data(), parts.knots.data(), *workspace);
  }
  for (size_t t = 0; t <= kHorizon; ++t) {
    EXPECT_EQ(std::memcmp(whole.knots[t].jacobian, parts.knots[t].jacobian,
                          layout.knot_size() * sizeof(double)),
              0)
        << t;
  }
}

}  // namespace
}  // namespace foreplan
