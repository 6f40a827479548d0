// From the section [system] of a task file to a system whose options are one struct, and back.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// `MySystem` has a nested `Options` with a `ResetOptions reset` and is made from it. For
/// RegisterSystem.
template <typename MySystem>
class ClosedFormFactory final : public SystemFactory {
 public:
  [[nodiscard]] std::unique_ptr<SystemFactory> Clone() const override {
    return std::make_unique<ClosedFormFactory>(*this);
  }
  explicit ClosedFormFactory(std::string type) : type_(std::move(type)) {}

  void Read(Config& config, const std::filesystem::path&) override {
    config.Read("system", options_);
    config.Read("system.reset", options_.reset);
  }

  void Write(ConfigWriter& writer, const std::filesystem::path&) const override {
    TypedSystemOptions<typename MySystem::Options> section{type_, options_};
    writer.Write("system", section);
    writer.Write("system.reset", section.options.reset);
  }

  [[nodiscard]] std::unique_ptr<System> Make() const override {
    return std::make_unique<MySystem>(options_);
  }

  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& parameters) const override {
    return [factory = *this, where, parameters](std::span<const double> values) {
      std::string text = "[system]\n";
      for (size_t i = 0; i < parameters.size(); ++i) {
        text += fmt::format("{} = {}\n", parameters[i], values[i]);
      }
      Config changes = Config::FromString(text, where);
      ClosedFormFactory changed = factory;
      changed.Read(changes, {});
      changes.ThrowOnUnknownKeys();
      return changed.Make();
    };
  }

 private:
  std::string type_;
  typename MySystem::Options options_;
};

}  // namespace foreplan
