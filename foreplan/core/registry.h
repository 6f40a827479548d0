// What can be made by name: what the library brings and what a program adds.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {

/// Names only join it: what was found stays valid. Safe to use from any thread; a name must have
/// joined before it is asked for.
template <typename Entry>
class Registry {
 public:
  /// `what`: "planner", for messages.
  Registry(std::string what, std::vector<std::pair<std::string, Entry>> entries)
      : what_(std::move(what)), entries_(std::move(entries)) {}

  /// Throws InputError for a name that cannot stand in a configuration, or is taken.
  void Add(const std::string& name, Entry entry) {
    const std::unique_lock lock(mutex_);
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (name.empty() || name.find_first_not_of(kAllowed) != std::string::npos) {
      throw InputError(fmt::format("{}: found the name '{}', expected letters, digits, '_' and '-'",
                                   what_, name));
    }
    for (const auto& [known, ignored] : entries_) {
      if (known != name) continue;
      throw InputError(
          fmt::format("{}: found the name '{}' again, expected one that is free", what_, name));
    }
    entries_.emplace_back(name, std::move(entry));
  }

  /// Throws InputError, which starts with `where`, for an unknown name (with the nearest).
  [[nodiscard]] Entry Find(std::string_view where, const std::string& name) const {
    {
      const std::shared_lock lock(mutex_);
      for (const auto& [known, entry] : entries_) {
        if (known == name) return entry;
      }
    }
    throw UnknownName(where, what_, name, Names());
  }

  [[nodiscard]] bool Has(const std::string& name) const {
    const std::shared_lock lock(mutex_);
    for (const auto& [known, ignored] : entries_) {
      if (known == name) return true;
    }
    return false;
  }

  /// In the order in which they joined.
  [[nodiscard]] std::vector<std::string> Names() const {
    const std::shared_lock lock(mutex_);
    std::vector<std::string> names;
    names.reserve(entries_.size());
    for (const auto& [name, ignored] : entries_) names.push_back(name);
    return names;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::string what_;
  std::vector<std::pair<std::string, Entry>> entries_;
};

/// What the function registered under that name has made. Throws InputError when that is nothing.
template <typename T>
std::unique_ptr<T> NotNull(std::string_view what, std::string_view name, std::unique_ptr<T> made) {
  if (made != nullptr) return made;
  throw InputError(fmt::format("{} '{}': found null, expected what it makes", what, name));
}

}  // namespace foreplan
