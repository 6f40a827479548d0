// Derivatives of every shipped reward against differences.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {
namespace {

struct Sizes {
  int no;
  int nu;
};

// Every reward is made for one size of observation and action.
Sizes SizesOf(const std::string& name) {
  for (int nu = 1; nu < 20; ++nu) {
    for (int no = 1; no < 400; ++no) {
      try {
        MakeReward(name, no, nu);
        return {no, nu};
      } catch (const InputError&) {
        continue;
      }
    }
  }
  ADD_FAILURE() << name;
  return {};
}

/// Those of the library: other tests may register theirs.
const std::vector<std::string> kShipped = RewardNames();

TEST(RewardDerivatives, EqualDifferences) {
  for (const std::string& name : kShipped) {
    const auto [no, nu] = SizesOf(name);
    const auto reward = MakeReward(name, no, nu);
    const auto nz = static_cast<size_t>(2 * no + nu);
    // Of many variables a few columns, as Hessians take long.
    const bool many = nz > 64;
    for (uint64_t trial = 0; trial < (many ? 1 : 5); ++trial) {
      Random random(Key{6, trial});
      std::vector<double> z(nz);
      for (double& entry : z) entry = random.Uniform(0.02, 0.15);  // nobody has fallen yet
      const auto expand = [&](std::vector<double>& gradient, std::vector<double>& hessian) {
        gradient.resize(nz);
        hessian.resize(nz * nz);
        return reward->Expand(z.data(), z.data() + no, z.data() + no + nu, gradient.data(),
                              hessian.data());
      };
      std::vector<double> gradient;
      std::vector<double> hessian;
      std::vector<double> above;
      std::vector<double> below;
      std::vector<double> ignored;
      const double value = expand(gradient, hessian);
      double evaluated = 0;
      uint8_t terminated = 0;
      reward->Evaluate({.rows = 1,
                        .observation = z.data(),
                        .action = z.data() + no,
                        .next_observation = z.data() + no + nu},
                       &evaluated, &terminated);
      EXPECT_NEAR(value, evaluated, 1e-12);
      // The gradient alone is the same, for every row of a batch.
      std::vector<double> rows(z);
      rows.insert(rows.begin() + no, z.begin(), z.begin() + no);  // observations of two rows
      std::vector<double> actions(z.begin() + no, z.begin() + no + nu);
      actions.insert(actions.end(), z.begin() + no, z.begin() + no + nu);
      std::vector<double> next(z.end() - no, z.end());
      next.insert(next.end(), z.end() - no, z.end());
      std::vector<double> gradients(2 * nz);
      reward->Gradient({.rows = 2,
                        .observation = rows.data(),
                        .action = actions.data(),
                        .next_observation = next.data()},
                       gradients.data());
      for (size_t j = 0; j < 2 * nz; ++j) {
        EXPECT_NEAR(gradients[j], gradient[j % nz], 1e-12 * (1 + std::abs(gradient[j % nz])))
            << name << " " << j;
      }
      for (size_t j = 0; j < nz; j += many ? nz / 8 : 1) {
        const double kept = z[j];
        const double h = 1e-5;
        z[j] = kept + h;
        const double r_above = expand(above, ignored);
        z[j] = kept - h;
        const double r_below = expand(below, ignored);
        z[j] = kept;
        // Central differences with 1e-5: about 1e-9 of third derivatives up to 1e4.
        EXPECT_NEAR(gradient[j], (r_above - r_below) / (2 * h), 1e-7 * (1 + std::abs(gradient[j])))
            << name << " " << j;
        for (size_t i = 0; i < nz; ++i) {
          EXPECT_NEAR(hessian[i * nz + j], (above[i] - below[i]) / (2 * h),
                      1e-6 * (1 + std::abs(hessian[i * nz + j])))
              << name;
        }
      }
    }
  }
}

/// r = o' u - o^2 / 2 of one number each; it may say its sizes.
class Product final : public Reward {
 public:
  explicit Product(bool says_sizes) : says_sizes_(says_sizes) {}
  std::optional<TransitionSizes> sizes() const override {
    return says_sizes_ ? std::optional(TransitionSizes{1, 1}) : std::nullopt;
  }
  void Evaluate(const TransitionBatch& /*batch*/, double* /*reward*/,
                uint8_t* /*terminated*/) const override {}
  double Expand(const double* observation, const double* action, const double* next,
                double* gradient, double* /*hessian*/) const override {
    gradient[0] = -observation[0];
    gradient[1] = next[0];
    gradient[2] = action[0];
    return 0;
  }

 private:
  bool says_sizes_;
};

TEST(RewardGradient, IsThatOfExpandWhereARewardSaysItsSizes) {
  const std::vector<double> observations = {1, 2};
  const std::vector<double> actions = {3, 4};
  const std::vector<double> next = {5, 6};
  const TransitionBatch batch{.rows = 2,
                              .observation = observations.data(),
                              .action = actions.data(),
                              .next_observation = next.data()};
  std::vector<double> gradient(6);
  Product(true).Gradient(batch, gradient.data());
  EXPECT_EQ(gradient, (std::vector<double>{-1, 5, 3, -2, 6, 4}));
  EXPECT_THROW(Product(false).Gradient(batch, gradient.data()), InputError);
}

}  // namespace
}  // namespace foreplan
