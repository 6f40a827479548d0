#include "foreplan/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

void CheckSize(std::string_view what, size_t found, int expected) {
  if (found == static_cast<size_t>(expected)) return;
  throw InputError(
      fmt::format("dataset: found {} of {} values, expected {}", what, found, expected));
}

void CheckFinite(const std::string& source, const char* tensor, std::span<const double> values,
                 int columns) {
  const auto bad = std::ranges::find_if_not(values, [](double x) { return std::isfinite(x); });
  if (bad == values.end()) return;
  const auto place = bad - values.begin();
  throw InputError(fmt::format("{}: {}: row {}, column {}: found {}, expected a finite number",
                               source, tensor, place / columns, place % columns, *bad));
}

/// Rows of a segment: as many as a megabyte holds, as a power of two.
int SegmentShift(int observation_dim, int action_dim) {
  constexpr int64_t kSegmentBytes = int64_t{1} << 20;
  const int64_t row_bytes = 8 * (2 * int64_t{observation_dim} + action_dim + 1) + 5;
  const auto rows = static_cast<uint64_t>(std::max<int64_t>(1, kSegmentBytes / row_bytes));
  return std::bit_width(rows) - 1;
}

/// Rows [first, first + count) of a matrix.
template <typename T>
std::span<const T> Rows(const std::unique_ptr<T[]>& matrix, int64_t first, int64_t count,
                        int columns) {
  return {matrix.get() + first * columns, static_cast<size_t>(count * columns)};
}

constexpr const char* kFirstRow = "data.first_row";
constexpr const char* kReward = "data.reward";
constexpr const char* kEnd = "data.end";

/// Ends of a file, which holds their numbers.
std::vector<StepEnd> Ends(const TensorFile& file, std::span<const int64_t> shape) {
  std::vector<StepEnd> ends;
  for (const int32_t number : file.Ints(kEnd, shape)) {
    if (number < 0 || number > static_cast<int32_t>(StepEnd::kTruncated)) {
      throw InputError(fmt::format(
          "{}: {}: row {}: found {}, expected 0 (goes on), 1 (terminated) or 2 (truncated)",
          file.source, kEnd, ends.size(), number));
    }
    ends.push_back(static_cast<StepEnd>(number));
  }
  return ends;
}

}  // namespace

/// Room for segment_rows() rows, of which the first `size` are there.
struct Dataset::Segment {
  int64_t size = 0;
  std::unique_ptr<double[]> observation;       // [rows x no]
  std::unique_ptr<double[]> action;            // [rows x nu]
  std::unique_ptr<double[]> next_observation;  // [rows x no]
  std::unique_ptr<double[]> reward;            // [rows], NaN: not known
  std::unique_ptr<int32_t[]> episode;          // [rows]
  std::unique_ptr<StepEnd[]> end;              // [rows]
};

Dataset::Dataset(int observation_dim, int action_dim)
    : observation_dim_(observation_dim), action_dim_(action_dim) {
  if (observation_dim < 1 || action_dim < 1) {
    throw InputError(fmt::format("dataset: found {} observations and {} actions, expected some",
                                 observation_dim, action_dim));
  }
  shift_ = SegmentShift(observation_dim, action_dim);
}

Dataset::Dataset(const Dataset& other)
    : observation_dim_(other.observation_dim_),
      action_dim_(other.action_dim_),
      shift_(other.shift_),
      segments_(other.segments_) {
  if (segments_.empty()) return;
  segments_.pop_back();
  AddRows(other.RowsFrom(static_cast<int64_t>(segments_.size()) << shift_));
}

Dataset& Dataset::operator=(const Dataset& other) { return *this = Dataset(other); }

Dataset::~Dataset() = default;

void Dataset::Add(const Transition& transition) {
  const auto& [observation, action, next_observation, episode, reward, end] = transition;
  CheckSize("observation", observation.size(), observation_dim_);
  CheckSize("action", action.size(), action_dim_);
  CheckSize("next observation", next_observation.size(), observation_dim_);
  const int32_t number = episode;
  AddRows({1, observation, action, next_observation, {&reward, 1}, {&number, 1}, {&end, 1}});
}

void Dataset::Add(std::span<const double> observation, std::span<const double> action,
                  std::span<const double> next_observation, int episode) {
  Add({.observation = observation,
       .action = action,
       .next_observation = next_observation,
       .episode = episode});
}

void Dataset::AddRows(const TransitionRows& rows) {
  for (int64_t done = 0; done < rows.rows;) {
    if (PlaceOf(size()) == 0) segments_.push_back(MakeSegment());
    Segment& segment = *segments_.back();
    const int64_t count = std::min(rows.rows - done, segment_rows() - segment.size);
    const auto copy = [&](const auto& from, auto& to, int columns) {
      std::copy_n(from.data() + done * columns, count * columns, &to[segment.size * columns]);
    };
    copy(rows.observation, segment.observation, observation_dim_);
    copy(rows.action, segment.action, action_dim_);
    copy(rows.next_observation, segment.next_observation, observation_dim_);
    copy(rows.reward, segment.reward, 1);
    copy(rows.episode, segment.episode, 1);
    copy(rows.end, segment.end, 1);
    segment.size += count;
    done += count;
  }
}

// Pages that no row has reached yet are no memory yet.
std::shared_ptr<Dataset::Segment> Dataset::MakeSegment() const {
  const auto rows = static_cast<size_t>(segment_rows());
  const auto no = static_cast<size_t>(observation_dim_);
  const auto nu = static_cast<size_t>(action_dim_);
  auto segment = std::make_shared<Segment>();
  segment->observation = std::make_unique_for_overwrite<double[]>(rows * no);
  segment->action = std::make_unique_for_overwrite<double[]>(rows * nu);
  segment->next_observation = std::make_unique_for_overwrite<double[]>(rows * no);
  segment->reward = std::make_unique_for_overwrite<double[]>(rows);
  segment->episode = std::make_unique_for_overwrite<int32_t[]>(rows);
  segment->end = std::make_unique_for_overwrite<StepEnd[]>(rows);
  return segment;
}

void Dataset::EndEpisode(StepEnd end) {
  if (segments_.empty()) return;
  const Segment& last = *segments_.back();
  StepEnd& last_end = last.end[static_cast<size_t>(last.size - 1)];
  if (last_end == StepEnd::kContinues) last_end = end;
}

void Dataset::AddEpisodes(const Dataset& others) {
  if (others.observation_dim() != observation_dim_ || others.action_dim() != action_dim_) {
    throw InputError(fmt::format(
        "data: found others with {} observed numbers and {} actions, expected {} and {}",
        others.observation_dim(), others.action_dim(), observation_dim_, action_dim_));
  }
  EndEpisode(StepEnd::kTruncated);
  for (int64_t row = 0, rows = others.size(); row < rows; ++row) {
    Transition transition = others.transition(row);
    const bool begins = row == 0 || others.episode(row - 1) != transition.episode;
    transition.episode = begins ? next_episode() : next_episode() - 1;
    const bool cut = row + 1 == rows || others.episode(row + 1) != others.episode(row);
    if (cut && transition.end == StepEnd::kContinues) transition.end = StepEnd::kTruncated;
    Add(transition);
  }
}

int64_t Dataset::size() const {
  if (segments_.empty()) return 0;
  return ((std::ssize(segments_) - 1) << shift_) + segments_.back()->size;
}

Transition Dataset::transition(int64_t row) const {
  return {.observation = observation(row),
          .action = action(row),
          .next_observation = next_observation(row),
          .episode = episode(row),
          .reward = reward(row),
          .end = end(row)};
}

std::span<const double> Dataset::observation(int64_t row) const {
  return Rows(SegmentOf(row).observation, PlaceOf(row), 1, observation_dim_);
}

std::span<const double> Dataset::action(int64_t row) const {
  return Rows(SegmentOf(row).action, PlaceOf(row), 1, action_dim_);
}

std::span<const double> Dataset::next_observation(int64_t row) const {
  return Rows(SegmentOf(row).next_observation, PlaceOf(row), 1, observation_dim_);
}

int Dataset::episode(int64_t row) const {
  return SegmentOf(row).episode[static_cast<size_t>(PlaceOf(row))];
}

double Dataset::reward(int64_t row) const {
  return SegmentOf(row).reward[static_cast<size_t>(PlaceOf(row))];
}

StepEnd Dataset::end(int64_t row) const {
  return SegmentOf(row).end[static_cast<size_t>(PlaceOf(row))];
}

bool Dataset::continues(int64_t row) const {
  return episode(row) == episode(row - 1) &&
         std::ranges::equal(observation(row), next_observation(row - 1));
}

TransitionRows Dataset::RowsFrom(int64_t first_row) const {
  if (first_row >= size()) return {};
  const Segment& segment = SegmentOf(first_row);
  const int64_t first = PlaceOf(first_row);
  const int64_t count = segment.size - first;
  return {.rows = count,
          .observation = Rows(segment.observation, first, count, observation_dim_),
          .action = Rows(segment.action, first, count, action_dim_),
          .next_observation = Rows(segment.next_observation, first, count, observation_dim_),
          .reward = Rows(segment.reward, first, count, 1),
          .episode = Rows(segment.episode, first, count, 1),
          .end = Rows(segment.end, first, count, 1)};
}

void Dataset::Restore(const TensorFile& file) {
  Dataset restored(observation_dim_, action_dim_);
  restored.AppendChecked(file);
  *this = std::move(restored);
}

void Dataset::Append(const TensorFile& file) {
  const auto found = file.metadata.find(kFirstRow);
  const std::string first = found == file.metadata.end() ? "nothing" : found->second;
  if (first != fmt::format("{}", size())) {
    throw InputError(fmt::format("{}: metadata '{}': found {}, expected {}, the rows before it",
                                 file.source, kFirstRow, first.substr(0, 20), size()));
  }
  AppendChecked(file);
}

void Dataset::AppendChecked(const TensorFile& file) {
  const std::array<int64_t, 1> any = {-1};
  const std::vector<int32_t>& episodes = file.Ints("data.episode", any);
  const std::array<int64_t, 1> rows = {std::ssize(episodes)};
  const auto matrix = [&](const char* name, int columns) -> std::span<const double> {
    const std::array<int64_t, 2> shape = {rows[0], columns};
    const std::vector<double>& values = file.Doubles(name, shape);
    CheckFinite(file.source, name, values, columns);
    return values;
  };
  // Files of earlier versions have neither rewards nor ends.
  const std::vector<double> rewards =
      file.tensors.contains(kReward)
          ? file.Doubles(kReward, rows)
          : std::vector<double>(episodes.size(), std::numeric_limits<double>::quiet_NaN());
  const std::vector<StepEnd> ends =
      file.tensors.contains(kEnd) ? Ends(file, rows) : std::vector<StepEnd>(episodes.size());
  AddRows({.rows = rows[0],
           .observation = matrix("data.observation", observation_dim_),
           .action = matrix("data.action", action_dim_),
           .next_observation = matrix("data.next_observation", observation_dim_),
           .reward = rewards,
           .episode = episodes,
           .end = ends});
}

void Dataset::Save(TensorFile& file, int64_t first_row, int64_t last_row) const {
  std::vector<double> observation, action, next_observation, reward;
  std::vector<int32_t> episode, end;
  const auto append = [](auto& to, const auto& from, int64_t size) {
    to.insert(to.end(), from.begin(), from.begin() + size);
  };
  for (int64_t row = first_row; row < last_row;) {
    const TransitionRows rows = RowsFrom(row);
    const int64_t count = std::min(rows.rows, last_row - row);
    append(observation, rows.observation, count * observation_dim_);
    append(action, rows.action, count * action_dim_);
    append(next_observation, rows.next_observation, count * observation_dim_);
    append(reward, rows.reward, count);
    append(episode, rows.episode, count);
    std::transform(rows.end.begin(), rows.end.begin() + count, std::back_inserter(end),
                   [](StepEnd of_row) { return static_cast<int32_t>(of_row); });
    row += count;
  }
  const int64_t count = last_row - first_row;
  file.tensors["data.observation"] = {{count, observation_dim_}, std::move(observation)};
  file.tensors["data.action"] = {{count, action_dim_}, std::move(action)};
  file.tensors["data.next_observation"] = {{count, observation_dim_}, std::move(next_observation)};
  file.tensors["data.episode"] = {{count}, std::move(episode)};
  file.tensors[kReward] = {{count}, std::move(reward)};
  file.tensors[kEnd] = {{count}, std::move(end)};
  file.metadata[kFirstRow] = fmt::format("{}", first_row);
}

}  // namespace foreplan
