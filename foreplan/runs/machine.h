// What a result depends on besides its config: the program, its libraries and the processor.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace foreplan {

/// {foreplan, git_revision, compiler, eigen, onednn, mujoco, hdf5, npz, instruction_set}; null for
/// a library that this build lacks; hdf5, npz: whether it reads such files.
nlohmann::ordered_json VersionsJson();

/// The versions, the processor and the threads of a run, as machine.json holds them.
/// threads: workers of the run.
std::string MachineJson(int threads);

/// What bits depend on, in a line each: "program", "processor", "libraries".
std::map<std::string, std::string> MachineProvenance();

}  // namespace foreplan
