// foreplan view: runs as they go on, in a browser.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/error.h"

#ifdef FOREPLAN_HAVE_HTTPLIB
#include <sys/resource.h>

#include <cstdio>
#include <stop_token>

#include "apps/interrupt.h"
#include "apps/view_server.h"
#include "apps/web_server.h"
#include "foreplan/experiments/run_gallery.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#endif

namespace foreplan::apps {
namespace {

struct ViewRequest {
  std::string folder = "runs";
  std::string host = "127.0.0.1";
  int port = 0;
  bool json = false;
};

#ifdef FOREPLAN_HAVE_HTTPLIB
constexpr int kPoliteness = 10;  // below the runs that it looks at

/// At once: who started the program may wait for it.
void SayWhere(const ViewRequest& request, const WebServer& server) {
  if (request.json) {
    const nlohmann::ordered_json document = {
        {"folder", request.folder}, {"url", server.url()}, {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
  } else {
    fmt::print("{}  (Ctrl-C ends it)\n", server.url());
  }
  std::fflush(stdout);
  if (IsLoopback(request.host)) return;
  WriteToStderr(fmt::format(
      "foreplan: warning: {} is not of this machine alone: whoever has the address with its token "
      "sees these runs, and what is sent is not encrypted\n",
      request.host));
}

void View(const ViewRequest& request) {
  RunGallery gallery(request.folder);
  WebServer server({.host = request.host, .port = request.port});
  const std::stop_token stop = CatchInterrupts();
  const std::filesystem::path folder = std::filesystem::absolute(request.folder).lexically_normal();
  AddViewRoutes(server, gallery,
                (folder.has_filename() ? folder : folder.parent_path()).filename().string(), stop);
  SayWhere(request, server);
  setpriority(PRIO_PROCESS, 0, kPoliteness);  // of this thread and those that it makes
  server.Serve(stop);
}
#else
void View(const ViewRequest&) {
  throw InputError(
      "view: this program was built without cpp-httplib, expected one built with it (on Debian: "
      "libcpp-httplib-dev)");
}
#endif

}  // namespace

void AddViewCommand(CLI::App& app) {
  auto request = std::make_shared<ViewRequest>();
  CLI::App& command = *app.add_subcommand(
      "view", "runs as they go on, in a browser: returns of several, replays of their episodes");
  command
      .add_option("folder", request->folder,
                  "the folder of a run, or one with runs below it; default: runs")
      ->type_name("RUN|FOLDER");
  command.add_option("--port", request->port, "to be found at; default: a free one")
      ->check(IntegerFrom(1, 65535));
  command
      .add_option("--host", request->host,
                  "address of this machine to be found at; another than the default is open to "
                  "others, who need the token that is printed; default: 127.0.0.1")
      ->type_name("ADDRESS");
  AddJsonFlag(command, request->json);
  command.callback([request] { View(*request); });
}

}  // namespace foreplan::apps
