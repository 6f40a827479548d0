#include "foreplan/systems/mujoco/mjcf_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/systems/file_copy.h"
#include "foreplan/systems/mujoco/mujoco.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

std::string Unescaped(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kEntities = {
      {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}}};
  for (const auto& [entity, character] : kEntities) {
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) {
      text.replace(at, entity.size(), character);
    }
  }
  return text;
}

/// What the attributes of an MJCF text name.
struct NamedPlaces {
  std::set<fs::path> files;    // file, fileright, ...
  std::set<fs::path> folders;  // meshdir, texturedir, assetdir
};

/// The word that ends where `text` does, but for blanks.
std::string_view LastWord(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  return text.substr(text.find_last_of(kBlanks) + 1);
}

NamedPlaces PlacesNamedIn(std::string_view mjcf) {
  NamedPlaces places;
  for (size_t at = 0; (at = mjcf.find('=', at)) != std::string_view::npos; ++at) {
    const std::string_view name = LastWord(mjcf.substr(0, at));
    const bool is_folder = name.ends_with("dir");
    if (!is_folder && !name.starts_with("file")) continue;
    const size_t begin = mjcf.find_first_of("\"'", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(mjcf.find(mjcf[begin], begin + 1), mjcf.size());
    const fs::path value = Unescaped(std::string(mjcf.substr(begin + 1, end - begin - 1)));
    if (!value.empty()) (is_folder ? places.folders : places.files).insert(value);
  }
  return places;
}

bool IsMjcf(const fs::path& file) {
  constexpr std::array<std::string_view, 3> kExtensions = {".xml", ".mjcf", ".urdf"};
  return std::ranges::find(kExtensions, file.extension().string()) != kExtensions.end();
}

/// The search of FilesOfMjcf.
class MjcfSearch {
 public:
  explicit MjcfSearch(const fs::path& model) { Read(fs::absolute(model).lexically_normal()); }

  [[nodiscard]] std::set<fs::path> Run() {
    size_t found = 0;
    while (found != files_.size() && !is_absolute_) {  // a file may name folders for those before
      found = files_.size();
      for (const auto& [folder, file] : std::set(named_)) Find(folder, file);
    }
    return is_absolute_ ? std::set<fs::path>() : files_;
  }

 private:
  void Read(const fs::path& file) {
    if (!files_.insert(file).second || !(files_.size() == 1 || IsMjcf(file))) return;
    const NamedPlaces places = PlacesNamedIn(ReadFile(file));
    for (const fs::path& name : places.files) named_.emplace(file.parent_path(), name);
    bases_.insert(file.parent_path());
    folders_.insert(places.folders.begin(), places.folders.end());
    const auto is_absolute = [](const fs::path& path) { return path.is_absolute(); };
    is_absolute_ = is_absolute_ || std::ranges::any_of(places.files, is_absolute) ||
                   std::ranges::any_of(places.folders, is_absolute);
  }

  void Find(const fs::path& beside, const fs::path& name) {
    std::set<fs::path> bases = bases_;
    bases.insert(beside);
    for (const fs::path& base : bases) {
      for (const fs::path& folder : folders_) {
        for (const fs::path& last : {name, name.filename()}) {  // strippath
          const fs::path file = (base / folder / last).lexically_normal();
          std::error_code error;
          if (fs::is_regular_file(file, error)) Read(file);
        }
      }
    }
  }

  std::set<fs::path> files_;
  std::set<std::pair<fs::path, fs::path>> named_;  // the folder of who names it, its name
  std::set<fs::path> bases_;
  std::set<fs::path> folders_ = {""};
  bool is_absolute_ = false;
};

fs::path CommonFolder(const std::set<fs::path>& files) {
  fs::path common = files.begin()->parent_path();
  for (const fs::path& file : files) {
    fs::path both;
    const fs::path folder = file.parent_path();
    for (auto a = common.begin(), b = folder.begin();
         a != common.end() && b != folder.end() && *a == *b; ++a, ++b) {
      both /= *a;
    }
    common = both;
  }
  return common;
}

/// Whether these files make the same model in a folder where there is nothing else.
bool MakeTheModel(const std::map<fs::path, std::string>& files, const fs::path& name,
                  const fs::path& model, const fs::path& directory) {
  // So deep that no name leads out of it to other files.
  const fs::path scratch = directory / "model_alone";
  const fs::path folder = scratch / "of" / "all" / "other" / "files";
  std::error_code error;
  bool same = false;
  try {
    for (const auto& [file, bytes] : files) WriteInFolder(folder / file, bytes);
    same = AreEqual(*LoadMujocoModel(folder / name), *LoadMujocoModel(model));
  } catch (const InputError&) {  // something is missing
  }
  fs::remove_all(scratch, error);
  return same;
}

bool IsBelow(const fs::path& file, const fs::path& directory) {
  const fs::path relative = file.lexically_relative(directory);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::set<fs::path> FilesOfMjcf(const fs::path& model) { return MjcfSearch(model).Run(); }

std::string CopyMjcf(const fs::path& model, const fs::path& directory) {
  const fs::path whole = fs::absolute(model).lexically_normal();
  const fs::path target = fs::absolute(directory / "").lexically_normal().parent_path();
  const std::map<fs::path, std::string> alone = {{whole.filename(), ReadFile(whole)}};
  if (!IsBelow(whole, target) && MakeTheModel(alone, whole.filename(), whole, target)) {
    return CopyOf(whole, target, whole.filename());
  }
  const std::set<fs::path> files = FilesOfMjcf(whole);
  if (files.empty()) return whole.string();
  if (std::ranges::all_of(files, [&](const fs::path& file) { return IsBelow(file, target); })) {
    return whole.lexically_relative(target).string();
  }
  const fs::path root = CommonFolder(files);
  std::map<fs::path, std::string> copies;
  for (const fs::path& file : files) copies[file.lexically_relative(root)] = ReadFile(file);
  const fs::path name = whole.lexically_relative(root);
  if (!MakeTheModel(copies, name, whole, target)) return whole.string();
  return (WriteFolder(target, whole.stem().string() + "_files", copies) / name).string();
}

}  // namespace foreplan
