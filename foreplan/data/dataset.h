// The growing set of observed transitions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "foreplan/data/safetensors.h"
#include "foreplan/data/transition.h"

namespace foreplan {

/// Transitions (observation, action, next observation, reward, end) in the order they happened, in
/// double, row-major. Growing never invalidates indices (but spans, as with std::vector).
class Dataset {
 public:
  /// Both at least 1; throws InputError otherwise.
  Dataset(int observation_dim, int action_dim);

  /// Throws InputError when a size differs from the dimensions. The spans must not point into this
  /// data set, whose memory moves when it grows.
  void Add(const Transition& transition);
  /// The same of a step whose reward is not known, and which goes on.
  void Add(std::span<const double> observation, std::span<const double> action,
           std::span<const double> next_observation, int episode);
  /// The episode of the last row ended with it. Nothing when there is no row, or it is an end
  /// already.
  void EndEpisode(StepEnd end);

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(episode_.size()); }
  [[nodiscard]] int observation_dim() const { return observation_dim_; }
  [[nodiscard]] int action_dim() const { return action_dim_; }
  /// Spans are valid until the data set grows.
  [[nodiscard]] Transition transition(int64_t row) const;
  [[nodiscard]] std::span<const double> observation(int64_t row) const;       // [no]
  [[nodiscard]] std::span<const double> action(int64_t row) const;            // [nu]
  [[nodiscard]] std::span<const double> next_observation(int64_t row) const;  // [no]
  [[nodiscard]] int episode(int64_t row) const { return episode_[static_cast<size_t>(row)]; }
  /// NaN: not known.
  [[nodiscard]] double reward(int64_t row) const { return rewards_[static_cast<size_t>(row)]; }
  [[nodiscard]] StepEnd end(int64_t row) const { return ends_[static_cast<size_t>(row)]; }
  /// The row begins where the one before it ended, in the same episode. Not for row 0.
  [[nodiscard]] bool continues(int64_t row) const;

  /// The rows from `first_row` on, 0 <= first_row <= size(), under names that start with "data.".
  void Save(TensorFile& file, int64_t first_row = 0) const;
  /// Replaces all rows by those of the file; of one without rewards and ends, as earlier versions
  /// wrote, they are not known. Throws InputError when names, types or shapes do not fit this data
  /// set, or a number that must be finite is not; then all rows stay as they were.
  void Restore(const TensorFile& file);
  /// Adds the rows of a file that was saved from row size() on. Throws as Restore does, and when
  /// the file begins with another row.
  void Append(const TensorFile& file);

 private:
  [[nodiscard]] Dataset Saved(const TensorFile& file) const;

  int observation_dim_;
  int action_dim_;
  std::vector<double> observations_;       // [size x no]
  std::vector<double> actions_;            // [size x nu]
  std::vector<double> next_observations_;  // [size x no]
  std::vector<int32_t> episode_;           // [size]
  std::vector<double> rewards_;            // [size], NaN: not known
  std::vector<StepEnd> ends_;              // [size]
};

}  // namespace foreplan
