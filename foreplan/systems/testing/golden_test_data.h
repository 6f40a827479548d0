// Reads testdata/ for tests; the format is described in testdata/README.md.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/testing/source_dir.h"

namespace foreplan {

/// Throws nlohmann::json::exception when the file is missing or malformed.
inline nlohmann::json ReadTestData(const std::string& file) {
  std::ifstream stream(FOREPLAN_SOURCE_DIR "/testdata/" + file);
  return nlohmann::json::parse(stream);
}

/// A recorded trajectory.
class GoldenTrajectory {
 public:
  explicit GoldenTrajectory(const std::string& name)
      : data_(ReadTestData("trajectories/" + name + ".json")), steps_(data_.at("steps")) {}

  [[nodiscard]] int steps() const { return steps_; }
  [[nodiscard]] bool Has(const std::string& key) const { return data_.contains(key); }
  [[nodiscard]] bool HasInitial(const std::string& key) const {
    return data_.at("initial").contains(key);
  }
  [[nodiscard]] std::vector<double> Initial(const std::string& key) const {
    return data_.at("initial").at(key).get<std::vector<double>>();
  }
  /// Row of `key` after step `step`.
  [[nodiscard]] std::vector<double> Row(const std::string& key, int step) const {
    const auto& values = data_.at(key);
    const size_t width = values.size() / static_cast<size_t>(steps_);
    std::vector<double> row(width);
    for (size_t i = 0; i < width; ++i) row[i] = values[static_cast<size_t>(step) * width + i];
    return row;
  }

 private:
  nlohmann::json data_;
  int steps_;
};

inline std::vector<double> Join(std::vector<double> first, const std::vector<double>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// Largest |a - b| / (1 + |b|); NaN when an entry is NaN.
inline double RelativeError(std::span<const double> found, std::span<const double> expected) {
  EXPECT_EQ(found.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const double error = std::abs(found[i] - expected[i]) / (1 + std::abs(expected[i]));
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

}  // namespace foreplan
