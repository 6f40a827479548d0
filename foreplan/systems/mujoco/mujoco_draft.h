// A first task file for a model, to be changed.
#pragma once

#include <filesystem>
#include <string>

namespace foreplan {

/// Text of a task file for an MJCF model, with comments: the model's parts by name, its bounds and
/// starts, and for what only the user knows something that runs at once. `name` is the task's,
/// `model` how the text names the file. Throws InputError for a model that cannot be compiled, and
/// for one without actuators.
std::string DraftMujocoTask(const std::filesystem::path& file, const std::string& name,
                            const std::string& model);

}  // namespace foreplan
