#include "apps/command_text.h"

#include <string_view>

namespace foreplan::apps {
namespace {

/// As one word of a POSIX shell.
std::string Word(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=+,:@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += R"('\'')";
    } else {
      word += c;
    }
  }
  return word + '\'';
}

}  // namespace

std::string CommandText(const CLI::App& command) {
  std::string arguments;
  std::string flags;
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || name == "--json") continue;
    const bool takes_value = option->get_items_expected_max() > 0;
    for (const std::string& value : option->results()) {
      if (option->get_positional()) {
        arguments += " " + Word(value);
      } else if (!takes_value) {
        flags += " " + name;
      } else {
        flags += " " + name + (value.starts_with('-') ? "=" : " ") + Word(value);
      }
    }
  }
  return "foreplan " + command.get_name() + arguments + flags;
}

}  // namespace foreplan::apps
