// foreplan report --frames, --video: pictures of an episode, taken by the user's browser.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "foreplan/experiments/run_report.h"

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

/// Of that episode of the run, none: the newest. Throws InputError for what was asked wrongly, and
/// where there is no browser; RunError where it fails; Interrupted. The browser ends in any case.
void WritePictures(const StoredRun& run, std::optional<int> episode, double most_mb,
                   const PictureFlags& flags, bool json);

}  // namespace foreplan::apps
