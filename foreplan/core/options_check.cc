// Options that no file was read for.
#include <fmt/format.h>

#include <string>

#include "foreplan/core/config_text.h"
#include "foreplan/core/options.h"

namespace foreplan {

namespace {

/// Throws for the first field out of its range.
class Validator : public OptionsVisitor {
 public:
  explicit Validator(std::string_view section) : section_(section) {}

  void Field(std::string_view, bool&, std::string_view) override {}
  void Field(std::string_view name, int& value, Range range, std::string_view) override {
    if (Contains(range, value)) return;
    throw WrongValue(JoinPath(section_, name), fmt::format("{}", value),
                     Expected("an integer", range));
  }
  void Field(std::string_view name, double& value, Range range, std::string_view) override {
    Check(JoinPath(section_, name), value, range);
  }
  void Field(std::string_view, std::string&, std::string_view) override {}
  void Field(std::string_view name, std::vector<double>& value, Range range,
             std::string_view) override {
    for (size_t i = 0; i < value.size(); ++i) {
      Check(fmt::format("{}[{}]", JoinPath(section_, name), i), value[i], range);
    }
  }
  void Field(std::string_view, std::vector<std::string>&, std::string_view) override {}
  void Choice(std::string_view name, std::string& value, std::span<const std::string> names,
              std::string_view) override {
    CheckChoice(JoinPath(section_, name), value, names);
  }

 private:
  static void Check(std::string_view where, double value, Range range) {
    if (Contains(range, value)) return;
    throw WrongValue(where, FloatText(value), Expected("a number", range));
  }

  std::string section_;
};

}  // namespace

void ValidateOptions(std::string_view section, OptionsRef options) {
  Validator validator(section);
  options.Visit(validator);
}

}  // namespace foreplan
