// Bytes where readers of files find them.
#pragma once

#include <filesystem>
#include <string_view>

namespace foreplan::fuzz {

/// A folder of this process, removed as the process ends.
[[nodiscard]] const std::filesystem::path& OwnFolder();
/// Writes the bytes to that name in it, over what was there.
[[nodiscard]] std::filesystem::path InputFile(std::string_view name, std::string_view bytes);
/// Over what is there, and without what makes files last.
void Overwrite(const std::filesystem::path& file, std::string_view bytes);

}  // namespace foreplan::fuzz
