#include "foreplan/models/ensembles/feature_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "foreplan/core/error.h"
#include "foreplan/core/lanes.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

size_t IndexOf(const EnvironmentSpec& spec, const std::string& key, const std::string& name) {
  const std::vector<std::string> names = Names(spec.observation);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw UnknownName(key, "observation component", name, names);
  return static_cast<size_t>(found - names.begin());
}

// The first `count` entries of a column, repeated.
Lanes PartOf(const double* from, int stride, int count) {
  Lanes part;
  for (int i = 0; i < kLanes; ++i) part.v[i] = from[std::min(i, count - 1) * stride];
  return part;
}

// to[k] = (f_k(from) - mean[k]) / scale[k] for a column of rows and the functions f_0, f_1, ...
template <typename... Functions>
void NormaliseColumn(int rows, const double* from, int from_stride, const double* mean,
                     const double* scale, float* to, int to_stride, const Functions&... f) {
  std::array<Lanes, sizeof...(f)> inverse;
  for (size_t k = 0; k < inverse.size(); ++k) inverse[k] = 1 / scale[k];
  for (int row = 0; row < rows; row += kLanes) {
    const int count = std::min(kLanes, rows - row);
    const Lanes x = count == kLanes ? Lanes::Load(from, static_cast<size_t>(from_stride))
                                    : PartOf(from, from_stride, count);
    size_t place = 0;
    const auto put = [&](const Lanes& value) {
      const Lanes normalised = (value - mean[place]) * inverse[place];
      for (int i = 0; i < count; ++i) {
        to[i * to_stride + static_cast<int>(place)] = static_cast<float>(normalised.v[i]);
      }
      ++place;
    };
    (put(f(x)), ...);
    from += kLanes * from_stride;
    to += kLanes * to_stride;
  }
}

// to[i] = (from[i] - mean[i]) / scale[i] for neighbouring columns of rows.
constexpr int kColumns = 8;
void NormaliseColumns(int rows, const double* from, int from_stride, const double* mean,
                      const double* scale, float* to, int to_stride) {
  std::array<double, kColumns> inverse;
  for (size_t i = 0; i < kColumns; ++i) inverse[i] = 1 / scale[i];
  for (int row = 0; row < rows; ++row, from += from_stride, to += to_stride) {
    for (size_t i = 0; i < kColumns; ++i) {
      to[i] = static_cast<float>((from[i] - mean[i]) * inverse[i]);
    }
  }
}

}  // namespace

FeatureMap::FeatureMap(const EnvironmentSpec& spec, const Encoding& encoding)
    : entry_(spec.observation.size(), Entry::kValue),
      kept_(spec.observation.size(), 1),
      difference_(spec, encoding),
      expressions_(encoding.inputs),
      dt_(spec.dt),
      action_dim_(spec.action_dim()) {
  for (const std::string& name : encoding.sin_cos) {
    entry_[IndexOf(spec, "encoding.sin_cos", name)] = Entry::kSinCos;
  }
  for (const std::string& name : encoding.omit) {
    entry_[IndexOf(spec, "encoding.omit", name)] = Entry::kOmitted;
  }
  for (const std::string& name : encoding.absolute) {
    kept_[IndexOf(spec, "encoding.absolute", name)] = 0;
  }
  for (const std::string& name : encoding.integrate) {
    const auto component = static_cast<int>(IndexOf(spec, "encoding.integrate", name));
    const int rate = RateOf(spec, name);
    if (rate < 0 || dt_ <= 0) {
      throw InputError(
          fmt::format("encoding.integrate: found '{}', expected an observed rate of it "
                      "and a control period > 0, found {} s",
                      name, dt_));
    }
    integrated_.push_back({component, rate});
  }
  known_ = encoding.known;
  for (const KnownMotion& motion : known_) {
    kept_[static_cast<size_t>(motion.component)] = 0;
    std::erase_if(integrated_,
                  [&](const Integrated& one) { return one.component == motion.component; });
  }
  if (!encoding.input_texts.empty() && !expressions_) {
    throw InputError(
        "encoding.inputs: found texts alone, expected them compiled by CompleteEncoding");
  }
  inputs_ = action_dim_;
  for (const Entry entry : entry_) {
    inputs_ += entry == Entry::kValue ? 1 : entry == Entry::kSinCos ? 2 : 0;
  }
  if (expressions_) inputs_ += expressions_->count();
}

FeatureMap::FeatureMap(int observation_dim)
    : entry_(static_cast<size_t>(observation_dim), Entry::kValue),
      kept_(entry_.size(), 1),
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
  if (expressions_) expressions_->Evaluate(1, observation, action, input + action_dim_);
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

void FeatureMap::ExpressionJacobian(const double* observation, const double* action,
                                    double* jacobian) const {
  if (expressions_) expressions_->Jacobian(observation, action, jacobian);
}

size_t FeatureMap::expression_jacobian_size() const {
  return expressions_ ? static_cast<size_t>(expressions_->count()) *
                            static_cast<size_t>(expressions_->variables())
                      : 0;
}

void FeatureMap::PullBack(const double* observation, const double* expression_jacobian,
                          const double* by_input, double* by_observation, double* by_action) const {
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
  if (!expressions_) return;
  by_input += action_dim_;
  for (int k = 0; k < expressions_->count(); ++k) {
    if (by_input[k] == 0) continue;
    const double* by_observed = expression_jacobian + k * expressions_->variables();
    const double* by_acted = by_observed + observation_dim();
    for (int i = 0; i < observation_dim(); ++i) by_observation[i] += by_input[k] * by_observed[i];
    for (int i = 0; i < action_dim_; ++i) by_action[i] += by_input[k] * by_acted[i];
  }
}

void FeatureMap::Target(const double* observation, const double* next_observation,
                        double* target) const {
  for (size_t i = 0; i < entry_.size(); ++i) {
    target[i] = kept_[i] != 0 ? next_observation[i] - observation[i] : next_observation[i];
  }
  for (const auto [component, rate] : integrated_) target[component] -= dt_ * observation[rate];
  for (size_t i = 0; i < entry_.size(); ++i) {
    if (kept_[i] != 0 &&
        ObservationDifference::MayHaveWrapped(observation[i], next_observation[i])) {
      target[i] = difference_.Wrapped(i, target[i]);
    }
  }
  for (const KnownMotion& motion : known_) target[motion.component] = 0;
}

void FeatureMap::Inputs(int rows, const double* observation, const double* action,
                        const Normaliser& normaliser, float* input) const {
  float* to = input;
  const double* mean = normaliser.mean.data();
  const double* scale = normaliser.scale.data();
  // One column of observations or actions after the other: what functions make of it, normalised.
  const auto put = [&](const double* column, int stride, auto... f) {
    NormaliseColumn(rows, column, stride, mean, scale, to, inputs_, f...);
    mean += sizeof...(f);
    scale += sizeof...(f);
    to += sizeof...(f);
  };
  // Columns as they are, several at once while there are enough.
  const auto put_values = [&](const double* columns, int count, int stride) {
    for (; count >= kColumns; count -= kColumns, columns += kColumns) {
      NormaliseColumns(rows, columns, stride, mean, scale, to, inputs_);
      mean += kColumns;
      scale += kColumns;
      to += kColumns;
    }
    for (; count > 0; --count, ++columns) put(columns, stride, [](const Lanes& x) { return x; });
  };
  const auto sine = [](const Lanes& x) { return sin(x); };
  const auto cosine = [](const Lanes& x) { return cos(x); };
  for (int i = 0; i < observation_dim();) {
    const auto begin = entry_.begin() + i;
    const auto end =
        std::find_if(begin, entry_.end(), [&](Entry other) { return other != *begin; });
    const auto count = static_cast<int>(end - begin);  // neighbours of one kind
    const double* columns = observation + i;
    if (*begin == Entry::kValue) put_values(columns, count, observation_dim());
    if (*begin == Entry::kSinCos) {
      for (int k = 0; k < count; ++k) put(columns + k, observation_dim(), sine, cosine);
    }
    i += count;
  }
  put_values(action, action_dim_, action_dim_);
  if (!expressions_) return;
  const int count = expressions_->count();
  std::array<double, InputExpressions::kMaxCount> values;
  const int most = InputExpressions::kMaxCount / count;
  for (int first = 0; first < rows; first += most) {
    const int part = std::min(most, rows - first);
    expressions_->Evaluate(part, observation + first * observation_dim(),
                           action + first * action_dim_, values.data());
    for (int row = 0; row < part; ++row) {
      for (int k = 0; k < count; ++k) {
        to[(first + row) * inputs_ + k] =
            static_cast<float>((values[static_cast<size_t>(row * count + k)] - mean[k]) / scale[k]);
      }
    }
  }
}

}  // namespace foreplan
