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
#include "foreplan/models/terminal_value.h"
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

TEST(DynamicsProblem, TheTerminalCostIsMinusTheValueOfTheObservation) {
  const auto [task, config] = Task::Load("pendulum");  // observes cosine and sine of its angle
  const auto system = task.MakeSystem();
  const auto dynamics = std::make_shared<const TrueDynamics>(*system);
  ASSERT_FALSE(dynamics->observation_is_state());
  const int no = dynamics->observation_dim();
  Eigen::MatrixXd P = Eigen::MatrixXd::Identity(no, no);
  P(0, 1) = P(1, 0) = 0.3;
  const Eigen::VectorXd target = Eigen::VectorXd::Constant(no, 0.2);
  const auto value = std::make_shared<const QuadraticValue>(P, target, 4);
  const DynamicsProblem problem(dynamics, task.shared_planning_reward(), task.spec(), 3, value);
  system->Reset(Key{2, 0});
  std::vector<double> x(static_cast<size_t>(dynamics->state_dim()));
  system->GetState(x);
  std::vector<double> observation(static_cast<size_t>(no));
  system->Observe(observation);
  double of_observation = 0;
  value->Evaluate(1, observation.data(), &of_observation);
  const auto workspace = problem.MakeWorkspace();
  EXPECT_EQ(problem.TerminalCost(x.data(), *workspace), -of_observation);
  const std::vector<double> u(static_cast<size_t>(dynamics->action_dim()));
  EXPECT_LT(CheckDerivatives(problem, 0, x, u).terminal_gradient, 1e-8);
  const DynamicsProblem without(dynamics, task.shared_planning_reward(), task.spec(), 3);
  EXPECT_EQ(without.TerminalCost(x.data(), *without.MakeWorkspace()), 0);
}

TEST(DynamicsProblem, TheHessianOfTheTerminalCostIsPulledBackThroughTheObservation) {
  // Where the state is observed it is 2 P.
  const testing::DoubleIntegrator dynamics;
  const testing::QuadraticReward reward;
  Eigen::MatrixXd P(2, 2);
  P << 3, 1, 1, 2;
  const DynamicsProblem problem(
      testing::Borrowed(dynamics), testing::Borrowed(reward), testing::DoubleIntegratorSpec(2), 3,
      std::make_shared<const QuadraticValue>(P, Eigen::Vector2d(0.5, -1)));
  const KnotLayout layout{2, 1};
  std::vector<double> memory(layout.knot_size());
  double* free = memory.data();
  const Knot knot = Knot::Take(layout, free);
  const std::vector<double> x = {0.3, 0.7};
  problem.ExpandTerminal(x.data(), knot, *problem.MakeWorkspace());
  const KnotView<> view(knot, layout);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) EXPECT_EQ(view.lxx(i, j), 2 * P(i, j));
  }
}

}  // namespace
}  // namespace foreplan
