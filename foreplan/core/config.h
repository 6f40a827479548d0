// Configuration: TOML text with sections, overridden key by key, where an unknown key is an error.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/option_description.h"
#include "foreplan/core/options.h"

namespace foreplan {

/// A tree of TOML values that remembers where each came from (file and line, or "--set").
/// Reading a section marks its keys as known; `ThrowOnUnknownKeys` reports the rest.
class Config {
 public:
  Config();
  ~Config();
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;

  /// Throws InputError (file, line, column) when the file is missing, unreadable or no TOML.
  static Config FromFile(const std::filesystem::path& file);
  static Config FromString(std::string_view text, std::string_view name);

  /// "icem.horizon=30": the value is TOML; what begins like no TOML value, as a word or an
  /// expression, counts as a string. Throws InputError.
  void Set(std::string_view assignment);

  /// True when the section (dotted path, "" is the root) holds at least one value.
  [[nodiscard]] bool Has(std::string_view section) const;

  /// Keys of the values in a section, in the order in which they were written; for sections whose
  /// keys are the user's.
  [[nodiscard]] std::vector<std::string> Keys(std::string_view section) const;
  /// True for a value that is an array.
  [[nodiscard]] bool IsArray(std::string_view section, std::string_view key) const;
  /// "x.toml:12:1: section.key", for messages about a value; the name of the configuration and the
  /// key when there is none.
  [[nodiscard]] std::string Where(std::string_view section, std::string_view key) const;

  /// Which layer says the value: 0 for none, 1 for the file, then the assignments in their order.
  [[nodiscard]] size_t Layer(std::string_view section, std::string_view key) const;

  /// Control period [s] of the task that was read from here, by which times become steps; 0 before.
  [[nodiscard]] double dt() const;
  void set_dt(double dt);

  /// All values of a section ("": of all) and of those below it, as Set takes them:
  /// "model.width=128".
  [[nodiscard]] std::vector<std::string> Assignments(std::string_view section) const;

  /// Fills `options` from the section; what is absent keeps its value. Throws InputError naming
  /// file, line, key, found and expected on a wrong type, a value out of range or a wrong choice.
  void Read(std::string_view section, OptionsRef options);

  /// Throws InputError for the first key that no Read asked for, with the nearest known name.
  void ThrowOnUnknownKeys() const;

  /// Where messages about this configuration should point, e.g. the file name.
  [[nodiscard]] const std::string& name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The options of a section, absent ones as they are by default.
template <typename Options>
Options ReadOptions(Config& config, std::string_view section) {
  Options options;
  config.Read(section, options);
  return options;
}

/// Collects sections of options into TOML text, each field with its help as a comment.
class ConfigWriter {
 public:
  /// "" writes top-level keys; call it first. Throws InputError for strings that are no UTF-8.
  void Write(std::string_view section, OptionsRef options);
  /// From now on this key is not written: another says what it would.
  void LeaveOut(std::string_view section, std::string_view key);
  [[nodiscard]] bool Has(std::string_view section) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  /// Of every value that is written, in the same order.
  [[nodiscard]] const std::vector<OptionDescription>& options() const { return options_; }

 private:
  std::string text_;
  std::vector<OptionDescription> options_;
  std::set<std::string, std::less<>> sections_;  // written
  std::set<std::string, std::less<>> left_out_;  // paths
};

}  // namespace foreplan
