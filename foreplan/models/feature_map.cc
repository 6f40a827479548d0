#include "foreplan/models/feature_map.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "foreplan/core/error.h"
#include "foreplan/core/lanes.h"

namespace foreplan {
namespace {

size_t IndexOf(const SystemSpec& spec, const std::string& key, const std::string& name) {
  std::vector<std::string> names;
  for (const Component& component : spec.observation) names.push_back(component.name);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw UnknownName(key, "observation component", name, names);
  return static_cast<size_t>(found - names.begin());
}

// to = (f(from) - mean) / scale for a column of rows.
template <typename Function>
void NormaliseColumn(int rows, const double* from, int from_stride, double mean, double scale,
                     const Function& f, float* to, int to_stride) {
  const Lanes inverse = 1 / scale;
  const auto stride = static_cast<size_t>(from_stride);
  int row = 0;
  for (; row + kLanes <= rows; row += kLanes, from += kLanes * from_stride) {
    const Lanes normalised = (f(Lanes::Load(from, stride)) - mean) * inverse;
    for (int i = 0; i < kLanes; ++i, to += to_stride) *to = static_cast<float>(normalised.v[i]);
  }
  for (; row < rows; ++row, from += from_stride, to += to_stride) {
    *to = static_cast<float>(((f(Lanes(*from)) - mean) * inverse).v[0]);
  }
}

}  // namespace

FeatureMap::FeatureMap(const SystemSpec& spec, const Encoding& encoding)
    : entry_(spec.observation.size(), Entry::kValue),
      absolute_(spec.observation.size(), 0),
      action_dim_(spec.action_dim()) {
  for (const std::string& name : encoding.sin_cos) {
    entry_[IndexOf(spec, "encoding.sin_cos", name)] = Entry::kSinCos;
  }
  for (const std::string& name : encoding.omit) {
    entry_[IndexOf(spec, "encoding.omit", name)] = Entry::kOmitted;
  }
  for (const std::string& name : encoding.absolute) {
    absolute_[IndexOf(spec, "encoding.absolute", name)] = 1;
  }
  inputs_ = action_dim_;
  for (const Entry entry : entry_) {
    inputs_ += entry == Entry::kValue ? 1 : entry == Entry::kSinCos ? 2 : 0;
  }
}

FeatureMap::FeatureMap(int observation_dim)
    : entry_(static_cast<size_t>(observation_dim), Entry::kValue),
      absolute_(entry_.size(), 0),
      action_dim_(0),
      inputs_(observation_dim) {}

void FeatureMap::Input(const double* observation, const double* action, double* input) const {
  for (size_t i = 0; i < entry_.size(); ++i) {
    switch (entry_[i]) {
      case Entry::kValue:
        *input++ = observation[i];
        break;
      case Entry::kSinCos:
        *input++ = std::sin(observation[i]);
        *input++ = std::cos(observation[i]);
        break;
      case Entry::kOmitted:
        break;
    }
  }
  std::copy_n(action, action_dim_, input);
}

std::vector<bool> FeatureMap::SinesAndCosines() const {
  std::vector<bool> result;
  for (const Entry entry : entry_) {
    if (entry == Entry::kValue) result.push_back(false);
    if (entry == Entry::kSinCos) result.insert(result.end(), 2, true);
  }
  result.resize(static_cast<size_t>(inputs_), false);
  return result;
}

void FeatureMap::PullBack(const double* observation, const double* by_input, double* by_observation,
                          double* by_action) const {
  for (size_t i = 0; i < entry_.size(); ++i) {
    switch (entry_[i]) {
      case Entry::kValue:
        by_observation[i] = *by_input++;
        break;
      case Entry::kSinCos:
        by_observation[i] =
            by_input[0] * std::cos(observation[i]) - by_input[1] * std::sin(observation[i]);
        by_input += 2;
        break;
      case Entry::kOmitted:
        by_observation[i] = 0;
        break;
    }
  }
  std::copy_n(by_input, action_dim_, by_action);
}

void FeatureMap::Target(const double* observation, const double* next_observation,
                        double* target) const {
  for (size_t i = 0; i < entry_.size(); ++i) {
    target[i] = absolute_[i] != 0 ? next_observation[i] : next_observation[i] - observation[i];
  }
}

void FeatureMap::Inputs(int rows, const double* observation, const double* action,
                        const Normaliser& normaliser, float* input) const {
  float* to = input;
  const double* mean = normaliser.mean.data();
  const double* scale = normaliser.scale.data();
  // One column of inputs after the other: f of a column of observations or actions, normalised.
  const auto put = [&](const double* column, int stride, auto f) {
    NormaliseColumn(rows, column, stride, *mean++, *scale++, f, to++, inputs_);
  };
  const auto value = [](const Lanes& x) { return x; };
  for (int i = 0; i < observation_dim(); ++i) {
    switch (entry_[static_cast<size_t>(i)]) {
      case Entry::kValue:
        put(observation + i, observation_dim(), value);
        break;
      case Entry::kSinCos:
        put(observation + i, observation_dim(), [](const Lanes& x) { return sin(x); });
        put(observation + i, observation_dim(), [](const Lanes& x) { return cos(x); });
        break;
      case Entry::kOmitted:
        break;
    }
  }
  for (int i = 0; i < action_dim_; ++i) put(action + i, action_dim_, value);
}

}  // namespace foreplan
