// Where episodes start: noise around a system's rest position.
#pragma once

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"

namespace foreplan {

struct ResetOptions {
  enum class Distribution { kNormal, kUniform };

  Distribution distribution = Distribution::kNormal;
  // Standard deviation (normal) or half width (uniform) of every position [m, rad] and velocity
  // [m/s, rad/s].
  double position = 0.1;  // 0 ...
  double velocity = 0.1;  // 0 ...

  void Visit(OptionsVisitor& visitor);

  /// One number of N(0, scale^2) or of U[-scale, scale).
  [[nodiscard]] double Draw(double scale, Random& random) const;
};

}  // namespace foreplan
