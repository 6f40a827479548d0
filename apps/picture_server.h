// A page that takes pictures of an episode and hands them to the program.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "apps/web_server.h"

namespace foreplan::apps {

/// What is asked of the page.
struct PictureJob {
  std::filesystem::path frames;  // folder; "": no frames
  int every = 1;                 // frames of the episode
  std::filesystem::path video;   // file; "": no video
  std::string video_format;      // "gif" or "webm"
  int fps = 25;
  int width = 800;
  int height = 600;
};

/// What the page has sent by now.
struct PictureState {
  int64_t words = 0;  // that it has sent: who stops to, hangs
  double share = 0;   // of the work, 0 to 1
  int frames = 0;     // written
  size_t video_bytes = 0;
  bool is_done = false;
  std::string error;  // what the page could not do
};

/// Answers / with the page, /animation with the bytes, and writes what is posted. Must outlive the
/// server's work.
class PictureServer {
 public:
  PictureServer(WebServer& server, PictureJob job, std::shared_ptr<const std::string> animation);
  [[nodiscard]] PictureState state() const;

 private:
  void Change(const std::function<void(PictureState&)>& change);
  void TakeFrame(const std::string& png);
  void TakeVideo(const std::string& bytes);

  PictureJob job_;
  mutable std::mutex mutex_;
  PictureState state_;
};

}  // namespace foreplan::apps
