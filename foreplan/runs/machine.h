// What a result depends on besides its config: the program, its libraries and the processor.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace foreplan {

/// {foreplan, git_revision, compiler, eigen, onednn, mujoco, instruction_set}; null for a library
/// this build lacks.
nlohmann::ordered_json VersionsJson();

/// The versions, the processor and the threads of a run, as machine.json holds them.
/// threads: workers of the run.
std::string MachineJson(int threads);

}  // namespace foreplan
