// What the numbers of a vector are.
#pragma once

#include <string>

namespace foreplan {

/// One entry of a state, observation or action vector.
struct Component {
  std::string name;
  std::string unit;  // "m", "rad", "m/s", ...; "" for none
};

}  // namespace foreplan
