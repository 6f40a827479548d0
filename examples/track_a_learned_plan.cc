// Learns the cart-pole, plans one swing-up through the learned model by iLQR, and executes it on
// the real system: open loop, and with the plan's feedback gains (TV-LQR). The argument is the
// number of seeds, 1 if there is none; each learns a model of its own.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include "foreplan/foreplan.h"

namespace {

constexpr int kHorizon = 100;
constexpr foreplan::Key kStart{.seed = 7, .stream = 0};  // of the start state

/// Return of the first kHorizon steps on the real system under u = u^ + gain K (x - x^).
double Execute(const foreplan::Task& task, const foreplan::LinearGaussianPolicy& plan,
               double gain) {
  auto steps = plan.steps();
  for (auto& step : steps) step.feedback *= gain;
  foreplan::LinearGaussianPolicy policy(std::move(steps));
  policy.set_bounds(task.spec().action_low, task.spec().action_high);
  const auto system = task.MakeSystem();
  return foreplan::RunEpisode(task, *system, policy, kStart, kHorizon,
                              [](const foreplan::EpisodeStep&) {})
      .episode_return;
}

/// What an ensemble learned in eight episodes of control by iLQR.
std::shared_ptr<const foreplan::Ensemble> LearnModel(
    const foreplan::Task& task, foreplan::Config& config, int seed,
    const std::shared_ptr<foreplan::ThreadPool>& executor) {
  const foreplan::RunOptions run{
      .algorithm = "mpc", .planner = "ilqr", .seed = seed, .episodes = 8};
  const auto learner = foreplan::MakeLearner(run.algorithm, config, {task, run, executor});
  learner->Run();
  foreplan::EnsembleOptions options;
  config.Read("model", options);
  const auto model =
      std::make_shared<foreplan::Ensemble>(task.spec(), task.encoding(), options, foreplan::Key{});
  model->Restore(learner->Model());
  return model;
}

/// The state from which Execute starts.
std::vector<double> StartState(const foreplan::Task& task) {
  std::vector<double> start(4);
  const auto system = task.MakeSystem();
  foreplan::LinearGaussianPolicy idle({foreplan::LinearGaussianStep{
      Eigen::VectorXd::Zero(1), Eigen::VectorXd::Zero(4), Eigen::VectorXd::Zero(1),
      Eigen::MatrixXd::Zero(1, 4), Eigen::MatrixXd::Zero(1, 1)}});
  foreplan::RunEpisode(task, *system, idle, kStart, 1, [&](const foreplan::EpisodeStep& step) {
    std::ranges::copy(step.observation, start.begin());
  });
  return start;
}

}  // namespace

int main(int argc, char** argv) {
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 1;
  const auto executor = std::make_shared<foreplan::ThreadPool>(2);
  foreplan::IlqrPlannerOptions planning;
  planning.horizon = kHorizon;
  planning.first_iterations = 400;
  planning.guesses = 4096;
  int good = 0;
  fmt::print("seed  imagined  open loop  TV-LQR feedback\n");
  for (int seed = 1; seed <= seeds; ++seed) {
    auto [task, config] = foreplan::Task::Load("cartpole_closed_form");
    const auto model = LearnModel(task, config, seed, executor);
    foreplan::IlqrPlanner planner(planning,
                                  {model, task.shared_planning_reward(), task.spec(), executor});
    const std::vector<double> start = StartState(task);
    const foreplan::Plan& plan = planner.MakePlan(
        {.state = start, .step = 0, .key = {.seed = 1, .stream = 0}, .budget = {}});
    const foreplan::LinearGaussianPolicy tracking = planner.solver().TrackingPolicy();
    const double tracked = Execute(task, tracking, 1);
    fmt::print("{:4}  {:8.2f}  {:9.2f}  {:15.2f}\n", seed, plan.expected_return,
               Execute(task, tracking, 0), tracked);
    good += tracked > 50 ? 1 : 0;
  }
  return good == seeds ? 0 : 1;
}
