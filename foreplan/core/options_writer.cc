// Options as TOML text, and what may stand there.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/toml_text.h"

namespace foreplan {

namespace {

/// Describes the fields of a section that are not left out.
class Describer : public OptionsVisitor {
 public:
  Describer(std::string_view section, const std::set<std::string, std::less<>>& left_out)
      : section_(section), left_out_(left_out) {}

  void Field(std::string_view name, bool& value, std::string_view help) override {
    Add(name, value ? "true" : "false", help, {.expected = "true or false"});
  }
  void Field(std::string_view name, int& value, Range range, std::string_view help) override {
    Add(name, fmt::format("{}", value), help,
        {.expected = Expected("an integer", range), .range = range});
  }
  void Field(std::string_view name, double& value, Range range, std::string_view help) override {
    Add(name, FloatText(value), help, {.expected = Expected("a number", range), .range = range});
  }
  void Field(std::string_view name, std::string& value, std::string_view help) override {
    Add(name, Quoted(value), help, {.expected = "text"});
  }
  void Field(std::string_view name, std::vector<double>& value, Range range,
             std::string_view help) override {
    std::vector<std::string> items;
    std::transform(value.begin(), value.end(), std::back_inserter(items), FloatText);
    Add(name, fmt::format("[{}]", fmt::join(items, ", ")), help,
        {.expected = Expected("a list, each a number", range), .range = range});
  }
  void Field(std::string_view name, std::vector<std::string>& value,
             std::string_view help) override {
    std::vector<std::string> items;
    std::transform(value.begin(), value.end(), std::back_inserter(items), Quoted);
    Add(name, fmt::format("[{}]", fmt::join(items, ", ")), help, {.expected = "a list of texts"});
  }
  void Choice(std::string_view name, std::string& value, std::span<const std::string> names,
              std::string_view help) override {
    Add(name, Quoted(value), help,
        {.expected = fmt::format("one of {}", fmt::join(names, ", ")),
         .choices = {names.begin(), names.end()}});
  }

  [[nodiscard]] const std::vector<OptionDescription>& options() const { return options_; }

 private:
  void Add(std::string_view name, std::string value, std::string_view help,
           OptionDescription option) {
    option.section = section_;
    option.key = name;
    option.value = std::move(value);
    option.help = help;
    if (!left_out_.contains(option.path())) options_.push_back(std::move(option));
  }

  std::string_view section_;
  const std::set<std::string, std::less<>>& left_out_;
  std::vector<OptionDescription> options_;
};

/// "key = value  # help" lines.
std::string Lines(const std::vector<OptionDescription>& options) {
  std::string lines;
  for (const OptionDescription& option : options) {
    lines += fmt::format("{} = {}{}{}\n", option.key, option.value,
                         option.help.empty() ? "" : "  # ", option.help);
  }
  return lines;
}

}  // namespace

std::string OptionDescription::path() const { return JoinPath(section, key); }

void ConfigWriter::Write(std::string_view section, OptionsRef options) {
  if (!section.empty()) text_ += fmt::format("{}[{}]\n", text_.empty() ? "" : "\n", section);
  Describer describer(section, left_out_);
  options.Visit(describer);
  const std::string fields = Lines(describer.options());
  // What could not be read back is not written.
  ParseToml(fields, fmt::format("options [{}]", section));
  text_ += fields;
  options_.insert(options_.end(), describer.options().begin(), describer.options().end());
  sections_.emplace(section);
}

void ConfigWriter::LeaveOut(std::string_view section, std::string_view key) {
  left_out_.insert(JoinPath(section, key));
}

bool ConfigWriter::Has(std::string_view section) const { return sections_.contains(section); }

}  // namespace foreplan
