// From the section [system] of a task file to a System and back.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// The system with these values of some of its numbers. May be called often, by several threads.
using SystemFamily = std::function<std::unique_ptr<System>(std::span<const double> values)>;

/// Holds the options of one system.
class SystemFactory {
 public:
  virtual ~SystemFactory() = default;

  [[nodiscard]] virtual std::unique_ptr<SystemFactory> Clone() const = 0;

  /// Reads [system] and [system.reset]; what is absent keeps its value. Relative file names start
  /// at `directory`. Throws InputError.
  virtual void Read(Config& config, const std::filesystem::path& directory) = 0;

  /// Keys whose values name files, e.g. "system.model".
  [[nodiscard]] virtual std::vector<std::string> file_keys() const { return {}; }
  /// Copies the file of that key to `directory`, with all that it needs; its name from there, ""
  /// when there is none. Throws RunError when the disk refuses.
  [[nodiscard]] virtual std::string CopyFile(const std::string& /*key*/,
                                             const std::filesystem::path& /*directory*/) const {
    return "";
  }

  /// Writes the sections that Read reads. Files the system needs are copied to `directory`, where
  /// the text will stand; "": they are named by their full paths. Throws RunError when the disk
  /// refuses.
  virtual void Write(ConfigWriter& writer, const std::filesystem::path& directory) const = 0;

  /// Its texts that name constants of the task.
  [[nodiscard]] virtual std::vector<std::string> ExpressionTexts() const { return {}; }

  /// Throws InputError when the options or the files they name make no system.
  [[nodiscard]] virtual std::unique_ptr<System> Make() const = 0;

  /// Systems that differ from this one in the values of `parameters`: of a closed form, keys of
  /// [system]; of MuJoCo, fields of the model, see mujoco_parameters.h. This or the family throws
  /// InputError, which starts with `where`, for unknown parameters and values out of range.
  [[nodiscard]] virtual SystemFamily MakeFamily(
      const std::string& where, const std::vector<std::string>& parameters) const = 0;
};

/// The whole section [system]: the type, then the options of that type.
template <typename Options>
struct TypedSystemOptions {
  std::string type;
  Options options;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("type", type, "\"mujoco\" or a closed-form system");
    options.Visit(visitor);
  }
};

}  // namespace foreplan
