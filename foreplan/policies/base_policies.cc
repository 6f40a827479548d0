// Policies that need no model: what an agent does before it has learned anything.
#include <algorithm>
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

// One line per policy.
const std::vector<std::pair<std::string, DrawComponent>>& BasePolicies() {
  static const std::vector<std::pair<std::string, DrawComponent>> kPolicies = {
      {"uniform", Uniform},
      {"gaussian", Gaussian},
      {"zero", Zero},
  };
  return kPolicies;
}

class BasePolicy final : public Policy {
 public:
  BasePolicy(DrawComponent draw, const SystemSpec& spec)
      : draw_(draw), low_(spec.action_low), high_(spec.action_high) {}

  void Reset(Key /*key*/) override {}

  void Act(const Situation& situation, std::span<double> action) override {
    Random random(situation.key);
    for (size_t i = 0; i < action.size(); ++i) {
      action[i] = std::clamp(draw_(random, low_[i], high_[i]), low_[i], high_[i]);
    }
  }

 private:
  DrawComponent draw_;
  std::vector<double> low_;   // [nu]
  std::vector<double> high_;  // [nu]
};

}  // namespace

std::unique_ptr<Policy> MakeBasePolicy(const std::string& name, const SystemSpec& spec) {
  for (const auto& [known, draw] : BasePolicies()) {
    if (known == name) return std::make_unique<BasePolicy>(draw, spec);
  }
  throw UnknownName("policy", "base policy", name, BasePolicyNames());
}

std::vector<std::string> BasePolicyNames() {
  std::vector<std::string> names;
  for (const auto& entry : BasePolicies()) names.push_back(entry.first);
  return names;
}

}  // namespace foreplan
