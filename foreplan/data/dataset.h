// The growing set of observed transitions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/data/safetensors.h"
#include "foreplan/data/transition.h"

namespace foreplan {

/// Consecutive rows of transitions that lie together: matrices, row-major, without gaps. Spans are
/// the owner's.
struct TransitionRows {
  int64_t rows = 0;
  std::span<const double> observation;       // [rows x no]
  std::span<const double> action;            // [rows x nu]
  std::span<const double> next_observation;  // [rows x no]
  std::span<const double> reward;            // [rows], NaN: not known
  std::span<const int32_t> episode;          // [rows]
  std::span<const StepEnd> end;              // [rows]
};

/// Transitions (observation, action, next observation, reward, end) in the order they happened, in
/// double. Rows lie in segments of equally many, about a megabyte each, which are allocated whole:
/// what stands in a row stays where it is for as long as the data set or a copy of it lives, and
/// adding one costs the same however many there are. A copy shares all segments but the last, so it
/// is cheap, and each of the two goes on by itself: a fit may read one while the other grows in
/// another thread. Memory: 8 (2 no + nu + 1) + 5 bytes a transition.
class Dataset {
 public:
  /// Both at least 1; throws InputError otherwise.
  Dataset(int observation_dim, int action_dim);
  Dataset(const Dataset& other);
  Dataset& operator=(const Dataset& other);
  Dataset(Dataset&&) noexcept = default;
  Dataset& operator=(Dataset&&) noexcept = default;
  ~Dataset();

  /// Throws InputError when a size differs from the dimensions; then nothing is added. The spans
  /// may be of this data set.
  void Add(const Transition& transition);
  /// The same of a step whose reward is not known, and which goes on.
  void Add(std::span<const double> observation, std::span<const double> action,
           std::span<const double> next_observation, int episode);
  /// The episode of the last row ended with it. Nothing when there is no row, or it is an end
  /// already.
  void EndEpisode(StepEnd end);
  /// All rows of others, as episodes numbered on from the last; where one just ends, it is
  /// truncated. Throws InputError for other sizes.
  void AddEpisodes(const Dataset& others);

  [[nodiscard]] int64_t size() const;
  [[nodiscard]] int observation_dim() const { return observation_dim_; }
  [[nodiscard]] int action_dim() const { return action_dim_; }
  /// Spans stay valid, also when the data set grows or is moved.
  [[nodiscard]] Transition transition(int64_t row) const;
  [[nodiscard]] std::span<const double> observation(int64_t row) const;       // [no]
  [[nodiscard]] std::span<const double> action(int64_t row) const;            // [nu]
  [[nodiscard]] std::span<const double> next_observation(int64_t row) const;  // [no]
  [[nodiscard]] int episode(int64_t row) const;
  /// The number of an episode that is to join them, from 1.
  [[nodiscard]] int next_episode() const { return size() > 0 ? episode(size() - 1) + 1 : 1; }
  [[nodiscard]] double reward(int64_t row) const;  // NaN: not known
  [[nodiscard]] StepEnd end(int64_t row) const;
  /// The row begins where the one before it ended, in the same episode. Not for row 0.
  [[nodiscard]] bool continues(int64_t row) const;

  /// Rows of a segment, the last of which may hold fewer: a power of two.
  [[nodiscard]] int64_t segment_rows() const { return int64_t{1} << shift_; }
  /// The rows from `first_row` on that lie together, up to the end of its segment; none at size().
  [[nodiscard]] TransitionRows RowsFrom(int64_t first_row) const;

  /// Rows first_row ... last_row - 1, of which there may be none, under names that start with
  /// "data.". 0 <= first_row <= last_row <= size().
  void Save(TensorFile& file, int64_t first_row, int64_t last_row) const;
  void Save(TensorFile& file) const { Save(file, 0, size()); }
  /// Replaces all rows by those of the file; of one without rewards and ends, as earlier versions
  /// wrote, they are not known. Throws InputError when names, types or shapes do not fit this data
  /// set, or a number that must be finite is not; then all rows stay as they were.
  void Restore(const TensorFile& file);
  /// Adds the rows of a file that was saved from row size() on. Throws as Restore does, and when
  /// the file begins with another row.
  void Append(const TensorFile& file);

 private:
  struct Segment;

  [[nodiscard]] const Segment& SegmentOf(int64_t row) const {
    return *segments_[static_cast<size_t>(row >> shift_)];
  }
  [[nodiscard]] int64_t PlaceOf(int64_t row) const { return row & (segment_rows() - 1); }
  [[nodiscard]] std::shared_ptr<Segment> MakeSegment() const;
  void AddRows(const TransitionRows& rows);
  void AppendChecked(const TensorFile& file);

  int observation_dim_;
  int action_dim_;
  int shift_;  // log2 of the rows of a segment
  /// Only the last is this data set's alone, and only that is written to.
  std::vector<std::shared_ptr<Segment>> segments_;
};

}  // namespace foreplan
