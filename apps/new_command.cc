// foreplan new: a first task file for a robot's model.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/systems/task.h"
#ifdef FOREPLAN_HAVE_MUJOCO
#include "foreplan/systems/mujoco/mujoco_draft.h"
#endif

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct NewRequest {
  std::string model;
  std::string out;  // "": <model>.toml here
  bool force = false;
};

/// Of a task, from the name of a file: other characters become '_'.
std::string TaskName(const fs::path& file) {
  std::string name = file.stem().string();
  std::ranges::replace_if(
      name,
      [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '-' || c == '.');
      },
      '_');
  return name;
}

fs::path OutFile(const NewRequest& request) {
  fs::path out =
      request.out.empty() ? fs::path(TaskName(request.model) + ".toml") : fs::path(request.out);
  if (out.extension() != ".toml") {
    throw InputError(
        fmt::format("--out: found '{}', expected a name that ends in .toml", out.string()));
  }
  if (!request.force && fs::exists(out)) {
    throw InputError(fmt::format(
        "{}: exists already, expected a new file for --out; --force writes over it", out.string()));
  }
  return out;
}

/// How a file in `folder` names the model.
std::string ModelFrom(const fs::path& folder, const fs::path& model) {
  std::error_code error;
  const fs::path relative = fs::relative(model, folder.empty() ? "." : folder, error);
  return error || relative.empty() ? fs::absolute(model).string() : relative.string();
}

std::string Draft([[maybe_unused]] const std::string& model,
                  [[maybe_unused]] const std::string& name,
                  [[maybe_unused]] const std::string& model_from_out) {
#ifdef FOREPLAN_HAVE_MUJOCO
  return DraftMujocoTask(model, name, model_from_out);
#else
  throw InputError("new: found a build without MuJoCo, expected one that can read models");
#endif
}

void WriteNew(const NewRequest& request) {
  const fs::path out = OutFile(request);
  const fs::path folder = out.parent_path();
  const std::string text = Draft(request.model, TaskName(out), ModelFrom(folder, request.model));
  // What is written is a task.
  Config config = Config::FromString(text, out.string());
  const Task task = Task::FromConfig(config, folder);
  NoteNewFolders(out);
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  WriteFileAtomically(out, text);
  fmt::print(
      "{0}: {1} observed numbers, {2} actions, {3:.6g} s per step; next: say in it what is "
      "wanted (reward), then foreplan show {0}\n",
      out.string(), task.spec().observation_dim(), task.spec().action_dim(), task.spec().dt);
}

}  // namespace

void AddNewCommand(CLI::App& app) {
  auto request = std::make_shared<NewRequest>();
  CLI::App& command = *app.add_subcommand("new", "write a first task file for a robot's model");
  command.add_option("model", request->model, "MuJoCo model (MJCF)")
      ->required()
      ->type_name("FILE.xml");
  command.add_option("--out", request->out, "file to write; default: <model>.toml here")
      ->type_name("FILE.toml");
  command.add_flag("--force", request->force, "write over a file that exists");
  command.callback([request] { WriteNew(*request); });
}

}  // namespace foreplan::apps
