// MuJoCo systems from task files.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/file_copy.h"
#include "foreplan/systems/mujoco/mjcf_files.h"
#include "foreplan/systems/mujoco/mujoco_observation.h"
#include "foreplan/systems/mujoco/mujoco_parameters.h"
#include "foreplan/systems/mujoco/mujoco_system.h"

namespace foreplan {
namespace {

constexpr const char* kModelKey = "system.model";
constexpr const char* kStatesKey = "system.reset.states";

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

  [[nodiscard]] std::vector<std::string> file_keys() const override {
    return {kModelKey, kStatesKey};
  }

  [[nodiscard]] std::string CopyFile(const std::string& key,
                                     const std::filesystem::path& directory) const override {
    const std::string& file = key == kModelKey ? options_.model : options_.reset.states;
    if (file.empty()) return "";
    if (directory.empty()) return std::filesystem::absolute(file).string();
    return key == kModelKey ? CopyMjcf(file, directory)
                            : CopyOf(file, directory, "start_states.csv");
  }

  void Write(ConfigWriter& writer, const std::filesystem::path& directory) const override {
    TypedSystemOptions<MujocoOptions> section{"mujoco", options_};
    section.options.model = CopyFile(kModelKey, directory);
    section.options.reset.states = CopyFile(kStatesKey, directory);
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
  MujocoOptions options_;
};

}  // namespace

std::unique_ptr<SystemFactory> MakeMujocoFactory() { return std::make_unique<MujocoFactory>(); }

}  // namespace foreplan
