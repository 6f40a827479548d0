// What systems there are, by the name that `system.type` has in task files.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// The simulator, which a build may have or not.
inline constexpr const char* kMujocoType = "mujoco";

using SystemFactoryMaker = std::function<std::unique_ptr<SystemFactory>(const std::string& type)>;

/// From now on task files may name that type. `make`: for a closed form
///   [](const std::string& type) { return std::make_unique<ClosedFormFactory<MySystem>>(type); }
/// Throws InputError where the name is taken.
void RegisterSystem(const std::string& type, SystemFactoryMaker make);

/// Throws InputError, which starts with `where`, for an unknown type (with the nearest) and for one
/// that this build has not.
std::unique_ptr<SystemFactory> MakeSystemFactory(std::string_view where, const std::string& type);
/// Of this library and of programs; "mujoco" is one also where this build has none.
std::vector<std::string> SystemTypes();
/// Those of this library that need no simulator.
std::vector<std::string> ClosedFormNames();

}  // namespace foreplan
