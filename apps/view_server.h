// What `foreplan view` answers: a page that follows runs, and their data.
#pragma once

#include <stop_token>
#include <string>

#include "apps/web_server.h"
#include "foreplan/experiments/run_gallery.h"

namespace foreplan::apps {

/// Answers /, /runs, /runs/ID, /runs/ID/animation (?episode=N), /runs/ID/report and /events, a
/// stream of what has changed; both must outlive the server's work. `folder`: its name on the page.
void AddViewRoutes(WebServer& server, RunGallery& gallery, const std::string& folder,
                   const std::stop_token& stop);

}  // namespace foreplan::apps
