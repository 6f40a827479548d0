// Physical units as people write them into headers.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace foreplan {

/// `factor` times a product of powers of m, g, s, A, K and rad.
struct Unit {
  double factor = 1;
  std::array<int, 6> powers = {};

  /// Whether both measure the same quantity.
  [[nodiscard]] bool Matches(const Unit& other) const { return powers == other.powers; }
};

inline constexpr Unit kSecond = {1, {0, 0, 1, 0, 0, 0}};
inline constexpr Unit kRadian = {1, {0, 0, 0, 0, 0, 1}};

/// Products and quotients of powers of units with prefixes: "m/s", "rad s^-1", "kg*m^2/s", "us",
/// "deg", "rpm", "m/s²", "%", and "-" for none. Nothing for other text, numbers among it: what is
/// in "qpos[0]" or "force (left)" is no unit.
[[nodiscard]] std::optional<Unit> ParseUnit(std::string_view text);

}  // namespace foreplan
