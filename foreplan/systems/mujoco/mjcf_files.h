// Which files make a MuJoCo model, and a copy of them.
#pragma once

#include <filesystem>
#include <set>

namespace foreplan {

/// The model and every file that it names: includes and other models with what these name, meshes,
/// textures, height fields, skins. MuJoCo's rules where each is looked for are many; here all
/// places count, beside the file that names it or the model, there and in the folders that a
/// compiler element names, so that there may be more files than the model needs. Empty where one is
/// named by an absolute path, which a copy would name as well. Throws InputError for a file that
/// cannot be read.
[[nodiscard]] std::set<std::filesystem::path> FilesOfMjcf(const std::filesystem::path& model);

/// A copy of the model in `directory`, alone as its own name, with others as they lie to each other
/// in a folder named after it; its name from there. Names get a number where others have them. What
/// lies in `directory` is named, not copied; a model of which no copy is the same model is named by
/// its full path. Throws InputError where the model cannot be read, RunError when the disk refuses.
[[nodiscard]] std::string CopyMjcf(const std::filesystem::path& model,
                                   const std::filesystem::path& directory);

}  // namespace foreplan
