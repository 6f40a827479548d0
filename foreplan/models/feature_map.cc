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
  for (int first = 0; first < rows; first += kLanes) {
    const int count = std::min(kLanes, rows - first);
    const auto load = [&](const double* column, int stride) {
      Lanes values;
      for (int i = 0; i < kLanes; ++i) {
        values.v[i] = column[(first + std::min(i, count - 1)) * stride];
      }
      return values;
    };
    size_t place = 0;
    const auto put = [&](const Lanes& values) {
      const Lanes normalised = (values - normaliser.mean[place]) / normaliser.scale[place];
      float* to = input + first * inputs_ + static_cast<int>(place++);
      for (int i = 0; i < count; ++i) to[i * inputs_] = static_cast<float>(normalised.v[i]);
    };
    for (int i = 0; i < observation_dim(); ++i) {
      const Entry entry = entry_[static_cast<size_t>(i)];
      if (entry == Entry::kOmitted) continue;
      const Lanes values = load(observation + i, observation_dim());
      put(entry == Entry::kValue ? values : sin(values));
      if (entry == Entry::kSinCos) put(cos(values));
    }
    for (int i = 0; i < action_dim_; ++i) put(load(action + i, action_dim_));
  }
}

}  // namespace foreplan
