// What a Config consists of; for its own files alone.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/core/toml_text.h"

namespace foreplan {

/// One value or table of a document.
struct ConfigEntry {
  const toml::node* node;
  std::string section;  // path
  std::string key;
  std::string path;
  std::string where;                         // "x.toml:12:1" or "--set a.b"
  std::tuple<size_t, size_t, size_t> order;  // of definition: document, line, column
};

using ConfigEntries = std::map<std::string, ConfigEntry>;  // by full path

struct Config::Impl {
  std::string name = "command line";
  double dt = 0;                       // [s]; 0: no task was read
  std::vector<toml::table> documents;  // own the nodes; a later one overrides
  ConfigEntries values;
  ConfigEntries tables;
  std::map<std::string, std::vector<std::string>> known;  // keys that Read asked for, by section

  /// `set_key` is the key of an override, or empty for a file.
  void AddDocument(toml::table document, std::string_view set_key);
  void AddTable(const std::string& section, const toml::table& table, std::string_view set_key,
                int depth = 0);

  [[nodiscard]] bool IsKnownSection(const std::string& section) const;
  [[nodiscard]] InputError UnknownKey(const ConfigEntry& entry) const;
  [[nodiscard]] InputError UnknownSection(const ConfigEntry& entry,
                                          const std::string& section) const;
};

}  // namespace foreplan
