#include "foreplan/models/model_subject.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/component_json.h"
#include "foreplan/models/read_subject.h"

namespace foreplan {
namespace {

using nlohmann::json;

constexpr const char* kKey = "subject";

struct EncodingList {
  const char* name;  // in section [encoding]
  std::vector<std::string> Encoding::*names;
};
constexpr EncodingList kEncodingLists[] = {{"sin_cos", &Encoding::sin_cos},
                                           {"omit", &Encoding::omit},
                                           {"absolute", &Encoding::absolute},
                                           {"integrate", &Encoding::integrate},
                                           {"inputs", &Encoding::input_texts}};

std::vector<Component> ComponentsOf(const json& list) {
  std::vector<Component> components;
  for (const json& component : list) {
    components.push_back({component.at("name"), component.at("unit")});
  }
  return components;
}

json KnownJson(const std::vector<KnownMotion>& motions) {
  json list = json::array();
  for (const KnownMotion& motion : motions) {
    list.push_back({{"component", motion.component},
                    {"keep", motion.keep},
                    {"action", motion.action},
                    {"gain", motion.gain},
                    {"offset", motion.offset}});
  }
  return list;
}

/// Of a task with so many components and actions.
std::vector<KnownMotion> KnownOf(const json& list, const EnvironmentSpec& spec) {
  std::vector<KnownMotion> motions;
  for (const json& entry : list) {
    const KnownMotion motion{.component = entry.at("component"),
                             .keep = entry.at("keep"),
                             .action = entry.at("action"),
                             .gain = entry.at("gain"),
                             .offset = entry.at("offset")};
    const bool exists = 0 <= motion.component && motion.component < spec.observation_dim() &&
                        -1 <= motion.action && motion.action < spec.action_dim();
    if (!exists) throw json::other_error::create(501, "known: no such component", nullptr);
    motions.push_back(motion);
  }
  return motions;
}

InputError NoDescription(const TensorFile& file) {
  return InputError(fmt::format("{}: metadata '{}': found no description of a model's subject",
                                file.source, kKey));
}

std::string NamesText(const std::vector<Component>& components) {
  std::vector<std::string> names;
  for (const Component& component : components) names.push_back(component.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// "" or the first difference.
std::string Difference(std::string_view what, const std::vector<Component>& found,
                       const std::vector<Component>& expected) {
  if (found.size() != expected.size()) {
    return fmt::format("found a model of {} components of {} ({}), expected {} ({})", found.size(),
                       what, NamesText(found), expected.size(), NamesText(expected));
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].name != expected[i].name) {
      return fmt::format(
          "found a model of another system, with '{}' as component {} of {}, expected '{}'",
          found[i].name, i + 1, what, expected[i].name);
    }
    const bool both_known = !found[i].unit.empty() && !expected[i].unit.empty();
    if (both_known && found[i].unit != expected[i].unit) {
      return fmt::format("found a model with '{}' in {}, expected {}", found[i].name, found[i].unit,
                         expected[i].unit);
    }
  }
  return "";
}

std::string DifferenceOfPeriods(double found, double expected) {
  constexpr double kTolerance = 0.01;  // logs round their times
  if (found == 0 || expected == 0 || std::abs(found - expected) <= kTolerance * expected) return "";
  return fmt::format("found a model of steps of {:g} s, expected {:g} s", found, expected);
}

std::string DifferenceOfEncodings(const json& found, const Encoding& expected) {
  for (const EncodingList& list : kEncodingLists) {
    const std::vector<std::string> names = found.at(list.name);
    if (names == expected.*list.names) continue;
    return fmt::format("found a model learned with encoding.{} = [{}], expected [{}]", list.name,
                       fmt::join(names, ", "), fmt::join(expected.*list.names, ", "));
  }
  return "";
}

/// As it is written: without what the encoding's texts mean.
std::pair<EnvironmentSpec, Encoding> Described(const TensorFile& file) {
  const auto text = file.metadata.find(kKey);
  if (text == file.metadata.end()) {
    throw InputError(fmt::format(
        "{}: found no metadata '{}', expected a model that says what it is of; those of versions "
        "before do not",
        file.source, kKey));
  }
  EnvironmentSpec spec;
  Encoding encoding;
  try {
    const json found = json::parse(text->second);
    spec.observation = ComponentsOf(found.at("observation"));
    spec.action = ComponentsOf(found.at("action"));
    spec.action_low = found.at("action_low").get<std::vector<double>>();
    spec.action_high = found.at("action_high").get<std::vector<double>>();
    spec.dt = found.at("dt");
    if (found.contains("known")) encoding.known = KnownOf(found.at("known"), spec);
    for (const EncodingList& list : kEncodingLists) {
      encoding.*list.names = found.at("encoding").at(list.name).get<std::vector<std::string>>();
    }
  } catch (const json::exception&) {
    throw NoDescription(file);
  }
  if (spec.action_low.size() != spec.action.size() ||
      spec.action_high.size() != spec.action.size()) {
    throw NoDescription(file);
  }
  return {std::move(spec), std::move(encoding)};
}

}  // namespace

void WriteSubject(const ModelSubject& subject, TensorFile& file) {
  json encoding = json::object();
  for (const EncodingList& list : kEncodingLists)
    encoding[list.name] = subject.encoding.*list.names;
  file.metadata[kKey] = json{
      {"observation", ComponentsJson(subject.spec.observation)},
      {"action", ComponentsJson(subject.spec.action)},
      {"action_low", subject.spec.action_low},
      {"action_high", subject.spec.action_high},
      {"dt", subject.spec.dt},
      {"known", KnownJson(subject.encoding.known)},
      {"encoding",
       encoding}}.dump();
}

ModelSubject ReadSubject(const TensorFile& file) {
  auto [spec, encoding] = Described(file);
  Encoding complete = CompleteEncoding(file.source, std::move(encoding), spec, {});
  return {std::move(spec), std::move(complete)};
}

ModelSubject ReadSubjectOfPolicy(const TensorFile& file) {
  auto [spec, encoding] = Described(file);
  encoding.input_texts.clear();
  Encoding complete = CompleteEncoding(file.source, std::move(encoding), spec, {});
  return {std::move(spec), std::move(complete)};
}

void CheckSubject(const ModelSubject& subject, const TensorFile& file) {
  const auto text = file.metadata.find(kKey);
  if (text == file.metadata.end()) return;
  std::string difference;
  try {
    const json found = json::parse(text->second);
    difference = Difference("the observation", ComponentsOf(found.at("observation")),
                            subject.spec.observation);
    if (difference.empty()) {
      difference = Difference("the action", ComponentsOf(found.at("action")), subject.spec.action);
    }
    if (difference.empty()) difference = DifferenceOfPeriods(found.at("dt"), subject.spec.dt);
    if (difference.empty()) {
      difference = DifferenceOfEncodings(found.at("encoding"), subject.encoding);
    }
  } catch (const json::exception&) {
    throw NoDescription(file);
  }
  if (difference.empty()) return;
  throw InputError(fmt::format("{}: {}", file.source, difference));
}

}  // namespace foreplan
