#include "foreplan/data/base64.h"

#include <cstdint>

namespace foreplan {

std::string Base64Of(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t k = 0; k < 3; ++k) {
      const bool is_there = i + k < bytes.size();
      three = (three << 8) | (is_there ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kLetters[(three >> (18 - 6 * k)) & 63];
    }
  }
  return text;
}

}  // namespace foreplan
