// What a decision may be asked for: stops, proposals, feedback, terminal values.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/planners/planner.h"
#include "foreplan/planners/policy_proposal.h"
#include "foreplan/trajopt/lqr_value.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;
using testing::ReturnOf;

constexpr int kHorizon = 12;
const std::vector<double> kStart = {1.0, 0.0};

/// Asks for a stop at its call number `stop_at`, and counts the calls that come later.
class Stopping final : public DoubleIntegrator {
 public:
  explicit Stopping(int stop_at) : stop_at_(stop_at) {}
  void Step(const StepBatch& batch, Workspace& workspace) const override {
    Count();
    DoubleIntegrator::Step(batch, workspace);
  }
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override {
    Count();
    DoubleIntegrator::Linearize(batch, workspace);
  }
  mutable std::stop_source stop;
  mutable int calls = 0;
  mutable int late = 0;

 private:
  void Count() const {
    if (stop.stop_requested()) ++late;
    if (++calls == stop_at_) stop.request_stop();
  }
  int stop_at_;
};

class PlanRequests : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Planner> Make(std::shared_ptr<const Dynamics> dynamics,
                                const std::vector<std::string>& settings = {},
                                std::shared_ptr<const TerminalValue> value = nullptr) {
    Config config = Config::FromString("", "test");
    config.Set("planner." + GetParam() + ".horizon=" + std::to_string(kHorizon));
    for (const auto& setting : settings) config.Set("planner." + GetParam() + "." + setting);
    return MakePlanner(GetParam(), config,
                       {std::move(dynamics), testing::Borrowed(reward_), DoubleIntegratorSpec(8.0),
                        std::make_shared<SerialExecutor>(), std::move(value)});
  }
  static PlanRequest At(int64_t step) {
    return {
        .state = kStart, .step = step, .key = Key{11, static_cast<uint64_t>(step)}, .budget = {}};
  }

  QuadraticReward reward_;
};

INSTANTIATE_TEST_SUITE_P(All, PlanRequests, ::testing::ValuesIn(PlannerNames()),
                         [](const auto& info) { return info.param; });

TEST_P(PlanRequests, AskedForAtAnyStepsThePlanIsTheShiftedWarmStart) {
  // With a model that predicts nothing any more a plan is the warm start and nothing else.
  const auto dynamics = std::make_shared<DoubleIntegrator>();
  const auto planner = Make(dynamics);
  const std::vector<double> first = planner->MakePlan(At(0)).actions;
  dynamics->nan_above = -100;
  for (const int64_t step : {3, 4, 9}) {
    const Plan& plan = planner->MakePlan(At(step));
    EXPECT_EQ(plan.first_step, step);
    EXPECT_TRUE(std::equal(first.begin() + step, first.end(), plan.actions.begin())) << step;
    double action = 0;
    plan.ActionAt(step + 1, kStart, {&action, 1});
    EXPECT_EQ(action, first[static_cast<size_t>(step) + 1]);
  }
}

TEST_P(PlanRequests, AStopThatIsAskedForBeforeLeavesTheWarmStart) {
  const auto planner = Make(std::make_shared<DoubleIntegrator>());
  const std::vector<double> first = planner->MakePlan(At(0)).actions;
  std::stop_source stop;
  stop.request_stop();
  PlanRequest request = At(2);
  request.stop = stop.get_token();
  const Plan& plan = planner->MakePlan(request);
  EXPECT_EQ(plan.status, PlanStatus::kStopped);
  EXPECT_TRUE(std::equal(first.begin() + 2, first.end(), plan.actions.begin()));
}

TEST_P(PlanRequests, AStopEndsADecisionWithinIt) {
  // At the third call a decision is within its first rollouts, later in some iteration.
  std::vector<int> places = {3, 20, 45};
  if (GetParam() == "ilqr") {  // and within its solver, which comes after the first guesses
    const auto counting = std::make_shared<Stopping>(std::numeric_limits<int>::max());
    Make(counting)->MakePlan(At(0));
    places.push_back(counting->calls - 10);
  }
  for (const int stop_at : places) {
    const auto dynamics = std::make_shared<Stopping>(stop_at);
    const auto planner = Make(dynamics, GetParam() == "random_shooting"
                                            ? std::vector<std::string>{"population=1000000"}
                                            : std::vector<std::string>{});
    PlanRequest request = At(0);
    request.stop = dynamics->stop.get_token();
    const Plan& plan = planner->MakePlan(request);
    ASSERT_TRUE(dynamics->stop.stop_requested());
    EXPECT_EQ(plan.status, PlanStatus::kStopped) << stop_at;
    EXPECT_EQ(dynamics->late, 0) << stop_at;
    for (const double action : plan.actions) EXPECT_LE(std::abs(action), 8);
  }
}

TEST_P(PlanRequests, AStopThatNobodyAsksForChangesNothing) {
  const auto dynamics = std::make_shared<DoubleIntegrator>();
  std::stop_source stop;
  PlanRequest request = At(0);
  request.stop = stop.get_token();
  EXPECT_EQ(Make(dynamics)->MakePlan(request).actions, Make(dynamics)->MakePlan(At(0)).actions);
}

/// Proposes what it is given.
class Fixed final : public PolicyProposal {
 public:
  explicit Fixed(std::vector<double> of) : sequence(std::move(of)) {}
  int Propose(std::span<const double> state, int horizon, std::span<double> sequences) override {
    EXPECT_EQ(state.size(), 2U);
    EXPECT_EQ(horizon, kHorizon);
    EXPECT_GE(sequences.size(), sequence.size());
    std::ranges::copy(sequence, sequences.begin());
    ++asked;
    return count;
  }
  std::vector<double> sequence;
  int count = 1;
  int asked = 0;
};

/// The best sequence from the start, but for the sixth digit.
std::vector<double> BestSequence() {
  IlqrPlannerOptions options;
  options.horizon = kHorizon;
  const QuadraticReward reward;
  IlqrPlanner planner(options, {std::make_shared<DoubleIntegrator>(), testing::Borrowed(reward),
                                DoubleIntegratorSpec(8.0), std::make_shared<SerialExecutor>()});
  return planner.MakePlan({.state = kStart, .step = 0, .key = Key{1, 1}, .budget = {}}).actions;
}

TEST_P(PlanRequests, AGoodProposalIsAmongTheCandidates) {
  const std::vector<double> best = BestSequence();
  const double value = ReturnOf(best, kStart);
  const std::vector<std::string> poor =
      GetParam() == "ilqr" ? std::vector<std::string>{"guesses=2", "first_iterations=1"}
      : GetParam() == "cem"
          ? std::vector<std::string>{"population=8", "elites=1", "iterations=1", "momentum=0"}
      : GetParam() == "icem" ? std::vector<std::string>{"population=8", "elites=1", "iterations=1"}
      : GetParam() == "mppi" ? std::vector<std::string>{"population=8", "lambda=1e-3"}
                             : std::vector<std::string>{"population=8"};
  const auto dynamics = std::make_shared<DoubleIntegrator>();
  Fixed proposal(best);
  PlanRequest request = At(0);
  request.proposal = &proposal;
  const auto planner = Make(dynamics, poor);
  const Plan& plan = planner->MakePlan(request);
  EXPECT_EQ(proposal.asked, 1);
  EXPECT_GE(plan.best_return, value - 1e-9);
  if (GetParam() != "ilqr") {
    EXPECT_LT(Make(dynamics, poor)->MakePlan(At(0)).best_return, value);
  }
  // Later decisions look at it, too.
  planner->Reset();
  planner->MakePlan(At(0));
  request.step = 1;
  EXPECT_GE(planner->MakePlan(request).best_return, value - 1e-9);
  EXPECT_EQ(proposal.asked, 2);
}

TEST_P(PlanRequests, ADecisionAsksForProposalsOnce) {
  Fixed proposal(std::vector<double>(kHorizon, 0.1));
  PlanRequest request = At(0);
  request.proposal = &proposal;
  Make(std::make_shared<DoubleIntegrator>())->MakePlan(request);
  EXPECT_EQ(proposal.asked, 1);
}

TEST_P(PlanRequests, ABadProposalCostsItsPlaceAndNoMore) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double number : {nan, 1e300, 100.0}) {
    Fixed proposal(std::vector<double>(kHorizon, number));
    PlanRequest request = At(0);
    request.proposal = &proposal;
    const auto planner = Make(std::make_shared<DoubleIntegrator>());
    const Plan plan = planner->MakePlan(request);
    std::vector<double> candidates(size_t{10000} * kHorizon);
    EXPECT_LE(planner->CopyCandidates(candidates), 10000);
    for (const double action : candidates) EXPECT_LE(std::abs(action), 8);
    EXPECT_GT(plan.expected_return, ReturnOf(std::vector<double>(kHorizon, 0.0), kStart));
    for (const double action : plan.actions) EXPECT_LE(std::abs(action), 8);
  }
}

TEST_P(PlanRequests, MoreProposalsThanThereIsRoomForAreRefused) {
  Fixed proposal(std::vector<double>(kHorizon, 0.0));
  proposal.count = 1000000;
  PlanRequest request = At(0);
  request.proposal = &proposal;
  EXPECT_THROW(Make(std::make_shared<DoubleIntegrator>())->MakePlan(request), InputError);
}

/// The problem of DoubleIntegrator and QuadraticReward, which pays for the next state:
/// l = o'' W o' + 0.01 u^2 with o' = A x + B u.
LqrStage Stage() {
  const double h = DoubleIntegrator::kStep;
  LqrStage stage;
  stage.A = Eigen::MatrixXd::Identity(2, 2);
  stage.A(0, 1) = h;
  stage.B = Eigen::MatrixXd::Zero(2, 1);
  stage.B(1, 0) = h;
  const Eigen::MatrixXd W = Eigen::Vector2d(1, 0.1).asDiagonal();
  stage.Q = 2 * stage.A.transpose() * W * stage.A;
  stage.S = 2 * stage.B.transpose() * W * stage.A;
  stage.R = 2 * stage.B.transpose() * W * stage.B + Eigen::MatrixXd::Constant(1, 1, 0.02);
  return stage;
}

TEST_P(PlanRequests, WithTheExactValueOneStepIsAsGoodAsAllOfThem) {
  const LqrStage stage = Stage();
  const auto value = StationaryLqrValue(stage, Eigen::Vector2d(0, 0));
  const std::vector<double> start = {0.3, 0.1};
  const double best = (SolveStationaryLqr(stage).K * Eigen::Vector2d(0.3, 0.1))(0);
  ASSERT_LT(std::abs(best), 7);  // inside the bounds
  std::vector<std::string> settings = {"horizon=1"};
  if (GetParam() == "ilqr") {
    settings.insert(settings.end(), {"initial_mu=0", "cost_tolerance=1e-14"});
  }
  if (GetParam() == "cem") settings.emplace_back("epsilon=1e-9");
  if (GetParam() == "cem") settings.emplace_back("iterations=20");
  if (GetParam() == "icem") settings.emplace_back("iterations=10");
  if (GetParam() == "mppi")
    settings.insert(settings.end(),
                    {"iterations=30", "lambda=1e-4", "noise_sigma=0.1", "control_cost=false"});
  PlanRequest request = At(0);
  request.state = start;
  const Plan plan = Make(std::make_shared<DoubleIntegrator>(), settings, value)->MakePlan(request);
  // Sampling leaves a remainder: of random shooting the distance of a thousand points in 16.
  const double tolerance = GetParam() == "ilqr"              ? 1e-9
                           : GetParam() == "random_shooting" ? 0.05
                                                             : 0.02;
  EXPECT_NEAR(plan.actions[0], best, tolerance);
  double of_start = 0;
  value->Evaluate(1, start.data(), &of_start);
  EXPECT_NEAR(plan.expected_return, of_start, 1e-3 * std::abs(of_start));  // Bellman's equation
}

TEST(LqrValue, OfAFiniteProblemIsWhatItEarns) {
  const std::vector<double> start = {0.3, 0.1};
  const auto value = LqrValue({.horizon = 20,
                               .stages = {Stage()},
                               .terminal_Q = Eigen::MatrixXd::Zero(2, 2),
                               .terminal_q = {}},
                              Eigen::Vector2d(0, 0));
  double found = 0;
  value->Evaluate(1, start.data(), &found);
  EXPECT_NEAR(found, testing::OptimalReturn({0.3, 0.1}, 20), 1e-12);
}

TEST(LqrValue, RefusesWhatHasNone) {
  LqrStage stage = Stage();
  stage.q = Eigen::VectorXd::Unit(2, 0);
  EXPECT_THROW((void)StationaryLqrValue(stage, Eigen::Vector2d(0, 0)), InputError);
  stage = Stage();
  stage.A(0, 0) = 2;  // grows, and no action reaches it
  stage.A(0, 1) = 0;
  EXPECT_THROW((void)StationaryLqrValue(stage, Eigen::Vector2d(0, 0)), InputError);
}

TEST(PlanActions, AreThePlannedOnesOfTheirStep) {
  Plan plan;
  plan.first_step = 5;
  plan.actions = {1, 2, 3, 4, 5, 6};
  std::vector<double> action(2);
  for (const int64_t step : {5, 6, 7}) {
    plan.ActionAt(step, {}, action);
    EXPECT_EQ(action[0], static_cast<double>(2 * (step - 5) + 1));
    EXPECT_EQ(action[1], static_cast<double>(2 * (step - 5) + 2));
  }
  for (const int64_t step : {4, 8}) {
    try {
      plan.ActionAt(step, {}, action);
      ADD_FAILURE() << step;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()),
                "plan: step: found " + std::to_string(step) + ", expected 5 ... 7");
    }
  }
  std::vector<double> wrong(4);
  EXPECT_THROW(plan.ActionAt(5, {}, wrong), InputError);
}

class Feedback : public ::testing::Test {
 protected:
  Feedback() {
    IlqrPlannerOptions options;
    options.horizon = kHorizon;
    planner_ = std::make_unique<IlqrPlanner>(
        options, PlanningProblem{std::make_shared<DoubleIntegrator>(), testing::Borrowed(reward_),
                                 DoubleIntegratorSpec(8.0), std::make_shared<SerialExecutor>()});
  }
  QuadraticReward reward_;
  std::unique_ptr<IlqrPlanner> planner_;
  PlanRequest request_ = {.state = kStart, .step = 3, .key = Key{1, 1}, .budget = {}};
};

TEST_F(Feedback, IsThatOfTheOptimumAroundThePlan) {
  request_.feedback = true;
  const Plan& plan = planner_->MakePlan(request_);
  ASSERT_NE(plan.feedback, nullptr);
  std::vector<double> x = kStart;
  for (int t = 0; t < kHorizon; ++t) {
    double on = 0;
    double off = 0;
    plan.ActionAt(3 + t, x, {&on, 1});
    EXPECT_NEAR(on, plan.actions[static_cast<size_t>(t)], 1e-12) << t;
    const std::vector<double> beside = {x[0] + 0.01, x[1] - 0.02};
    plan.ActionAt(3 + t, beside, {&off, 1});
    const double* K = planner_->solver().feedback(t);
    EXPECT_NEAR(off - on, K[0] * 0.01 + K[1] * -0.02, 1e-9) << t;
    x = {x[0] + DoubleIntegrator::kStep * x[1], x[1] + DoubleIntegrator::kStep * on};
  }
}

TEST_F(Feedback, StaysInsideTheBoundsAndWithinThePlan) {
  request_.feedback = true;
  const Plan& plan = planner_->MakePlan(request_);
  double action = 0;
  plan.ActionAt(4, std::vector<double>{-1000, 0}, {&action, 1});
  EXPECT_EQ(action, 8);
  EXPECT_THROW(plan.ActionAt(3 + kHorizon, kStart, {&action, 1}), InputError);
  EXPECT_THROW(plan.ActionAt(4, std::vector<double>{1}, {&action, 1}), InputError);
}

TEST_F(Feedback, IsThereWhenItIsAskedFor) {
  const std::vector<double> without = planner_->MakePlan(request_).actions;
  EXPECT_EQ(planner_->MakePlan(request_).feedback, nullptr);
  planner_->Reset();
  request_.feedback = true;
  EXPECT_EQ(planner_->MakePlan(request_).actions, without);
}

TEST(PolicyRollout, ActsAlongTheExpectedStates) {
  const auto dynamics = std::make_shared<DoubleIntegrator>();
  PolicyRollout rollout(dynamics, [](std::span<const double> o, std::span<double> u) {
    u[0] = -2 * o[0] - 3 * o[1];
  });
  std::vector<double> sequence(4);
  EXPECT_EQ(rollout.Propose(kStart, 4, sequence), 1);
  double p = kStart[0];
  double v = kStart[1];
  for (const double found : sequence) {
    const double u = -2 * p - 3 * v;
    EXPECT_EQ(found, u);
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * u;
  }
}

}  // namespace
}  // namespace foreplan
