// What the program says of itself, read from its parser: completion scripts and manual are written
// from it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace foreplan::apps {

enum class Paths { kNone, kDirectories, kFiles };
/// As scripts call them: none, directories, files.
const char* NameOf(Paths paths);

/// What may stand for a value.
struct ValueDescription {
  std::vector<std::string> words;
  std::vector<std::string> names;  // what `foreplan completion` prints of this build: tasks, ...
  Paths paths = Paths::kNone;
};

/// By its name in help: parts separated by '|'. Lower-case ones stand for themselves, TASK,
/// PLANNER, ALGORITHM, RUN, DIR, FILE, ... for what they are called; "..." behind one: several.
ValueDescription ValuesNamed(const std::string& type_name);

/// An option or a positional.
struct ArgumentDescription {
  std::string name;        // "--planner", "task"
  std::string short_name;  // "-h" or ""
  std::string value;       // "PLANNER"; "" of a flag
  std::string text;        // its lines
  std::vector<std::string> excludes;
  bool required = false;
  bool repeatable = false;
};

struct CommandDescription {
  std::string name;
  std::string text;
  std::vector<ArgumentDescription> positionals;
  std::vector<ArgumentDescription> options;
};

struct ProgramDescription {
  CommandDescription program;  // with the options before any command
  std::vector<CommandDescription> commands;
  std::string exit_codes;
  std::string examples;  // a command a line
  std::string version;
};

/// Without what help does not show.
ProgramDescription Described(const CLI::App& app);

/// "foreplan run [OPTIONS] [task]"
std::string UsageOf(const ProgramDescription& program, const CommandDescription& command);
/// "--planner PLANNER", "-h, --help", "task TASK"
std::string TermOf(const ArgumentDescription& argument);
/// Its text, and what it does not go with.
std::string TextOf(const ArgumentDescription& argument);

}  // namespace foreplan::apps
