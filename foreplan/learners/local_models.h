// Trajectory-centric learning: local models, KL-constrained local policies.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/local_rollout.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/learner.h"
#include "foreplan/learners/local_condition.h"
#include "foreplan/learners/local_models_options.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/policy_trainer.h"
#include "foreplan/trajopt/kl/initial_policies.h"
#include "foreplan/trajopt/kl/kl_constrained_lqr.h"

namespace foreplan {

/// What it is made of: sections local_models, .step, .fit, .initial_lqr, .initial_pd, .mixture,
/// .network; model and fit with the network prior; policy and policy.fit with a global policy.
struct LocalModelsSetup {
  LocalModelsOptions options = {};
  KlConstrainedOptions step = {};
  LocalFitOptions fit = {};
  InitialLqrOptions initial_lqr = {};
  InitialPdOptions initial_pd = {};
  MixturePriorOptions mixture = {};
  NetworkPriorOptions network = {};
  EnsembleOptions ensemble = {};
  FitOptions ensemble_fit = {};
  NetworkPolicyOptions policy = {};
  PolicyFitOptions policy_fit = {};

  static LocalModelsSetup Read(Config& config);
};

/// Guided policy search: one linear-Gaussian policy per condition of the task (Levine and Abbeel
/// 2014), each improved by
///   roll out -> update the prior -> take the last step back if it did harm -> fit
///   x' ~ N(A x + B u + c, S) per time step -> expand the cost -> adapt the KL bound ->
///   KL-constrained LQR,
/// in turns: an iteration takes `rollouts` episodes of every condition, which are saved before
/// anything is fitted to them. With a global policy
/// (mirror descent guided policy search, Montgomery and Levine 2016) the step stays near its
/// linearisation along the rollouts, which are its own once it has learned, and it then learns from
/// all local policies; the KL bound adapts to the costs under it, in the mean over conditions.
class LocalModelsLearner final : public Learner {
 public:
  LocalModelsLearner(const LearnerContext& context, const LocalModelsSetup& setup);
  LocalModelsLearner(Config& config, const LearnerContext& context)
      : LocalModelsLearner(context, LocalModelsSetup::Read(config)) {}

  /// An iteration; the last call tests the policies.
  bool Step() override;
  /// Throws InputError: rollouts are of its own policies.
  void AddData(const Dataset& data) override;
  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset data) override;
  [[nodiscard]] TensorFile Model() const override;
  [[nodiscard]] const Dataset& data() const override { return data_; }
  /// The global policy, or the local one of the first condition.
  Policy& controller() override;
  [[nodiscard]] RunTimes times() const override { return times_; }
  [[nodiscard]] nlohmann::ordered_json Results() const override;

 private:
  enum Stream : uint64_t {
    kStart,
    kRollout,
    kPrior,
    kTest,
    kNetwork,
    kNetworkFit,
    kGlobal,
    kGlobalFit,
    kGlobalTest
  };
  struct GlobalTest {     // of the global policy
    double distance = 0;  // without noise
    bool success = false;
    int noisy_successes = 0;
  };
  struct Test {  // final rollouts of one condition
    double clean_distance = 0;
    double clean_return = 0;  // NaN when it diverged
    bool clean_success = false;
    int noisy_successes = 0;
    double noisy_distance = 0;  // mean
    double noisy_return = 0;    // mean of those that did not diverge
    int diverged = 0;           // of those with noise
    GlobalTest global;
  };

  // The loop: local_models.cc.
  void MakeLearned(const LocalModelsSetup& setup);
  void MakeConditions(const LocalModelsSetup& setup);
  [[nodiscard]] bool Done() const { return context_.run.IsOver(episodes_, total_steps_); }
  void Improve();
  void LearnNetwork();
  void LinearizeGlobalPolicy();
  void AdaptSteps();
  void TrainGlobalPolicy();
  [[nodiscard]] bool FollowsGlobalPolicy() const;
  [[nodiscard]] bool GlobalPolicyActs() const;

  // Taking rollouts: local_models_rollouts.cc.
  void Sample();
  [[nodiscard]] Eigen::MatrixXd Noise(const LocalCondition& condition, Key key) const;
  void LogRollouts();
  void LogRollout(const LocalCondition& condition, const LocalRollout& rollout,
                  const std::string& actor, bool is_last);
  void CheckRollouts() const;
  void Keep();
  static NoisyAction Noisy(NetworkPolicy& policy);

  // Metrics and final tests: local_models_report.cc.
  void Record(const std::string& name, double value);
  void Report(double seconds);
  void TestPolicies();
  [[nodiscard]] LocalRollout RollOutTest(int condition, int number, int worker);
  void AddTest(const LocalRollout& rollout, bool noisy, Test& test) const;
  [[nodiscard]] GlobalTest TestGlobalPolicy(System& system, Key key);
  [[nodiscard]] Eigen::MatrixXd TestNoise(int number, Key key) const;
  [[nodiscard]] std::pair<double, bool> JudgeRollout(const LocalRollout& rollout) const;
  [[nodiscard]] nlohmann::ordered_json TestResults(const Test& test) const;
  [[nodiscard]] nlohmann::ordered_json UnseenResults() const;

  const LearnerContext context_;
  LocalModelsOptions options_;
  KlConstrainedOptions step_;
  LocalFitOptions fit_;
  Key key_;
  int nx_;
  int nu_;
  int horizon_;  // T
  Dataset data_;
  std::unique_ptr<EnsembleTrainer> trainer_;  // of the network prior; or null
  std::unique_ptr<NetworkPolicy> global_;
  std::unique_ptr<PolicyTrainer> global_trainer_;
  Supervision supervision_;
  std::vector<std::unique_ptr<LocalCondition>> conditions_;
  std::vector<std::vector<std::unique_ptr<System>>> systems_;  // [workers][conditions]
  std::vector<Test> tests_;
  std::vector<GlobalTest> unseen_tests_;
  RunTimes times_;
  int iterations_ = 0;
  bool sampled_ = false;  // the rollouts of the next iteration are kept
  int episodes_ = 0;
  int total_steps_ = 0;
};

}  // namespace foreplan
