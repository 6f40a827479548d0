// foreplan check: whether a folder is whole.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/folder_check.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/runs/machine.h"

namespace foreplan::apps {
namespace {

struct CheckRequest {
  std::string path;
  bool json = false;
};

void PrintCheck(const std::string& path, const FolderCheck& check) {
  fmt::print("{}: {}, {}\n", path, check.kind, check.is_whole() ? "whole" : "not whole");
  size_t width = 0;
  for (const CheckedPart& part : check.parts) width = std::max(width, part.name.size());
  for (const CheckedPart& part : check.parts) {
    const std::string state = NameOf(part.state);
    fmt::print("  {:<{}}  {}\n", part.name, width,
               part.text.empty() ? state : fmt::format("{:<9}  {}", state, part.text));
  }
  for (const std::string& advice : check.advice) fmt::print("{}\n", advice);
}

nlohmann::ordered_json Document(const std::string& path, const FolderCheck& check) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const CheckedPart& part : check.parts) {
    parts.push_back({{"name", part.name}, {"state", NameOf(part.state)}, {"text", part.text}});
  }
  return {{"path", path},
          {"kind", check.kind},
          {"whole", check.is_whole()},
          {"parts", std::move(parts)},
          {"advice", check.advice},
          {"versions", VersionsJson()}};
}

void Check(const CheckRequest& request) {
  RegisterLearnedSystem();
  const FolderCheck check = CheckFolder(request.path);
  if (request.json) {
    fmt::print("{}\n", Document(request.path, check).dump(2));
  } else {
    PrintCheck(request.path, check);
  }
  if (check.is_whole()) return;
  throw InputError(fmt::format("{}: {} of what it should hold cannot be used", request.path,
                               Counted(check.unusable(), "part")));
}

}  // namespace

void AddCheckCommand(CLI::App& app) {
  auto request = std::make_shared<CheckRequest>();
  CLI::App& command = *app.add_subcommand(
      "check",
      "whether the folder of a run or a fit, or a file, is whole; what can be done if not");
  command
      .add_option("path", request->path,
                  "the folder of a run or a fit, a model's file, a recording, or data")
      ->required()
      ->type_name("RUN|FIT|FILE");
  AddJsonFlag(command, request->json);
  command.callback([request] { Check(*request); });
}

}  // namespace foreplan::apps
