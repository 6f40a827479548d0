// From the entries of a configuration to the fields of options; for Config alone.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/core/config_tree.h"

namespace foreplan {

/// Fills the fields of one section from the entries of a configuration.
class OptionsReader : public OptionsVisitor {
 public:
  OptionsReader(std::string section, const ConfigEntries& values, const ConfigEntries& tables,
                std::vector<std::string>& known)
      : section_(std::move(section)), values_(values), tables_(tables), known_(known) {}

  void Field(std::string_view name, bool& value, std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) {
      const auto* flag = entry->node->as_boolean();
      if (flag == nullptr) throw WrongValue(where_, Describe(*entry->node), "true or false");
      value = flag->get();
    }
  }

  void Field(std::string_view name, int& value, Range range, std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) {
      constexpr Range kFits{std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};
      const std::optional<double> number = Number(*entry->node);
      const bool is_integer = number && *number == std::trunc(*number);
      if (!is_integer || !Contains(range, *number) || !Contains(kFits, *number)) {
        const bool too_large = is_integer && Contains(range, *number);
        throw WrongValue(where_, Describe(*entry->node),
                         Expected(too_large ? "a 32-bit integer" : "an integer", range));
      }
      value = static_cast<int>(*number);
    }
  }

  void Field(std::string_view name, double& value, Range range, std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) value = ReadNumber(*entry->node, where_, range);
  }

  void Field(std::string_view name, std::string& value, std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) value = ReadString(*entry->node, where_, "a string");
  }

  void Field(std::string_view name, std::vector<double>& value, Range range,
             std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) {
      const toml::array& list = ReadArray(*entry->node, "an array of numbers");
      std::vector<double> numbers;
      for (const toml::node& node : list) {
        numbers.push_back(ReadNumber(node, fmt::format("{}[{}]", where_, numbers.size()), range));
      }
      value = std::move(numbers);
    }
  }

  void Field(std::string_view name, std::vector<std::string>& value, std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) {
      const toml::array& list = ReadArray(*entry->node, "an array of strings");
      std::vector<std::string> strings;
      for (const toml::node& node : list) {
        strings.push_back(
            ReadString(node, fmt::format("{}[{}]", where_, strings.size()), "a string"));
      }
      value = std::move(strings);
    }
  }

  void Choice(std::string_view name, std::string& value, std::span<const std::string> names,
              std::string_view) override {
    if (const ConfigEntry* entry = Find(name)) {
      const std::string expected = fmt::format("one of {}", fmt::join(names, ", "));
      const std::string& text = ReadString(*entry->node, where_, expected);
      CheckChoice(where_, text, names);
      value = text;
    }
  }

 private:
  /// Registers the key; the value for it or null; sets where_ for messages.
  const ConfigEntry* Find(std::string_view name) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) known_.emplace_back(name);
    const std::string path = JoinPath(section_, name);
    auto found = values_.find(path);
    if (found == values_.end()) {
      found = tables_.find(path);
      if (found == tables_.end()) return nullptr;
    }
    where_ = fmt::format("{}: {}", found->second.where, path);
    return &found->second;
  }

  static std::optional<double> Number(const toml::node& node) {
    if (const auto* integer = node.as_integer()) return static_cast<double>(integer->get());
    if (const auto* real = node.as_floating_point()) return real->get();
    return std::nullopt;
  }

  static double ReadNumber(const toml::node& node, std::string_view where, Range range) {
    const std::optional<double> number = Number(node);
    if (!number || !Contains(range, *number)) {
      throw WrongValue(where, Describe(node), Expected("a number", range));
    }
    return *number;
  }

  static const std::string& ReadString(const toml::node& node, std::string_view where,
                                       std::string_view expected) {
    const auto* text = node.as_string();
    if (text == nullptr) throw WrongValue(where, Describe(node), expected);
    return text->get();
  }

  const toml::array& ReadArray(const toml::node& node, std::string_view expected) {
    const toml::array* list = node.as_array();
    if (list == nullptr) throw WrongValue(where_, Describe(node), expected);
    return *list;
  }

  std::string section_;
  const ConfigEntries& values_;
  const ConfigEntries& tables_;
  std::vector<std::string>& known_;
  std::string where_;
};

}  // namespace foreplan
