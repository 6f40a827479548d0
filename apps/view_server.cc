#include "apps/view_server.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan::apps {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int kMostStreams = 12;  // of the server's threads, each holds one
constexpr auto kLookEvery = std::chrono::milliseconds(200);
constexpr auto kBeatEvery = std::chrono::seconds(5);

std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Whole and positive, or none.
std::optional<int> NumberOf(const std::string& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return {};
  return number;
}

/// Answers by `make`, with the sentence of what it throws.
void Answer(httplib::Response& response, const std::function<void()>& make) {
  try {
    make();
  } catch (const Error& error) {
    SendError(response, 404, error.what());
  }
}

using Route = std::function<void(const httplib::Request&, httplib::Response&, int id)>;

/// The first group of the pattern is the number of a run.
void AddRunRoute(WebServer& server, const std::string& pattern, const Route& route) {
  server.routes().Get(pattern, [route](const auto& request, auto& response) {
    Answer(response, [&] {
      const std::string text = request.matches[1].str();
      const std::optional<int> id = NumberOf(text);
      if (!id) throw InputError(fmt::format("run {}: found no such run", text));
      route(request, response, *id);
    });
  });
}

/// What one listener is told, until it goes or the server stops.
class EventStream {
 public:
  EventStream(RunGallery& gallery, std::stop_token stop)
      : gallery_(gallery), stop_(std::move(stop)) {}

  /// Waits for the next thing to say and says it; false ends the stream.
  bool Next(httplib::DataSink& sink) {
    for (;;) {
      if (stop_.stop_requested() || !sink.is_writable()) return false;
      const std::string event = NextEvent();
      if (!event.empty()) return sink.write(event.data(), event.size());
      std::this_thread::sleep_for(kLookEvery);
    }
  }

 private:
  /// "" while there is nothing to say. The first holds all runs; a listener that comes again begins
  /// with that.
  std::string NextEvent() {
    const Json changes = gallery_.Changes(seen_);
    const bool begins = std::exchange(begins_, false);
    if (changes.is_null() && !begins && Clock::now() < next_beat_) return "";
    next_beat_ = Clock::now() + kBeatEvery;
    if (changes.is_null() && !begins) return "event: beat\ndata: {}\n\n";
    const std::string data = changes.is_null() ? R"({"runs":[],"gone":[]})" : Text(changes);
    return fmt::format("{}event: {}\ndata: {}\n\n", begins ? "retry: 500\n" : "",
                       begins ? "all" : "changed", data);
  }

  RunGallery& gallery_;
  std::stop_token stop_;
  RunGallery::Seen seen_;
  bool begins_ = true;
  Clock::time_point next_beat_;
};

void AddEventRoute(WebServer& server, RunGallery& gallery, const std::stop_token& stop) {
  auto streams = std::make_shared<std::atomic<int>>(0);
  server.routes().Get("/events", [&gallery, stop, streams](const auto&, auto& response) {
    if (++*streams > kMostStreams) {
      --*streams;
      return SendError(response, 503,
                       fmt::format("{} pages listen already, expected no more", kMostStreams));
    }
    auto stream = std::make_shared<EventStream>(gallery, stop);
    response.set_chunked_content_provider(
        "text/event-stream", [stream](size_t, auto& sink) { return stream->Next(sink); },
        [streams](bool) { --*streams; });
  });
}

}  // namespace

void AddViewRoutes(WebServer& server, RunGallery& gallery, const std::string& folder,
                   const std::stop_token& stop) {
  httplib::Server& routes = server.routes();
  const auto page = std::make_shared<const std::string>(LivePage(folder));
  routes.Get("/", [page](const auto&, auto& response) {
    Send(response, "text/html; charset=utf-8", page);
  });
  routes.Get("/runs", [&gallery](const auto&, auto& response) {
    RunGallery::Seen seen;
    const Json changes = gallery.Changes(seen);
    Send(response, "application/json", Text(changes.is_null() ? Json::array() : changes["runs"]));
  });
  AddRunRoute(server, R"(/runs/(\d{1,9}))", [&gallery](const auto&, auto& response, int id) {
    Send(response, "application/json", Text(gallery.Charts(id)));
  });
  AddRunRoute(server, R"(/runs/(\d{1,9})/report)", [&gallery](const auto&, auto& response, int id) {
    Send(response, "text/html; charset=utf-8", gallery.Report(id));
  });
  AddRunRoute(
      server, R"(/runs/(\d{1,9})/animation)",
      [&gallery](const auto& request, auto& response, int id) {
        std::optional<int> episode;
        if (request.has_param("episode")) {
          const std::string text = request.get_param_value("episode");
          episode = NumberOf(text);
          if (!episode) {
            throw InputError(fmt::format("episode: found '{}', expected a number from 1 on", text));
          }
        }
        Send(response, "application/gzip", gallery.AnimationBytes(id, episode));
      });
  AddEventRoute(server, gallery, stop);
}

}  // namespace foreplan::apps
