// Options as TOML text.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/toml_text.h"

namespace foreplan {

namespace {

/// Appends "key = value  # help" lines.
class Writer : public OptionsVisitor {
 public:
  explicit Writer(std::string& text) : text_(text) {}

  void Field(std::string_view name, bool& value, std::string_view help) override {
    Line(name, value ? "true" : "false", help);
  }
  void Field(std::string_view name, int& value, Range, std::string_view help) override {
    Line(name, fmt::format("{}", value), help);
  }
  void Field(std::string_view name, double& value, Range, std::string_view help) override {
    Line(name, FloatText(value), help);
  }
  void Field(std::string_view name, std::string& value, std::string_view help) override {
    Line(name, Quoted(value), help);
  }
  void Field(std::string_view name, std::vector<double>& value, Range,
             std::string_view help) override {
    std::vector<std::string> items;
    std::transform(value.begin(), value.end(), std::back_inserter(items), FloatText);
    Line(name, fmt::format("[{}]", fmt::join(items, ", ")), help);
  }
  void Field(std::string_view name, std::vector<std::string>& value,
             std::string_view help) override {
    std::vector<std::string> items;
    std::transform(value.begin(), value.end(), std::back_inserter(items), Quoted);
    Line(name, fmt::format("[{}]", fmt::join(items, ", ")), help);
  }
  void Choice(std::string_view name, std::string& value, std::span<const std::string>,
              std::string_view help) override {
    Line(name, Quoted(value), help);
  }

 private:
  void Line(std::string_view name, std::string_view value, std::string_view help) {
    text_ += fmt::format("{} = {}{}{}\n", name, value, help.empty() ? "" : "  # ", help);
  }

  std::string& text_;
};

}  // namespace

void ConfigWriter::Write(std::string_view section, OptionsRef options) {
  if (!section.empty()) text_ += fmt::format("{}[{}]\n", text_.empty() ? "" : "\n", section);
  std::string fields;
  Writer writer(fields);
  options.Visit(writer);
  // What could not be read back is not written.
  ParseToml(fields, fmt::format("options [{}]", section));
  text_ += fields;
}

}  // namespace foreplan
