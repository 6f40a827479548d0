// Trajectory-centric learning: local models, KL-constrained local policies.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/local_rollout.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/learner.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/local_prior.h"
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/policy_trainer.h"
#include "foreplan/trajopt/kl/initial_policies.h"
#include "foreplan/trajopt/kl/kl_constrained_lqr.h"

namespace foreplan {

/// What the policy that acts adds to its mean.
enum class LocalExploration {
  kPolicy,  // its own covariance, (lambda + nu) Quu^-1
  kFixed,   // a fixed deviation
  kNone,    // nothing: rollouts hardly differ, and regressions are singular
};

/// Section [local_models].
struct LocalModelsOptions {
  int rollouts = 5;        // per condition and iteration
  int reuse = 1;           // iterations whose rollouts enter a fit
  double kl_step = 0.2;    // base of the KL bound, per time step
  bool adapt_step = true;  // by predicted and actual improvement
  /// A step is taken back whose rollouts cost more, in the mean, than those before it by this share
  /// of what has been gained since the first; infinity: never. Not with a global policy.
  double setback = std::numeric_limits<double>::infinity();
  std::string initial = "lqr";
  std::string prior = "mixture";
  LocalExploration exploration = LocalExploration::kPolicy;
  double fixed_deviation = 1;  // of kFixed
  double noise_smoothing = 0;  // of the exploration noise [steps]
  int test_rollouts = 5;       // with noise, per condition, after the last iteration
  bool global_policy = false;  // one network policy for all conditions
  int global_start = 0;        // iterations of the local policies alone before it first learns
  bool on_policy = true;       // rollouts are of the global policy once it has learned

  void Visit(OptionsVisitor& visitor);
};

/// How much larger the next KL bound is: where the model is quadratically wrong in the step, the
/// step with the best actual improvement is predicted / (2 (predicted - actual)) of the last
/// (Levine, Finn et al. 2016, appendix A.3). Within [0.1, 5]; the multiplier within [0.01, 10].
[[nodiscard]] double NextStepMultiplier(double multiplier, double predicted, double actual);

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
  /// Reads sections local_models, local_models.step, .fit, .mixture, .network, .initial_lqr,
  /// .initial_pd; model and fit with the network prior; policy and policy.fit with a global policy.
  LocalModelsLearner(Config& config, const LearnerContext& context);
  ~LocalModelsLearner() override;

  /// An iteration; the last call tests the policies.
  bool Step() override;
  /// Throws InputError: rollouts are of its own policies.
  void AddData(const Dataset& data) override;
  void SaveWithoutData(TensorFile& state) const override;
  void Restore(const TensorFile& state) override;
  [[nodiscard]] TensorFile Model() const override;
  [[nodiscard]] const Dataset& data() const override { return data_; }
  /// The global policy, or the local one of the first condition.
  Policy& controller() override;
  [[nodiscard]] RunTimes times() const override { return times_; }
  [[nodiscard]] nlohmann::ordered_json Results() const override;

 private:
  struct Condition;
  struct Experience;
  struct Accepted;
  struct Improvement;     // what one iteration found out about one condition
  struct Test;            // final rollouts of one condition
  struct GlobalTest {     // of the global policy
    double distance = 0;  // without noise
    bool success = false;
    int noisy_successes = 0;
  };

  void MakeConditions(Config& config);
  [[nodiscard]] bool Done() const;
  void Sample();
  void LogRollouts();
  void LogRollout(const Condition& condition, const LocalRollout& rollout,
                  const std::string& actor);
  void CheckRollouts() const;
  void Keep();
  void Improve();
  void LearnNetwork();
  void Judge(Condition& condition);
  void MeasureLastFit(Condition& condition) const;
  void TakeBackIfWorse(Condition& condition) const;
  void FitDynamics(Condition& condition);
  [[nodiscard]] RolloutView Fresh(const Condition& condition) const;
  void AdaptSteps();
  void TakeStep(Condition& condition);
  [[nodiscard]] bool FollowsGlobalPolicy() const;
  [[nodiscard]] bool GlobalPolicyActs() const;
  void LinearizeGlobalPolicy();
  void TrainGlobalPolicy();
  [[nodiscard]] GlobalTest TestGlobalPolicy(System& system, Key key);
  [[nodiscard]] Eigen::MatrixXd TestNoise(int number, Key key) const;
  [[nodiscard]] std::pair<double, bool> JudgeRollout(const LocalRollout& rollout) const;
  void Report(double seconds);
  void TestPolicies();
  [[nodiscard]] LocalRollout RollOutTest(int condition, int number, int worker);
  [[nodiscard]] Eigen::MatrixXd Noise(const Condition& condition, Key key) const;
  [[nodiscard]] nlohmann::ordered_json UnseenResults() const;
  void Record(const std::string& name, double value);

  const LearnerContext context_;
  LocalModelsOptions options_;
  KlConstrainedOptions step_;
  LocalFitOptions fit_;
  Key key_;
  int nx_;
  int nu_;
  int horizon_;  // T
  Dataset data_;
  std::unique_ptr<Ensemble> network_;  // of the network prior
  std::unique_ptr<EnsembleTrainer> trainer_;
  std::unique_ptr<NetworkPolicy> global_;
  std::unique_ptr<PolicyTrainer> global_trainer_;
  Supervision supervision_;
  std::vector<std::unique_ptr<Condition>> conditions_;
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
