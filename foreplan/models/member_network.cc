#include "foreplan/models/member_network.h"

#include <utility>

#include "foreplan/core/memory.h"

namespace foreplan {

Mlp AffordableMlp(const std::string& what, int members, std::vector<int> widths,
                  const MlpOptions& options) {
  constexpr double kCopies = 12;
  Mlp mlp(std::move(widths), options);
  CheckMemory(what, kCopies * sizeof(float) * members * mlp.parameters());
  return mlp;
}

}  // namespace foreplan
