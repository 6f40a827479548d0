// Handles of what a test owns itself. For tests.
#pragma once

#include <memory>

namespace foreplan::testing {

/// For functions that ask for an owner: the object must outlive what gets the handle.
template <typename Object>
std::shared_ptr<Object> Borrowed(Object& object) {
  return std::shared_ptr<Object>(std::shared_ptr<void>(), &object);
}

}  // namespace foreplan::testing
