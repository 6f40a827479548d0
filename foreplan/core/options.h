// Options are plain structs that list their fields once, in `Visit`; visitors read them from
// TOML, write them, and check their ranges.
//
//   struct CemOptions {
//     int population = 400;  // candidates per iteration, 2 ... 100000
//     void Visit(OptionsVisitor& visitor) {
//       visitor.Field("population", population, {2, 100000}, "candidates per iteration");
//     }
//   };
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace foreplan {

/// Closed interval of allowed values.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

class OptionsVisitor {
 public:
  virtual ~OptionsVisitor() = default;
  virtual void Field(std::string_view name, bool& value, std::string_view help) = 0;
  virtual void Field(std::string_view name, int& value, Range range, std::string_view help) = 0;
  virtual void Field(std::string_view name, double& value, Range range, std::string_view help) = 0;
  virtual void Field(std::string_view name, std::string& value, std::string_view help) = 0;
  /// Every element must lie in `range`.
  virtual void Field(std::string_view name, std::vector<double>& value, Range range,
                     std::string_view help) = 0;
  virtual void Field(std::string_view name, std::vector<std::string>& value,
                     std::string_view help) = 0;
  /// A string that must be one of `names`.
  virtual void Choice(std::string_view name, std::string& value, std::span<const std::string> names,
                      std::string_view help) = 0;

  /// An enumeration with its names; `table` holds (name, value) pairs.
  template <typename Enum>
  void Choice(std::string_view name, Enum& value,
              std::span<const std::pair<std::string, std::type_identity_t<Enum>>> table,
              std::string_view help) {
    std::vector<std::string> names;
    std::string text;
    for (const auto& [entry, entry_value] : table) {
      names.push_back(entry);
      if (entry_value == value) text = entry;
    }
    Choice(name, text, std::span<const std::string>(names), help);
    for (const auto& [entry, entry_value] : table) {
      if (entry == text) value = entry_value;
    }
  }
};

/// Anything with `void Visit(OptionsVisitor&)`, so that visitors' code is compiled once.
class OptionsRef {
 public:
  template <typename Options>
  OptionsRef(Options& options)  // NOLINT(google-explicit-constructor): a view, like std::span
      : options_(&options), visit_([](void* object, OptionsVisitor& visitor) {
          static_cast<Options*>(object)->Visit(visitor);
        }) {}
  void Visit(OptionsVisitor& visitor) const { visit_(options_, visitor); }

 private:
  void* options_;
  void (*visit_)(void*, OptionsVisitor&);
};

/// Throws InputError naming section, field, value and range when a field is out of range (NaN is
/// out of every range) or a choice is none of its names.
void ValidateOptions(std::string_view section, OptionsRef options);

}  // namespace foreplan
