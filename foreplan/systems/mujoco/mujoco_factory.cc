// MuJoCo systems from task files.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/systems/mujoco/mujoco_observation.h"
#include "foreplan/systems/mujoco/mujoco_parameters.h"
#include "foreplan/systems/mujoco/mujoco_system.h"

namespace foreplan {
namespace {

/// True when a copy of the file alone, in a new folder below `directory`, compiles to the same
/// model. One that names other files (includes, meshes, textures, ...) does not.
bool StandsAlone(const std::filesystem::path& model, const std::string& mjcf,
                 const std::filesystem::path& directory) {
  const std::filesystem::path folder = directory / "model_alone";
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  WriteFileAtomically(folder / model.filename(), mjcf);
  bool alone = false;
  try {
    const MujocoModel copy = LoadMujocoModel(folder / model.filename());
    alone = AreEqual(*copy, *LoadMujocoModel(model));
  } catch (const InputError&) {  // something is missing
  }
  std::filesystem::remove_all(folder, error);
  return alone;
}

/// Keys of earlier versions say what stands in their place.
void RefuseOldKeys(const Config& config) {
  const std::vector<std::string> keys = config.Keys("system");
  if (std::ranges::find(keys, "observe_new_positions") == keys.end()) return;
  throw InputError(
      fmt::format("{}: found a key of an earlier version, expected observe_at = \"new_state\" in "
                  "the place of true, observe_at = \"last_evaluation\" in that of false",
                  config.Where("system", "observe_new_positions")));
}

class MujocoFactory final : public SystemFactory {
 public:
  [[nodiscard]] std::unique_ptr<SystemFactory> Clone() const override {
    return std::make_unique<MujocoFactory>(*this);
  }

  void Read(Config& config, const std::filesystem::path& directory) override {
    // Found already, where conditions change options.
    const std::string model_before = options_.model;
    const std::string states_before = options_.reset.states;
    RefuseOldKeys(config);
    config.Read("system", options_);
    config.Read("system.reset", options_.reset);
    options_.observation_where = config.Where("system", "observation");
    ParseObservation(options_.observation_where, options_.observation);
    // Texts of conditions have none.
    if (!config.Keys("constants").empty()) {
      options_.constants = ExpressionDefinitions::Read(config).constants;
    }
    ParseResetDraws(config.name() + ": system.reset.draw", options_.reset.draw);
    CheckMujocoTexts(options_, config.name());
    if (options_.model.empty()) {
      throw InputError(
          fmt::format("{}: found no key 'system.model', expected an MJCF file", config.name()));
    }
    const auto find = [&](std::string& file, const std::string& before) {
      if (!file.empty() && file != before) file = (directory / file).lexically_normal().string();
    };
    find(options_.model, model_before);
    find(options_.reset.states, states_before);
  }

  void Write(ConfigWriter& writer, const std::filesystem::path& directory) const override {
    TypedSystemOptions<MujocoOptions> section{"mujoco", options_};
    section.options.model = CopyModel(directory);
    if (std::string& states = section.options.reset.states; !states.empty()) {
      const std::filesystem::path file = states;
      if (directory.empty()) {
        states = std::filesystem::absolute(file).string();
      } else {
        states = "start_states.csv";
        WriteFileAtomically(directory / states, ReadFile(file));
      }
    }
    writer.Write("system", section);
    writer.Write("system.reset", section.options.reset);
  }

  [[nodiscard]] std::vector<std::string> ExpressionTexts() const override {
    return options_.observation;
  }

  [[nodiscard]] std::unique_ptr<System> Make() const override {
    return std::make_unique<MujocoSystem>(options_);
  }

  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& names) const override {
    const MujocoModel model = CompiledModel(options_);
    std::vector<MujocoParameter> parameters;
    for (const std::string& name : names) parameters.emplace_back(where, name, *model);
    return [options = options_, model, parameters](std::span<const double> values) {
      const std::shared_ptr<mjModel> changed = CopyMujocoModel(*model);
      for (size_t i = 0; i < parameters.size(); ++i) parameters[i].Set(values[i], *changed);
      SetMujocoConstants(*changed);
      return std::make_unique<MujocoSystem>(options, changed);
    };
  }

 private:
  /// Copies the model and returns its name relative to `directory`; a model in several files stays
  /// where it is.
  [[nodiscard]] std::string CopyModel(const std::filesystem::path& directory) const {
    const std::filesystem::path model = options_.model;
    if (directory.empty()) return std::filesystem::absolute(model).string();
    const std::string mjcf = ReadFile(model);
    if (!StandsAlone(model, mjcf, directory)) return std::filesystem::absolute(model).string();
    WriteFileAtomically(directory / model.filename(), mjcf);
    return model.filename().string();
  }

  MujocoOptions options_;
};

}  // namespace

std::unique_ptr<SystemFactory> MakeMujocoFactory() { return std::make_unique<MujocoFactory>(); }

}  // namespace foreplan
