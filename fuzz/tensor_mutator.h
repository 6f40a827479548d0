// Changes of files of tensors that leave them well formed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace foreplan::fuzz {

/// Other bytes in the place of these, at most so many.
using Mutate = std::function<std::string(std::string bytes, size_t most)>;

/// The file with one text of its metadata changed, or left out, or some numbers of one tensor, or
/// its shape, its name or all of it; checksums are right. "" for what is no such file.
[[nodiscard]] std::string ChangedTensors(std::string_view file, uint32_t seed,
                                         const Mutate& mutate);

}  // namespace foreplan::fuzz
