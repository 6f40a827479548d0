// foreplan report --frames, --video: pictures of an episode, taken by the user's browser.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace foreplan::apps {

struct PictureFlags {
  std::string frames;  // folder; "": none are asked for
  std::string video;   // file; "": none is asked for
  std::string size = "800x600";
  int every = 1;
  int fps = 25;
  [[nodiscard]] bool are_wanted() const { return !frames.empty() || !video.empty(); }
};

void AddPictureFlags(CLI::App& command, PictureFlags& flags);

/// `source` and `episode`: see AnimationOf. Throws InputError for what was asked wrongly, and
/// where there is no browser; RunError where it fails; Interrupted. The browser ends in any case.
void WritePictures(const std::string& source, std::optional<int> episode, double most_mb,
                   const PictureFlags& flags, bool json);

}  // namespace foreplan::apps
