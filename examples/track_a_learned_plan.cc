// Learns the cart-pole, plans one swing-up through the learned model by iLQR, and executes it on
// the real system: open loop, and with the plan's feedback gains (TV-LQR).
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "foreplan/foreplan.h"

namespace {

constexpr int kHorizon = 100;

/// Return of the first kHorizon steps on the real system under u = u^ + gain K (x - x^).
double Execute(const foreplan::Task& task, const foreplan::LinearGaussianPolicy& plan,
               double gain) {
  auto steps = plan.steps();
  for (auto& step : steps) step.feedback *= gain;
  foreplan::LinearGaussianPolicy policy(std::move(steps));
  policy.set_bounds(task.spec().action_low, task.spec().action_high);
  const auto system = task.MakeSystem();
  return foreplan::RunEpisode(task, *system, policy, foreplan::Key{.seed = 7, .stream = 0},
                              kHorizon, [](const foreplan::EpisodeStep&) {})
      .episode_return;
}

}  // namespace

int main() {
  auto [task, config] = foreplan::Task::Load("cartpole_closed_form");
  foreplan::ThreadPool pool(2);
  foreplan::RunLog log;
  const std::atomic<bool> stop = false;
  const foreplan::RunOptions run{.algorithm = "mpc", .planner = "icem", .seed = 1, .episodes = 6};
  const auto learner =
      foreplan::MakeLearner(run.algorithm, config, {task, run, pool, log, stop, {}});
  learner->Run();

  foreplan::EnsembleOptions options;
  config.Read("model", options);
  foreplan::Ensemble model(task.spec(), task.encoding(), options, foreplan::Key{});
  model.Restore(learner->Model());
  foreplan::IlqrPlannerOptions planning;
  planning.horizon = kHorizon;
  planning.first_iterations = 400;
  planning.guesses = 4096;
  foreplan::IlqrPlanner planner(planning, {model, task.planning_reward(), task.spec(), pool});

  // The plan starts where the episode will: RunEpisode resets the system with the same key.
  std::vector<double> start(4);
  const auto system = task.MakeSystem();
  foreplan::LinearGaussianPolicy idle({foreplan::LinearGaussianStep{
      Eigen::VectorXd::Zero(1), Eigen::VectorXd::Zero(4), Eigen::VectorXd::Zero(1),
      Eigen::MatrixXd::Zero(1, 4), Eigen::MatrixXd::Zero(1, 1)}});
  foreplan::RunEpisode(task, *system, idle, foreplan::Key{.seed = 7, .stream = 0}, 1,
                       [&](const foreplan::EpisodeStep& step) {
                         std::ranges::copy(step.observation, start.begin());
                       });
  const foreplan::Plan& plan = planner.MakePlan(start, foreplan::Key{.seed = 1, .stream = 0}, {});
  const foreplan::LinearGaussianPolicy tracking = planner.solver().TrackingPolicy();
  const double open_loop = Execute(task, tracking, 0);
  const double tracked = Execute(task, tracking, 1);
  fmt::print("{:<28}{:>8.2f}\n{:<28}{:>8.2f}\n{:<28}{:>8.2f}\n", "imagined return",
             plan.predicted_return, "real, open loop", open_loop, "real, TV-LQR feedback", tracked);
  return tracked > 50 ? 0 : 1;
}
