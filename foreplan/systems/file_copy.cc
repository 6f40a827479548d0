#include "foreplan/systems/file_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

bool Holds(const fs::path& file, const std::string& bytes) {
  std::error_code error;
  return fs::is_regular_file(file, error) && fs::file_size(file, error) == bytes.size() &&
         ReadFile(file) == bytes;
}

/// The first of name, name_2, name_3, ... that is free, or holds what is to be written.
template <typename Predicate>
fs::path FirstName(const fs::path& directory, const fs::path& name, Predicate holds) {
  std::error_code error;
  fs::path numbered = name;
  for (int number = 2; fs::exists(directory / numbered, error) && !holds(directory / numbered);
       ++number) {
    numbered = fmt::format("{}_{}{}", name.stem().string(), number, name.extension().string());
  }
  return numbered;
}

}  // namespace

void WriteInFolder(const fs::path& file, const std::string& bytes) {
  if (const std::error_code error = MakeFolderDurably(file.parent_path())) {
    throw RunError(
        fmt::format("{}: cannot be made: {}", file.parent_path().string(), error.message()));
  }
  WriteFileAtomically(file, bytes);
}

fs::path WriteFolder(const fs::path& directory, const std::string& name,
                     const std::map<fs::path, std::string>& files) {
  fs::path free = FirstName(directory, name, [&](const fs::path& folder) {
    return std::ranges::all_of(
        files, [&](const auto& entry) { return Holds(folder / entry.first, entry.second); });
  });
  for (const auto& [file, bytes] : files) WriteInFolder(directory / free / file, bytes);
  return free;
}

std::string CopyOf(const fs::path& file, const fs::path& directory, const fs::path& name) {
  const fs::path target = fs::absolute(directory / "").lexically_normal().parent_path();
  const fs::path there = fs::absolute(file).lexically_normal().lexically_relative(target);
  if (!there.empty() && *there.begin() != "..") return there.string();
  const std::string bytes = ReadFile(file);
  const fs::path free =
      FirstName(target, name, [&](const fs::path& other) { return Holds(other, bytes); });
  WriteInFolder(target / free, bytes);
  return free.string();
}

}  // namespace foreplan
