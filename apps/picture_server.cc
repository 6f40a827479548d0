#include "apps/picture_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/runs/page.h"

namespace foreplan {
namespace assets {
extern const std::string_view kEncodersLicenceHtml;
extern const std::string_view kEncodersMinJs;
extern const std::string_view kPicturesHtml;
extern const std::string_view kPicturesJs;
}  // namespace assets

namespace apps {
namespace {

constexpr size_t kLargestVideo = size_t{1} << 30;

nlohmann::ordered_json JobJson(const PictureJob& job) {
  return {{"frames", !job.frames.empty()},
          {"every", job.every},
          {"video", job.video_format},
          {"fps", job.fps},
          {"width", job.width},
          {"height", job.height}};
}

}  // namespace

PictureServer::PictureServer(WebServer& server, PictureJob job,
                             std::shared_ptr<const std::string> animation)
    : job_(std::move(job)) {
  httplib::Server& routes = server.routes();
  routes.set_payload_max_length(kLargestVideo);
  const std::string page = FillPage(
      assets::kPicturesHtml, {{"job", JsonForScript(JobJson(job_))},
                              {"encoders_licence", std::string(assets::kEncodersLicenceHtml)},
                              {"encoders", std::string(assets::kEncodersMinJs)},
                              {"pictures_script", std::string(assets::kPicturesJs)}});
  routes.Get("/", [this, page](const auto&, auto& response) {
    Change([](PictureState&) {});
    Send(response, "text/html; charset=utf-8", page);
  });
  routes.Get("/animation", [animation](const auto&, auto& response) {
    Send(response, "application/gzip", animation);
  });
  routes.Post("/frame", [this](const auto& request, auto&) { TakeFrame(request.body); });
  routes.Post("/video", [this](const auto& request, auto&) { TakeVideo(request.body); });
  routes.Post("/share", [this](const auto& request, auto&) {
    const double share = std::strtod(request.body.c_str(), nullptr);
    Change([share](PictureState& state) { state.share = std::clamp(share, 0.0, 1.0); });
  });
  routes.Post("/done", [this](const auto&, auto&) {
    Change([](PictureState& state) { state.is_done = true; });
  });
  routes.Post("/failed", [this](const auto& request, auto&) {
    Change([&](PictureState& state) {
      state.error = request.body.empty() ? "the page failed" : request.body.substr(0, 1000);
    });
  });
}

PictureState PictureServer::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void PictureServer::Change(const std::function<void(PictureState&)>& change) {
  const std::lock_guard lock(mutex_);
  ++state_.words;
  change(state_);
}

void PictureServer::TakeFrame(const std::string& png) {
  Change([&](PictureState& state) {
    if (job_.frames.empty() || !png.starts_with("\x89PNG")) return;
    try {
      WriteFileAtomically(job_.frames / fmt::format("frame_{:06}.png", state.frames), png);
      ++state.frames;
    } catch (const Error& error) {
      state.error = error.what();
    }
  });
}

void PictureServer::TakeVideo(const std::string& bytes) {
  Change([&](PictureState& state) {
    if (job_.video.empty()) return;
    try {
      WriteFileAtomically(job_.video, bytes);
      state.video_bytes = bytes.size();
    } catch (const Error& error) {
      state.error = error.what();
    }
  });
}

}  // namespace apps
}  // namespace foreplan
