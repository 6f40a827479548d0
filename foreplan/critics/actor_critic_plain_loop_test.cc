// Updates of actor, critics and temperature against a plain loop that is written from the formulas.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/critics/actor_critic.h"
#include "foreplan/critics/testing/soft_return_in_double.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
namespace {

using testing::kPolicyNoise;
using testing::NoiseOf;
using testing::SmallWorld;

constexpr int kRows = 12;
constexpr int kParticles = 3;
constexpr int kGroup = kRows / kParticles;
constexpr int kCritics = 3;
constexpr int kInputs = 6;  // of critics: four features, two actions
constexpr double kGamma = 0.9;

struct OneStep {
  explicit OneStep(uint64_t stream) {
    Random random(Key{11, stream});
    for (auto* values : {&observation, &next_observation}) {
      values->resize(Size(kRows, 3));
      for (double& value : *values) value = 0.7 * random.Normal();
    }
    for (int row = 0; row < kRows; ++row) {
      action.push_back(random.Uniform(-2, 1));
      action.push_back(random.Uniform(-1, 3));
      reward.push_back(random.Normal());
      terminated.push_back(random.Uniform() < 0.3 ? 1 : 0);
    }
  }
  [[nodiscard]] OneStepRows rows() const {
    return {observation, action, next_observation, reward, terminated};
  }
  std::vector<double> observation, action, next_observation, reward;
  std::vector<uint8_t> terminated;
};

struct Moments {
  explicit Moments(size_t count) : m(count), v(count) {}
  std::vector<float> m, v;
};

/// What a group of rows draws at its observations.
struct Drawn {
  std::vector<float> x, output, critic_x;
  std::vector<double> noise, action, deviation, log_density;
};

class PlainLoop {
 public:
  PlainLoop(const SmallWorld& w, double temperature)
      : w_(w),
        theta(w.policy.parameters().begin(), w.policy.parameters().end()),
        log_temperature(static_cast<float>(std::log(temperature))),
        bounds(w.critics.bounds()),
        tape_(w.policy.mlp(), w.policy.kernel(), kGroup, 1, MlpTape::Keep::kAllGradients),
        of_theta_(theta.size()) {
    for (int k = 0; k < kCritics; ++k) {
      const std::span<const float> one = w.critics.parameters(k);
      const std::span<const float> target = w.critics.target_parameters(k);
      phi.emplace_back(one.begin(), one.end());
      targets.emplace_back(target.begin(), target.end());
      of_phi_.emplace_back(one.size());
    }
  }

  void Update(const std::vector<double>& starts, const OneStep& rows, Key key, int step) {
    std::array<Drawn, kParticles> first;
    std::array<Drawn, kParticles> next;
    for (int p = 0; p < kParticles; ++p) {
      first[Size(p)] = Draw(&starts[Size(p, kGroup, 3)], key.Fold(0), p);
      next[Size(p)] = Draw(&rows.next_observation[Size(p, kGroup, 3)], key.Fold(1), p);
    }
    const std::vector<double> y = Targets(next, rows, key.Fold(1));
    TrainCritics(rows, y, step);
    TrainActor(first, step);
  }

 private:
  const SmallWorld& w_;

 public:
  std::vector<float> theta;
  std::vector<std::vector<float>> phi, targets;
  float log_temperature;
  ValueBounds bounds;

 private:
  [[nodiscard]] double alpha() const { return std::exp(static_cast<double>(log_temperature)); }

  Drawn Draw(const double* observation, Key key, int particle) {
    Drawn d;
    d.x.resize(Size(kGroup, 4));
    d.action.resize(Size(kGroup, 2));
    d.deviation.resize(d.action.size());
    w_.policy.encoder().Encode(kGroup, observation, d.x.data());
    const float* output = tape_.Forward(theta, 0, kGroup, d.x.data());
    d.output.assign(output, output + Size(kGroup, 4));
    d.noise = NoiseOf(key, kPolicyNoise, particle, 0, d.action.size());
    for (int row = 0; row < kGroup; ++row) {
      const size_t at = Size(row, 2);
      d.log_density.push_back(SquashedGaussian::Draw(2, &d.output[2 * at], &d.noise[at],
                                                     &d.action[at], &d.deviation[at]));
      d.critic_x.insert(d.critic_x.end(), &d.x[2 * at], &d.x[2 * at] + 4);
      for (size_t i = 0; i < 2; ++i) d.critic_x.push_back(static_cast<float>(d.action[at + i]));
    }
    return d;
  }

  // y = r + gamma (1 - terminated) (min of two targets - alpha l').
  std::vector<double> Targets(const std::array<Drawn, kParticles>& next, const OneStep& rows,
                              Key key) {
    Random random(key.Fold(3));
    const auto one = static_cast<size_t>(random.Below(kCritics));
    const size_t other = (one + 1 + static_cast<size_t>(random.Below(kCritics - 1))) % kCritics;
    std::vector<double> soft_rewards;
    for (int row = 0; row < kRows; ++row) {
      const double l = next[Size(row / kGroup)].log_density[Size(row % kGroup)];
      soft_rewards.push_back(rows.reward[Size(row)] - alpha() * l);
    }
    const bool some_ended = std::ranges::count(rows.terminated, 1) > 0;
    bounds.Observe(soft_rewards, kGamma, testing::SmallCriticOptions().bounds_rate, some_ended);
    MlpGradient network(w_.critics.mlp(), w_.critics.kernel(), kGroup);
    std::vector<double> y;
    for (const Drawn& d : next) {
      const float* output = network.Forward(targets[one], kGroup, d.critic_x.data());
      const std::vector<float> first(output, output + kGroup);
      output = network.Forward(targets[other], kGroup, d.critic_x.data());
      for (size_t row = 0; row < kGroup; ++row) {
        const size_t at = y.size();
        const double q =
            bounds.Clamp(bounds.middle() + bounds.half_range() * std::min(first[row], output[row]));
        const double soft = 0 + 1.0 * (q - alpha() * d.log_density[row]);
        y.push_back(rows.reward[at] + (rows.terminated[at] != 0 ? 0.0 : kGamma * soft));
      }
    }
    return y;
  }

  void TrainCritics(const OneStep& rows, const std::vector<double>& y, int step) {
    const EnvironmentSpec spec = testing::SmallSpec();
    std::vector<float> x(Size(kRows, 4));
    w_.policy.encoder().Encode(kRows, rows.observation.data(), x.data());
    std::vector<float> inputs;
    for (size_t row = 0; row < kRows; ++row) {
      inputs.insert(inputs.end(), &x[4 * row], &x[4 * row] + 4);
      for (size_t i = 0; i < 2; ++i) {
        const double middle = 0.5 * (spec.action_low[i] + spec.action_high[i]);
        const double half = 0.5 * (spec.action_high[i] - spec.action_low[i]);
        inputs.push_back(static_cast<float>((rows.action[2 * row + i] - middle) / half));
      }
    }
    constexpr int kPart = kRows / 2;
    MlpGradient network(w_.critics.mlp(), w_.critics.kernel(), kPart);
    for (size_t k = 0; k < kCritics; ++k) {
      std::array<std::vector<float>, 2> parts;
      for (size_t part = 0; part < 2; ++part) {
        const float* output = network.Forward(phi[k], kPart, &inputs[part * Size(kPart, kInputs)]);
        std::vector<float> d_output;
        for (size_t row = 0; row < kPart; ++row) {
          const double q = bounds.middle() + bounds.half_range() * output[row];
          const double error = q - y[part * kPart + row];
          d_output.push_back(static_cast<float>(2 * error * bounds.half_range() / kRows));
        }
        parts[part].resize(phi[k].size());
        network.Backward(phi[k], d_output.data(), parts[part]);
      }
      for (size_t i = 0; i < phi[k].size(); ++i) parts[0][i] += parts[1][i];
      AdamStep({.learning_rate = testing::SmallCriticOptions().learning_rate}, step, parts[0],
               of_phi_[k].m, of_phi_[k].v, phi[k]);
      const auto tau = static_cast<float>(testing::SmallCriticOptions().target_rate);
      for (size_t i = 0; i < phi[k].size(); ++i) {
        targets[k][i] = (1 - tau) * targets[k][i] + tau * phi[k][i];
      }
    }
  }

  // Ascends mean of (mean of critics - alpha l).
  void TrainActor(const std::array<Drawn, kParticles>& first, int step) {
    std::vector<float> sum(theta.size());
    double entropy = 0;
    MlpTape critic(w_.critics.mlp(), w_.critics.kernel(), kGroup, 1,
                   MlpTape::Keep::kInputGradients);
    for (const Drawn& d : first) {
      const std::vector<float> d_q(kGroup,
                                   static_cast<float>(1.0 * bounds.half_range() / kCritics));
      std::vector<double> by_action(Size(kGroup, 2));
      for (const std::vector<float>& one : phi) {
        std::vector<float> d_input(Size(kGroup, kInputs));
        critic.Forward(one, 0, kGroup, d.critic_x.data());
        critic.PullBack(one, 0, d_q.data(), d_input.data());
        for (size_t i = 0; i < by_action.size(); ++i) {
          by_action[i] += d_input[kInputs * (i / 2) + 4 + i % 2];
        }
      }
      tape_.Forward(theta, 0, kGroup, d.x.data());
      std::vector<float> d_output(Size(kGroup, 4));
      for (size_t row = 0; row < kGroup; ++row) {
        SquashedGaussian::PullBack(2, &d.output[4 * row], &d.noise[2 * row], &d.action[2 * row],
                                   &d.deviation[2 * row], &by_action[2 * row], alpha() * 1.0,
                                   &d_output[4 * row]);
        entropy -= d.log_density[row];
      }
      std::vector<float> d_x(Size(kGroup, 4));
      std::vector<float> part(theta.size());
      tape_.PullBack(theta, 0, d_output.data(), d_x.data());
      tape_.ParameterGradient(1, part);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] = &d == &first[0] ? part[i] : sum[i] + part[i];
    }
    for (float& entry : sum) entry *= -1.0F / kRows;
    AdamStep({.learning_rate = 3e-4}, step, sum, of_theta_.m, of_theta_.v, theta);
    entropy /= kRows;
    const std::array<float, 1> gradient = {static_cast<float>(alpha() * (entropy - 2 * -1))};
    AdamStep({.learning_rate = 1e-2}, step, gradient, of_temperature_.m, of_temperature_.v,
             std::span(&log_temperature, 1));
  }

  MlpTape tape_;
  Moments of_theta_;
  std::vector<Moments> of_phi_;
  Moments of_temperature_{1};
};

TEST(ActorCritic, OneStepUpdatesEqualAPlainLoopToTheBit) {
  SmallWorld w(kRows);
  PlainLoop plain(w, 0.2);
  ActorCritic actor_critic(w.policy, w.critics,
                           {.batch = kRows,
                            .horizon = 0,
                            .particles = kParticles,
                            .discount = kGamma,
                            .temperature = 0.2,
                            .temperature_rate = 1e-2},
                           w.executor);
  ActorCriticReport report;
  for (int step = 1; step <= 20; ++step) {
    const OneStep rows(static_cast<uint64_t>(step));
    const OneStepRows one_step = rows.rows();
    const Key key{12, static_cast<uint64_t>(step)};
    actor_critic.Update(w.starts, &one_step, key, true, report);
    plain.Update(w.starts, rows, key, step);
  }
  EXPECT_TRUE(std::ranges::equal(w.policy.parameters(), plain.theta));
  for (int k = 0; k < kCritics; ++k) {
    EXPECT_TRUE(std::ranges::equal(w.critics.parameters(k), plain.phi[Size(k)]));
    EXPECT_TRUE(std::ranges::equal(w.critics.target_parameters(k), plain.targets[Size(k)]));
  }
  EXPECT_EQ(actor_critic.temperature(), std::exp(static_cast<double>(plain.log_temperature)));
  EXPECT_EQ(w.critics.bounds().low, plain.bounds.low);
  EXPECT_EQ(w.critics.bounds().high, plain.bounds.high);
  EXPECT_EQ(report.updates, 20);
  EXPECT_EQ(report.actor_updates, 20);
  EXPECT_EQ(report.rollouts, 20 * kRows);
  EXPECT_EQ(report.invalid_updates, 0);
}

}  // namespace
}  // namespace foreplan
