// Logs as tests write and compare them.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/recording.h"

namespace foreplan {

/// "o | u | o' | episode" of every row.
inline std::vector<std::string> LogRowsOf(const Dataset& data) {
  std::vector<std::string> rows;
  for (int64_t row = 0; row < data.size(); ++row) {
    rows.push_back(fmt::format("{} | {} | {} | {}", fmt::join(data.observation(row), " "),
                               fmt::join(data.action(row), " "),
                               fmt::join(data.next_observation(row), " "), data.episode(row)));
  }
  return rows;
}

/// A table with that text, which is gone afterwards.
inline Recording ReadLogText(std::string_view text, const LogOptions& options = {},
                             const RecordingColumns& columns = {}) {
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / fmt::format("log_{}.csv", getpid());
  std::ofstream(file, std::ios::binary) << text;
  try {
    Recording recording = ReadRecording(file, columns, options);
    std::filesystem::remove(file);
    return recording;
  } catch (...) {
    std::filesystem::remove(file);
    throw;
  }
}

/// The message of the InputError that reading it ends in; "" where it is read.
inline std::string LogTextRefusal(std::string_view text, const LogOptions& options = {},
                                  const RecordingColumns& columns = {}) {
  try {
    ReadLogText(text, options, columns);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace foreplan
