#include "foreplan/policies/policy_of_subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

/// Of the observation alone, without what is in `omitted` and `omit`, the names of `section`.omit;
/// angles of the task's encoding as (sin, cos).
FeatureMap Features(const ModelSubject& subject, std::vector<std::string> omitted,
                    const std::vector<std::string>& omit, const char* section) {
  EnvironmentSpec spec = subject.spec;
  spec.action.clear();
  const std::vector<std::string> known = Names(spec.observation);
  for (const std::string& name : omit) {
    if (std::ranges::find(known, name) == known.end()) {
      throw UnknownName(fmt::format("{}.omit", section), "observation component", name, known);
    }
    omitted.push_back(name);
  }
  Encoding encoding;
  encoding.omit = std::move(omitted);
  for (const std::string& name : subject.encoding.sin_cos) {
    if (std::ranges::find(encoding.omit, name) == encoding.omit.end()) {
      encoding.sin_cos.push_back(name);
    }
  }
  return FeatureMap(spec, encoding);
}

}  // namespace

void BackpropPolicyOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
  visitor.Field("omit", omit, "observation components that the policy does not see");
}

NetworkPolicy MakeBackpropPolicy(const ModelSubject& subject, const BackpropPolicyOptions& options,
                                 Key key) {
  return {Features(subject, {}, options.omit, kBackpropPolicySection), subject.spec.action_low,
          subject.spec.action_high,
          NetworkPolicyOptions{.hidden_layers = options.hidden_layers,
                               .width = options.width,
                               .output = PolicyOutput::kTanh,
                               .kernel = options.kernel},
          key};
}

SquashedGaussianPolicy MakeSquashedPolicy(const ModelSubject& subject,
                                          const SquashedGaussianOptions& options, Key key) {
  return {Features(subject, subject.encoding.omit, options.omit, kSquashedPolicySection),
          subject.spec.action_low, subject.spec.action_high, options, key};
}

}  // namespace foreplan
