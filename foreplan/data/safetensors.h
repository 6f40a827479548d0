// Reads and writes the safetensors format: a JSON header and raw little-endian tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace foreplan {

struct Tensor {
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<int32_t>, std::vector<uint8_t>>
      values;  // row-major
};

/// A whole safetensors file in memory: named tensors and string metadata.
struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;

  /// Values of tensor `name` with exactly this type and shape; throws InputError naming tensor,
  /// found and expected otherwise. A shape entry of -1 accepts any size.
  [[nodiscard]] const std::vector<float>& Floats(const std::string& name,
                                                 std::span<const int64_t> shape) const;
  [[nodiscard]] const std::vector<double>& Doubles(const std::string& name,
                                                   std::span<const int64_t> shape) const;
  [[nodiscard]] const std::vector<int32_t>& Ints(const std::string& name,
                                                 std::span<const int64_t> shape) const;
  [[nodiscard]] const std::vector<uint8_t>& Bytes(const std::string& name,
                                                  std::span<const int64_t> shape) const;

  std::string source;  // file it was read from, for messages
};

/// Atomically (temporary file, fsync, rename); equal tensors give equal bytes. Throws RunError when
/// the disk refuses, or when names and metadata are more than a reader takes (100 MB); InputError
/// when a shape contradicts its values or a name is no UTF-8. What is written can be read.
void WriteTensors(const std::filesystem::path& file, const TensorFile& tensors);
/// The bytes of such a file; `name` stands in messages.
std::string SerializeTensors(const TensorFile& tensors, const std::string& name);

/// Throws InputError (file, what was found, what was expected) on anything malformed; no input
/// can make it read outside the file or allocate more than the file's size justifies.
TensorFile ReadTensors(const std::filesystem::path& file);
/// The same for bytes in memory; `source` names them in messages.
TensorFile ParseTensors(std::string_view bytes, std::string source);

}  // namespace foreplan
