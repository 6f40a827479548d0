#include "foreplan/core/config_tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/config_text.h"

namespace foreplan {

void Config::Impl::AddDocument(toml::table document, std::string_view set_key) {
  documents.push_back(std::move(document));
  AddTable("", documents.back(), set_key);
}

void Config::Impl::AddTable(const std::string& section, const toml::table& table,
                            std::string_view set_key, int depth) {
  constexpr int kMaxDepth = 32;
  for (const auto& [key, node] : table) {
    const toml::source_position at = key.source().begin;
    const std::string path = JoinPath(section, key.str());
    ConfigEntry entry{&node,
                      section,
                      std::string(key.str()),
                      path,
                      set_key.empty() ? fmt::format("{}:{}:{}", name, at.line, at.column)
                                      : fmt::format("--set {}", set_key),
                      {documents.size(), at.line, at.column}};
    if (const toml::table* child = node.as_table()) {
      if (depth == kMaxDepth) {
        throw InputError(fmt::format("{}: found a key of more than {} parts, expected fewer",
                                     entry.where, kMaxDepth));
      }
      values.erase(path);
      tables.try_emplace(path, std::move(entry));
      AddTable(path, *child, set_key, depth + 1);
    } else {
      tables.erase(path);
      values.insert_or_assign(path, std::move(entry));
    }
  }
}

bool Config::Impl::IsKnownSection(const std::string& section) const {
  return std::any_of(known.begin(), known.end(), [&](const auto& entry) {
    return entry.first == section || entry.first.starts_with(section + '.');
  });
}

InputError Config::Impl::UnknownSection(const ConfigEntry& entry,
                                        const std::string& section) const {
  std::vector<std::string> sections;
  for (const auto& [name, keys] : known) {
    if (!name.empty()) sections.push_back(name);
  }
  const std::string nearest = NearestName(section, sections);
  return InputError(fmt::format(
      "{}: unknown {} '{}'{}; known sections: {}", entry.where,
      entry.path == section ? "section" : fmt::format("key '{}' in unknown section", entry.path),
      section, nearest.empty() ? "" : " (did you mean '" + nearest + "'?)",
      fmt::join(sections, ", ")));
}

InputError Config::Impl::UnknownKey(const ConfigEntry& entry) const {
  const auto section = known.find(entry.section);
  if (section == known.end() && !entry.section.empty()) {
    return UnknownSection(entry, entry.section);
  }
  const std::vector<std::string> names =
      section == known.end() ? std::vector<std::string>() : section->second;
  std::string nearest = NearestName(entry.key, names);
  if (!nearest.empty()) {
    nearest = JoinPath(entry.section, nearest);
  } else {  // perhaps the right key in the wrong section
    for (const auto& [other, keys] : known) {
      if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) continue;
      nearest = JoinPath(other, entry.key);
      break;
    }
  }
  return InputError(fmt::format("{}: unknown key '{}'{}; known{}: {}", entry.where, entry.path,
                                nearest.empty() ? "" : " (did you mean '" + nearest + "'?)",
                                entry.section.empty() ? "" : " in [" + entry.section + "]",
                                fmt::join(names, ", ")));
}

}  // namespace foreplan
