// How near fitted local models come to the exact derivatives, as a table. Slow; prints
// docs/results/local_models.csv.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/closed_form/acrobot.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kTransitions = 40;
constexpr int kSeeds = 5;
constexpr double kAmplitude = 0.1;  // of the largest action

struct Rollouts {
  std::vector<double> states, actions;
  RolloutView view;
};

/// Rollouts from near rest under a sine with noise; `noise` is the deviation of what is added to
/// every state after a step.
Rollouts Roll(const System& prototype, int count, double phase, double noise, Key key) {
  const std::unique_ptr<System> system = prototype.Clone();
  const double amplitude = kAmplitude * system->spec().action_high[0];
  Rollouts rollouts;
  std::vector<double> x(4);
  for (int n = 0; n < count; ++n) {
    Random random(key.Fold(static_cast<uint64_t>(n)));
    for (double& entry : x) entry = 0.05 * random.Normal();
    rollouts.states.insert(rollouts.states.end(), x.begin(), x.end());
    for (int t = 0; t < kTransitions; ++t) {
      const double u = amplitude * (std::sin(0.3 * t + phase) + 0.3 * random.Normal());
      system->SetState(x);
      EXPECT_EQ(system->Step({&u, 1}), StepStatus::kOk);
      system->GetState(x);
      for (double& entry : x) entry += noise * random.Normal();
      rollouts.actions.push_back(u);
      rollouts.states.insert(rollouts.states.end(), x.begin(), x.end());
    }
  }
  rollouts.view = {count, kTransitions, 4, 1, rollouts.states.data(), rollouts.actions.data()};
  return rollouts;
}

/// An ensemble that has seen 30 rollouts of other phases.
std::shared_ptr<const Ensemble> Train(const System& system, double noise, Executor& executor) {
  Dataset data(4, 1);
  for (int episode = 0; episode < 30; ++episode) {
    const Key key = Key{11, 0}.Fold(static_cast<uint64_t>(episode));
    const Rollouts rollout = Roll(system, 1, Random(key).Uniform(0, 6.28), noise, key);
    for (int t = 0; t < kTransitions; ++t) {
      data.Add({rollout.view.state(0, t), 4}, {rollout.view.action(0, t), 1},
               {rollout.view.state(0, t + 1), 4}, episode);
    }
  }
  EnsembleOptions options;
  options.hidden_layers = 2;
  options.width = 64;
  FitOptions fit;
  fit.min_steps = fit.max_steps = 4000;
  EnsembleTrainer trainer(
      std::make_shared<const Ensemble>(system.spec(), Encoding{}, options, Key{12, 0}), fit,
      testing::Borrowed(executor));
  trainer.Fit(data, Key{13, 0});
  return trainer.ensemble();
}

/// Deviations of (x, u) at every time: [5 x T].
MatrixXd Deviations(const RolloutView& view) {
  MatrixXd z(view.joint_dim(), view.rollouts);
  MatrixXd deviations(5, view.transitions);
  for (int t = 0; t < view.transitions; ++t) {
    view.Joint(t, z);
    const MatrixXd centred = z.topRows(5).colwise() - z.topRows(5).rowwise().mean();
    deviations.col(t) = (centred.rowwise().squaredNorm() / view.rollouts).cwiseSqrt();
  }
  return deviations;
}

/// Mean over time of |(F - exact) D| / |(exact - [I 0]) D|, D the deviations at that time: the
/// error of a predicted change, relative to the change. Exact: at the samples' mean.
double JacobianError(const System& system, const LocalModelFit& fit, const RolloutView& view,
                     const MatrixXd& deviations) {
  const TrueDynamics exact(system);
  const auto workspace = exact.MakeDerivativeWorkspace(1);
  MatrixXd z(view.joint_dim(), view.rollouts);
  double sum = 0;
  for (int t = 0; t < view.transitions; ++t) {
    view.Joint(t, z);
    const VectorXd mean = z.rowwise().mean();
    RowMajor A(4, 4);
    RowMajor B(4, 1);
    exact.Linearize(
        {.rows = 1, .state = mean.data(), .action = mean.data() + 4, .A = A.data(), .B = B.data()},
        *workspace);
    const LinearGaussianTransition& step = fit.dynamics.steps[static_cast<size_t>(t)];
    const MatrixXd F = (MatrixXd(4, 5) << A, B).finished();
    const MatrixXd found = (MatrixXd(4, 5) << step.A, step.B).finished();
    MatrixXd change = F;
    change.leftCols(4) -= MatrixXd::Identity(4, 4);
    const auto D = deviations.col(t).asDiagonal();
    sum += ((found - F) * D).norm() / (change * D).norm();
  }
  return sum / view.transitions;
}

using Table = std::map<std::pair<std::string, int>, double>;  // (prior, rollouts) -> error

/// Errors of all priors for one system and noise, in the mean over seeds.
Table Measure(const std::string& name, const System& system, double noise, Executor& executor) {
  std::shared_ptr<const Ensemble> ensemble = Train(system, noise, executor);
  const MatrixXd deviations = Deviations(Roll(system, 200, 0.5, noise, Key{16, 0}).view);
  Table table;
  for (const int N : {2, 3, 5, 10, 20, 50}) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Rollouts rollouts = Roll(system, N, 0.5, noise, Key{14, seed});
      MixturePriorOptions mixture_options;
      mixture_options.max_rollouts = 50;
      mixture_options.mixture.max_rounds = 100;
      NoPrior none;
      MixturePrior mixture(4, 1, mixture_options, Key{15, seed});
      mixture.Learn(rollouts.view);
      const auto trained = [&] { return ensemble; };
      NetworkPrior network(trained, {});
      NetworkPrior network_alone(trained, {.strength = 1e6});
      const auto add = [&](const char* prior_name, LocalPrior& prior, EvidenceUse evidence) {
        LocalFitOptions options;
        options.evidence = evidence;
        LocalModelFit fit;
        LocalModelFitter(options).Fit(rollouts.view, prior, fit);
        table[{prior_name, N}] += JacobianError(system, fit, rollouts.view, deviations) / kSeeds;
      };
      add("none", none, EvidenceUse::kNone);
      add("mixture", mixture, EvidenceUse::kNone);
      add("mixture, strength by evidence", mixture, EvidenceUse::kChoose);
      add("network", network, EvidenceUse::kNone);
      add("network, strength by evidence", network, EvidenceUse::kChoose);
      add("network alone", network_alone, EvidenceUse::kNone);
    }
  }
  for (const auto& [at, error] : table) {
    fmt::print("{},{},\"{}\",{},{:.4f}\n", name, noise, at.first, at.second, error);
  }
  return table;
}

TEST(LocalModelGate, PriorsBringFewSamplesNearTheExactDerivatives) {
  ThreadPool executor(2);
  fmt::print("system,noise,prior,rollouts,error\n");
  for (const auto& [name, system] :
       {std::pair<std::string, std::shared_ptr<System>>("cartpole", std::make_shared<CartPole>()),
        std::pair<std::string, std::shared_ptr<System>>("acrobot", std::make_shared<Acrobot>())}) {
    for (const double noise : {0.0, 0.001, 0.01}) {
      Table table = Measure(name, *system, noise, executor);
      const auto error = [&](const char* prior, int rollouts) {
        return table.at({prior, rollouts});
      };
      for (const int N : {2, 3, 5}) {
        EXPECT_LT(error("network", N), 0.3 * error("none", N)) << name << noise;
        EXPECT_LT(error("network, strength by evidence", N), 0.3 * error("none", N));
        // On the acrobot the motion within a component's stretch of time is too different.
        const double mixture_bound = name == "cartpole" ? 0.3 : 1.3;
        EXPECT_LT(error("mixture", N), mixture_bound * error("none", N)) << name << noise;
      }
      // With many samples every prior gives way, and evidence is no worse than none.
      EXPECT_LT(error("mixture", 50), 1.1 * error("none", 50)) << name << noise;
      EXPECT_LT(error("network", 50), 1.1 * error("none", 50)) << name << noise;
      EXPECT_LT(error("network, strength by evidence", 50), 1.1 * error("none", 50));
    }
  }
}

}  // namespace
}  // namespace foreplan
