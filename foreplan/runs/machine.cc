#include "foreplan/runs/machine.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "foreplan/core/processor.h"

#ifdef FOREPLAN_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif
#ifdef FOREPLAN_HAVE_MUJOCO
#include <mujoco/mujoco.h>
#endif

#ifndef FOREPLAN_GIT_REVISION
#define FOREPLAN_GIT_REVISION "unknown"
#endif

namespace foreplan {
namespace {

std::string CompilerName() {
#if defined(__clang__)
  return fmt::format("clang {}", __clang_version__);
#else
  return fmt::format("g++ {}", __VERSION__);
#endif
}

nlohmann::ordered_json OneDnnVersion() {
#ifdef FOREPLAN_HAVE_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
#else
  return nullptr;
#endif
}

nlohmann::ordered_json MujocoVersion() {
#ifdef FOREPLAN_HAVE_MUJOCO
  return mj_versionString();
#else
  return nullptr;
#endif
}

#ifdef FOREPLAN_HAVE_HDF5
constexpr bool kReadsHdf5 = true;
#else
constexpr bool kReadsHdf5 = false;
#endif
#ifdef FOREPLAN_HAVE_LIBZIP
constexpr bool kReadsNpz = true;
#else
constexpr bool kReadsNpz = false;
#endif

std::string ProcessorModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

nlohmann::ordered_json VersionsJson() {
  return {{"foreplan", FOREPLAN_VERSION},
          {"git_revision", FOREPLAN_GIT_REVISION},
          {"compiler", CompilerName()},
          {"eigen",
           fmt::format("{}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"onednn", OneDnnVersion()},
          {"mujoco", MujocoVersion()},
          {"hdf5", kReadsHdf5},
          {"npz", kReadsNpz},
          {"instruction_set", InstructionSet()}};
}

std::string MachineJson(int threads) {
  const nlohmann::ordered_json machine = {
      {"versions", VersionsJson()},
      {"processor", ProcessorModel()},
      {"cores", std::max(1U, std::thread::hardware_concurrency())},
      {"threads", threads}};
  return machine.dump(2) + "\n";
}

std::map<std::string, std::string> MachineProvenance() {
  const nlohmann::ordered_json versions = VersionsJson();
  const auto text = [&](const char* key) {
    return versions[key].is_null() ? std::string("none") : versions[key].get<std::string>();
  };
  return {{"program", fmt::format("foreplan {}, revision {}, {}", text("foreplan"),
                                  text("git_revision"), text("compiler"))},
          {"processor", fmt::format("{}, {}", ProcessorModel(), text("instruction_set"))},
          {"libraries", fmt::format("eigen {}, onednn {}, mujoco {}", text("eigen"), text("onednn"),
                                    text("mujoco"))}};
}

}  // namespace foreplan
