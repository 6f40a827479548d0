// Policies that need no model: what an agent does before it has learned anything.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/policies/policy.h"

namespace foreplan {
namespace {

// An action component from its bounds.
using DrawComponent = double (*)(Random& random, double low, double high);

double Uniform(Random& random, double low, double high) { return random.Uniform(low, high); }

// N(middle, (half range / 2)^2)
double Gaussian(Random& random, double low, double high) {
  return 0.5 * (low + high) + 0.25 * (high - low) * random.Normal();
}

double Zero(Random& /*random*/, double /*low*/, double /*high*/) { return 0.0; }

/// Draws every action anew.
template <DrawComponent kDraw>
class WhitePolicy final : public Policy {
 public:
  explicit WhitePolicy(const EnvironmentSpec& spec)
      : low_(spec.action_low), high_(spec.action_high) {}

  void Reset(Key /*key*/) override {}

  void Act(const Situation& situation, std::span<double> action) override {
    Random random(situation.key);
    for (size_t i = 0; i < action.size(); ++i) {
      action[i] = std::clamp(kDraw(random, low_[i], high_[i]), low_[i], high_[i]);
    }
  }

 private:
  std::vector<double> low_;   // [nu]
  std::vector<double> high_;  // [nu]
};

/// Noise that is correlated in time (a sampled Ornstein-Uhlenbeck process), as large as the half
/// range, clamped: pushes the same way for a while, as white noise never does.
class SmoothPolicy final : public Policy {
 public:
  explicit SmoothPolicy(const EnvironmentSpec& spec)
      : low_(spec.action_low), high_(spec.action_high), noise_(low_.size()) {}

  void Reset(Key key) override {
    Random random(key);
    for (double& noise : noise_) noise = random.Normal();
  }

  void Act(const Situation& situation, std::span<double> action) override {
    static const double kMemory = std::exp(-1.0 / kCorrelationSteps);
    Random random(situation.key);
    for (size_t i = 0; i < action.size(); ++i) {
      action[i] = std::clamp(0.5 * (low_[i] + high_[i]) + 0.5 * (high_[i] - low_[i]) * noise_[i],
                             low_[i], high_[i]);
      // n' = rho n + sqrt(1 - rho^2) N(0, 1)
      noise_[i] = kMemory * noise_[i] + std::sqrt(1 - kMemory * kMemory) * random.Normal();
    }
  }

 private:
  static constexpr double kCorrelationSteps = 10;
  std::vector<double> low_;    // [nu]
  std::vector<double> high_;   // [nu]
  std::vector<double> noise_;  // [nu], standard deviations
};

/// Sines from bound to bound, of rising frequency; each component begins at a phase of its own.
class SweepPolicy final : public Policy {
 public:
  explicit SweepPolicy(const EnvironmentSpec& spec)
      : low_(spec.action_low), high_(spec.action_high), phase_(low_.size()) {}

  void Reset(Key key) override {
    Random random(key);
    for (double& phase : phase_) phase = random.Uniform(0, 2 * std::numbers::pi);
  }

  void Act(const Situation& situation, std::span<double> action) override {
    // f(t) = f0 (f1 / f0)^(t / T), phase = 2 pi f0 T ((f1 / f0)^(t / T) - 1) / log(f1 / f0)
    const double log_ratio = std::log(kLongest / kShortest);
    const double share = static_cast<double>(situation.time % kSteps) / kSteps;
    const double turns = kSteps / kLongest * (std::exp(share * log_ratio) - 1) / log_ratio;
    for (size_t i = 0; i < action.size(); ++i) {
      action[i] = 0.5 * (low_[i] + high_[i]) +
                  0.5 * (high_[i] - low_[i]) * std::sin(phase_[i] + 2 * std::numbers::pi * turns);
    }
  }

 private:
  static constexpr int kSteps = 200;       // T, of one sweep
  static constexpr double kLongest = 100;  // 1 / f0, the period it begins with [steps]
  static constexpr double kShortest = 10;  // 1 / f1, the period it ends with [steps]
  std::vector<double> low_;                // [nu]
  std::vector<double> high_;               // [nu]
  std::vector<double> phase_;              // [nu]
};

template <typename PolicyType>
std::unique_ptr<Policy> Make(const EnvironmentSpec& spec) {
  return std::make_unique<PolicyType>(spec);
}

using MakePolicy = std::unique_ptr<Policy> (*)(const EnvironmentSpec& spec);

// One line per policy.
const std::vector<std::pair<std::string, MakePolicy>>& BasePolicies() {
  static const std::vector<std::pair<std::string, MakePolicy>> kPolicies = {
      {"uniform", Make<WhitePolicy<Uniform>>}, {"gaussian", Make<WhitePolicy<Gaussian>>},
      {"smooth", Make<SmoothPolicy>},          {"sweep", Make<SweepPolicy>},
      {"zero", Make<WhitePolicy<Zero>>},
  };
  return kPolicies;
}

}  // namespace

std::unique_ptr<Policy> MakeBasePolicy(const std::string& name, const EnvironmentSpec& spec) {
  for (const auto& [known, make] : BasePolicies()) {
    if (known == name) return make(spec);
  }
  throw UnknownName("policy", "base policy", name, BasePolicyNames());
}

std::vector<std::string> BasePolicyNames() {
  std::vector<std::string> names;
  for (const auto& entry : BasePolicies()) names.push_back(entry.first);
  return names;
}

}  // namespace foreplan
