#include "foreplan/trajopt/kl/initial_policies.h"

#include <gtest/gtest.h>

#include <string>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/kl/testing/kl_test_problems.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

class InitialPolicies : public ::testing::Test {
 protected:
  static VectorXd StartOf(const nlohmann::json& options) {
    const auto values = options.at("x0").get<std::vector<double>>();
    return Eigen::Map<const VectorXd>(values.data(), std::ssize(values));
  }

  /// The recorded steps are numbers `shown` of the policy.
  static void ExpectSteps(const LinearGaussianPolicy& policy, const nlohmann::json& expected,
                          const std::vector<int>& shown, Eigen::Index nx, Eigen::Index nu) {
    for (size_t i = 0; i < shown.size(); ++i) {
      const MatrixXd K = GoldenMatrix(expected.at("K"), i, nu, nx);
      const MatrixXd k = GoldenMatrix(expected.at("k"), i, nu, 1);
      const MatrixXd S = GoldenMatrix(expected.at("covariance"), i, nu, nu);
      // The recording's own rounding is 1e-15; zero entries get an absolute bound.
      EXPECT_LT((policy.step(shown[i]).feedback - K).norm(), 1e-12 * (1 + K.norm())) << shown[i];
      EXPECT_LT((policy.Offset(shown[i]) - k).norm(), 1e-12 * (1 + k.norm())) << shown[i];
      EXPECT_LT((policy.step(shown[i]).covariance - S).norm(), 1e-12 * S.norm()) << shown[i];
    }
  }

  nlohmann::json golden_ = ReadTestData("gps/lin_gauss_init.json");
};

TEST_F(InitialPolicies, LqrAsRecorded) {
  for (const nlohmann::json& recorded : golden_.at("init_lqr")) {
    const nlohmann::json& given = recorded.at("options");
    InitialLqrOptions options;
    options.variance = given.value("init_var", 1.0);
    options.stiffness = given.value("stiffness", 1.0);
    options.stiffness_velocity = given.value("stiffness_vel", 0.5);
    options.final_weight = given.value("final_weight", 1.0);
    options.gains = given.value("init_gains", std::vector<double>{});
    options.accelerations = given.value("init_acc", std::vector<double>{});
    const int nu = given.at("dU");
    const LinearGaussianPolicy policy =
        MakeInitialLqrPolicy(options, StartOf(given), nu, given.at("dt"), given.at("T"));
    ExpectSteps(policy, recorded, recorded.at("shown_steps").get<std::vector<int>>(),
                given.at("dX"), nu);
  }
}

TEST_F(InitialPolicies, PdAsRecorded) {
  for (const nlohmann::json& recorded : golden_.at("init_pd")) {
    const nlohmann::json& given = recorded.at("options");
    InitialPdOptions options;
    options.variance = given.value("init_var", 10.0);
    options.position_gain = given.value("pos_gains", 10.0);
    options.velocity_gain = given.value("vel_gains_mult", 0.01);
    const int nu = given.at("dU");
    const LinearGaussianPolicy policy =
        MakeInitialPdPolicy(options, StartOf(given), nu, given.at("T"));
    ExpectSteps(policy, recorded, {0}, given.at("dX"), nu);
    EXPECT_EQ(policy.horizon(), given.at("T").get<int>());
  }
}

TEST_F(InitialPolicies, NameWhatDoesNotFit) {
  EXPECT_THROW((void)MakeInitialPdPolicy({}, VectorXd::Zero(3), 2, 5), InputError);
  InitialLqrOptions options;
  options.gains = {1, 2, 3};
  try {
    (void)MakeInitialLqrPolicy(options, VectorXd::Zero(4), 2, 0.1, 5);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()), "initial policy: gains: found 3 numbers, expected 1 or 2");
  }
}

}  // namespace
}  // namespace foreplan
