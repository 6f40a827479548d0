#include "foreplan/systems/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/name_pattern.h"

namespace foreplan {
namespace {

// Replaces patterns by the names they match and that fit; one that leaves none stays, for
// CheckEncoding.
template <typename Fits>
void ExpandPatterns(const EnvironmentSpec& spec, std::vector<std::string>& names,
                    const Fits& fits) {
  std::vector<std::string> expanded;
  for (const std::string& pattern : names) {
    const size_t before = expanded.size();
    for (const Component& component : spec.observation) {
      if (MatchesPattern(pattern, component.name) && fits(component))
        expanded.push_back(component.name);
    }
    if (expanded.size() == before) expanded.push_back(pattern);
  }
  names = std::move(expanded);
}

void CheckEncoding(const std::string& where, const Encoding& encoding,
                   const EnvironmentSpec& spec) {
  const std::vector<std::string> known = Names(spec.observation);
  const auto check = [&](std::string_view key, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw UnknownName(fmt::format("{}: encoding.{}", where, key), "observation component", name,
                          known);
      }
    }
  };
  check("sin_cos", encoding.sin_cos);
  check("omit", encoding.omit);
  check("absolute", encoding.absolute);
  for (const std::string& name : encoding.integrate) {
    if (name.find('*') == std::string::npos) continue;
    throw InputError(
        fmt::format("{}: encoding.integrate: found '{}', expected a pattern that matches a "
                    "component whose rate is observed, as 'x' with 'x_velocity' or 'x_rate'",
                    where, name));
  }
  check("integrate", encoding.integrate);
  const auto exclude = [&](std::string_view key, const std::vector<std::string>& names,
                           std::string_view other, const std::vector<std::string>& others) {
    for (const std::string& name : names) {
      if (std::find(others.begin(), others.end(), name) == others.end()) continue;
      throw InputError(fmt::format("{}: encoding: found '{}' in {} and in {}, expected one", where,
                                   name, key, other));
    }
  };
  exclude("omit", encoding.omit, "sin_cos", encoding.sin_cos);
  exclude("integrate", encoding.integrate, "absolute", encoding.absolute);
  for (const std::string& name : encoding.integrate) {
    if (RateOf(spec, name) >= 0) continue;
    throw InputError(
        fmt::format("{0}: encoding.integrate: found '{1}', expected a component whose "
                    "rate is observed, as '{1}_velocity' or '{1}_rate'",
                    where, name));
  }
}

}  // namespace

void Encoding::Visit(OptionsVisitor& visitor) {
  visitor.Field("sin_cos", sin_cos, "angles that enter the model as (sin, cos)");
  visitor.Field("omit", omit, "components that do not enter the model");
  visitor.Field("absolute", absolute, "components predicted as such, not as a difference");
  visitor.Field("integrate", integrate, "components predicted from where their rates take them");
  visitor.Field("inputs", input_texts, "expressions that enter the model besides");
}

int RateOf(const EnvironmentSpec& spec, const std::string& name) {
  for (const char* suffix : {"_velocity", "_rate"}) {
    for (size_t i = 0; i < spec.observation.size(); ++i) {
      if (spec.observation[i].name == name + suffix) return static_cast<int>(i);
    }
  }
  return -1;
}

Encoding CompleteEncoding(const std::string& where, Encoding encoding, const EnvironmentSpec& spec,
                          const ExpressionDefinitions& definitions,
                          std::span<const Component> unobserved) {
  const auto any = [](const Component&) { return true; };
  for (auto* names : {&encoding.sin_cos, &encoding.omit, &encoding.absolute}) {
    ExpandPatterns(spec, *names, any);
  }
  ExpandPatterns(spec, encoding.integrate,
                 [&](const Component& component) { return RateOf(spec, component.name) >= 0; });
  CheckEncoding(where, encoding, spec);
  if (encoding.input_texts.empty()) return encoding;
  const std::string place =
      encoding.inputs_where.empty() ? where + ": encoding.inputs" : encoding.inputs_where;
  std::vector<ExpressionText> texts;
  for (size_t i = 0; i < encoding.input_texts.size(); ++i) {
    texts.push_back({fmt::format("{}[{}]", place, i), encoding.input_texts[i]});
  }
  encoding.inputs = std::make_shared<const InputExpressions>(spec, definitions, texts, unobserved);
  return encoding;
}

Encoding ReadEncodingSection(Config& config) {
  Encoding encoding;
  config.Read("encoding", encoding);
  if (!encoding.input_texts.empty()) encoding.inputs_where = config.Where("encoding", "inputs");
  return encoding;
}

Encoding ReadEncoding(Config& config, const EnvironmentSpec& spec,
                      const ExpressionDefinitions& definitions) {
  return CompleteEncoding(config.name(), ReadEncodingSection(config), spec, definitions);
}

}  // namespace foreplan
