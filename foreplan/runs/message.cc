#include "foreplan/runs/message.h"

#include <cstdio>

namespace foreplan {

void WriteToStderr(std::string_view text) noexcept {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
  static_cast<void>(std::fflush(stderr));
}

}  // namespace foreplan
