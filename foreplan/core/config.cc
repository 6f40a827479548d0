#include "foreplan/core/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <tuple>
#include <utility>

#include "foreplan/core/config_text.h"
#include "foreplan/core/config_tree.h"
#include "foreplan/core/error.h"
#include "foreplan/core/options_reader.h"
#include "foreplan/core/read_file.h"
#include "foreplan/core/toml_text.h"

namespace foreplan {

Config::Config() : impl_(std::make_unique<Impl>()) {}
Config::~Config() = default;
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;

Config Config::FromFile(const std::filesystem::path& file) {
  std::error_code error;
  const auto type = std::filesystem::status(file, error).type();
  if (type == std::filesystem::file_type::not_found) {
    throw InputError(fmt::format("{}: no such file, expected a TOML file", file.string()));
  }
  if (type == std::filesystem::file_type::directory) {
    throw InputError(fmt::format("{}: found a directory, expected a TOML file", file.string()));
  }
  constexpr uint64_t kMost = uint64_t{64} << 20;  // [bytes]
  return FromString(ReadFile(file, kMost), file.string());
}

Config Config::FromString(std::string_view text, std::string_view name) {
  Config config;
  config.impl_->name = name;
  config.impl_->AddDocument(ParseToml(text, name), "");
  return config;
}

void Config::Set(std::string_view assignment) {
  constexpr std::string_view kSpace = " \t";
  const auto trim = [&](std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
  };
  const size_t equals = assignment.find('=');
  const std::string_view key = trim(assignment.substr(0, equals));
  if (equals == std::string_view::npos || key.empty() || assignment.find('\n') != key.npos ||
      key.find_first_not_of(std::string(kBareKeyCharacters) + '.') != std::string_view::npos) {
    throw InputError(
        fmt::format("--set: found {}, expected section.key=value", Quoted(assignment)));
  }
  const std::string_view value = trim(assignment.substr(equals + 1));
  const std::string name = fmt::format("--set {}", key);
  toml::table document;
  try {
    document = ParseToml(fmt::format("{} = {}", key, value), name);
  } catch (const InputError&) {
    // Text that begins like no TOML value: a word, an expression.
    const bool is_text = !value.empty() && value.find_first_of("\"'[{") != 0 &&
                         value.find_first_of("\r\n#") == value.npos;
    if (!is_text) {
      throw InputError(
          fmt::format("{}: found {}, expected a value as in TOML: a number, true, false, text, or "
                      "a list, in which text is quoted: ['a', 'b']",
                      name, Quoted(value)));
    }
    document = ParseToml(fmt::format("{} = {}", key, Quoted(value)), name);
  }
  impl_->AddDocument(std::move(document), key);
}

bool Config::Has(std::string_view section) const {
  const std::string prefix = section.empty() ? "" : std::string(section) + '.';
  const auto first = impl_->values.lower_bound(prefix);
  return first != impl_->values.end() && first->first.starts_with(prefix);
}

std::vector<std::string> Config::Keys(std::string_view section) const {
  std::vector<const ConfigEntry*> entries;
  for (const auto& [path, entry] : impl_->values) {
    if (entry.section == section) entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const ConfigEntry* a, const ConfigEntry* b) { return a->order < b->order; });
  std::vector<std::string> keys;
  keys.reserve(entries.size());
  for (const ConfigEntry* entry : entries) keys.push_back(entry->key);
  return keys;
}

bool Config::IsArray(std::string_view section, std::string_view key) const {
  const auto found = impl_->values.find(JoinPath(section, key));
  return found != impl_->values.end() && found->second.node->is_array();
}

std::string Config::Where(std::string_view section, std::string_view key) const {
  const std::string path = JoinPath(section, key);
  const auto found = impl_->values.find(path);
  return fmt::format("{}: {}", found == impl_->values.end() ? name() : found->second.where, path);
}

size_t Config::Layer(std::string_view section, std::string_view key) const {
  const auto found = impl_->values.find(JoinPath(section, key));
  return found == impl_->values.end() ? 0 : std::get<0>(found->second.order);
}

double Config::dt() const { return impl_->dt; }
void Config::set_dt(double dt) { impl_->dt = dt; }

std::vector<std::string> Config::Assignments(std::string_view section) const {
  std::vector<std::string> assignments;
  const std::string below = section.empty() ? "" : std::string(section) + '.';
  for (const auto& [path, entry] : impl_->values) {
    if (entry.section != section && !entry.section.starts_with(below)) continue;
    std::ostringstream text;
    entry.node->visit([&text](const auto& value) { text << value; });
    assignments.push_back(fmt::format("{}={}", path, OnOneLine(text.str())));
  }
  return assignments;
}

void Config::Read(std::string_view section, OptionsRef options) {
  const std::string name(section);
  if (const auto value = impl_->values.find(name); value != impl_->values.end()) {
    throw WrongValue(fmt::format("{}: {}", value->second.where, name),
                     Describe(*value->second.node), fmt::format("a section [{}]", name));
  }
  OptionsReader reader(name, impl_->values, impl_->tables, impl_->known[name]);
  options.Visit(reader);
}

void Config::ThrowOnUnknownKeys() const {
  const Impl& impl = *impl_;
  const ConfigEntry* first = nullptr;
  const auto consider = [&](const ConfigEntry& entry) {
    if (first == nullptr || entry.order < first->order) first = &entry;
  };
  for (const auto& [path, entry] : impl.values) {
    const auto section = impl.known.find(entry.section);
    const bool is_known = section != impl.known.end() &&
                          std::find(section->second.begin(), section->second.end(), entry.key) !=
                              section->second.end();
    if (!is_known) consider(entry);
  }
  // A table that holds values is reported by the first of them.
  for (const auto& [path, entry] : impl.tables) {
    if (!impl.IsKnownSection(path) && !Has(path)) consider(entry);
  }
  if (first == nullptr) return;
  if (first->node->is_table()) {
    throw impl.UnknownSection(*first, first->path);
  }
  throw impl.UnknownKey(*first);
}

const std::string& Config::name() const { return impl_->name; }

}  // namespace foreplan
