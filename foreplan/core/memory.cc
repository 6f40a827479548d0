#include "foreplan/core/memory.h"

#include <fmt/format.h>

#include <fstream>
#include <limits>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

double AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    double kibibytes = 0;
    if (word == "MemAvailable:" && file >> kibibytes) return 1024 * kibibytes;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

void CheckMemory(const std::string& what, double bytes) {
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  const double available = AvailableMemory();
  if (bytes <= available) return;
  throw InputError(
      fmt::format("{}: found a need of {:.1f} GiB of memory, expected at most the {:.1f} GiB that "
                  "are available",
                  what, bytes / kGibibyte, available / kGibibyte));
}

}  // namespace foreplan
