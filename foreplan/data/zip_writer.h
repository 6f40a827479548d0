// Zip archives of files as they are, not packed: what NPZ needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foreplan {

/// Equal files give equal bytes: no times are kept.
class ZipWriter {
 public:
  /// Names are UTF-8. Throws InputError when the archive would have more than 4 GB.
  void Add(std::string_view name, std::string_view bytes);
  /// The archive's bytes.
  [[nodiscard]] std::string Finish() &&;

 private:
  std::string archive_;
  std::string directory_;  // what stands behind the files
  uint16_t files_ = 0;
};

}  // namespace foreplan
