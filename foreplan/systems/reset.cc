#include "foreplan/systems/reset.h"

#include <array>
#include <span>
#include <string>
#include <utility>

namespace foreplan {

void ResetOptions::Visit(OptionsVisitor& visitor) {
  static const std::array<std::pair<std::string, Distribution>, 2> kDistributions{
      {{"normal", Distribution::kNormal}, {"uniform", Distribution::kUniform}}};
  visitor.Choice("distribution", distribution,
                 std::span<const std::pair<std::string, Distribution>>(kDistributions),
                 "normal or uniform");
  visitor.Field("position", position, {0, 1e6},
                "standard deviation or half width of positions [m, rad]");
  visitor.Field("velocity", velocity, {0, 1e6},
                "standard deviation or half width of velocities [m/s, rad/s]");
}

double ResetOptions::Draw(double scale, Random& random) const {
  return distribution == Distribution::kNormal ? scale * random.Normal()
                                               : random.Uniform(-scale, scale);
}

}  // namespace foreplan
