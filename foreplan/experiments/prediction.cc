#include "foreplan/experiments/prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "foreplan/core/error.h"
#include "foreplan/data/csv_cell.h"
#include "foreplan/models/mixture_prediction.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

constexpr int kRows = 128;  // that are predicted together

/// How many steps the data go on from every row, itself the first, up to `most`.
std::vector<int> StepsAhead(const Dataset& data, int most) {
  std::vector<int> ahead(static_cast<size_t>(data.size()), 1);
  for (int64_t row = data.size() - 2; row >= 0; --row) {
    if (!data.continues(row + 1)) continue;
    ahead[static_cast<size_t>(row)] = std::min(most, ahead[static_cast<size_t>(row) + 1] + 1);
  }
  return ahead;
}

/// Sums of squares of one block of rows, per horizon.
struct Sums {
  std::vector<double> error, unchanged;  // [horizons x no]
  std::vector<int64_t> starts;           // [horizons]
};

/// Rows first ... first + count - 1, each as far as the data go on.
class BlockPrediction {
 public:
  BlockPrediction(const LearnedModel& model, const Dataset& data, std::span<const int> horizons,
                  const std::vector<int>& ahead)
      : model_(model), data_(data), horizons_(horizons), ahead_(ahead) {}

  Sums Run(const Dynamics& dynamics, Dynamics::Workspace& workspace, int64_t first,
           int count) const {
    const auto no = static_cast<size_t>(data_.observation_dim());
    const auto nu = static_cast<size_t>(data_.action_dim());
    Sums sums{std::vector<double>(horizons_.size() * no),
              std::vector<double>(horizons_.size() * no), std::vector<int64_t>(horizons_.size())};
    std::vector<int64_t> rows;  // where those began that still go on
    std::vector<double> state;  // [rows x no]
    for (int64_t row = first; row < first + count; ++row) {
      rows.push_back(row);
      state.insert(state.end(), data_.observation(row).begin(), data_.observation(row).end());
    }
    std::vector<double> action(rows.size() * nu);
    std::vector<double> next(rows.size() * no);
    size_t horizon = 0;
    for (int step = 1; horizon < horizons_.size(); ++step) {
      Keep(step, rows, state);
      if (rows.empty()) break;
      for (size_t i = 0; i < rows.size(); ++i) {
        std::ranges::copy(data_.action(rows[i] + step - 1),
                          action.begin() + static_cast<std::ptrdiff_t>(i * nu));
      }
      dynamics.StepMean({.rows = static_cast<int>(rows.size()),
                         .state = state.data(),
                         .action = action.data(),
                         .next_state = next.data(),
                         .next_observation = next.data(),
                         .key = {}},
                        workspace);
      std::copy_n(next.begin(), rows.size() * no, state.begin());
      if (step == horizons_[horizon]) Add(horizon++, step, rows, state, sums);
    }
    return sums;
  }

 private:
  /// Leaves out rows from which the data do not go on for so many steps.
  void Keep(int step, std::vector<int64_t>& rows, std::vector<double>& state) const {
    const auto no = static_cast<size_t>(data_.observation_dim());
    size_t kept = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (ahead_[static_cast<size_t>(rows[i])] < step) continue;
      rows[kept] = rows[i];
      std::copy_n(state.begin() + static_cast<std::ptrdiff_t>(i * no), no,
                  state.begin() + static_cast<std::ptrdiff_t>(kept * no));
      ++kept;
    }
    rows.resize(kept);
  }

  void Add(size_t horizon, int step, const std::vector<int64_t>& rows,
           const std::vector<double>& state, Sums& sums) const {
    const auto no = static_cast<size_t>(data_.observation_dim());
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto before = data_.observation(rows[i]);
      const auto after = data_.next_observation(rows[i] + step - 1);
      for (size_t k = 0; k < no; ++k) {
        const double error = model_.difference()(k, after[k], state[i * no + k]);
        const double change = model_.difference()(k, after[k], before[k]);
        sums.error[horizon * no + k] += error * error;
        sums.unchanged[horizon * no + k] += change * change;
      }
    }
    sums.starts[horizon] += std::ssize(rows);
  }

  const LearnedModel& model_;
  const Dataset& data_;
  std::span<const int> horizons_;
  const std::vector<int>& ahead_;
};

double RootMean(double sum, int64_t count) {
  return count > 0 ? std::sqrt(sum / static_cast<double>(count))
                   : std::numeric_limits<double>::quiet_NaN();
}

std::string Header(const Component& component, const char* suffix) {
  std::string header = component.name + suffix;
  if (!component.unit.empty()) header += fmt::format(" [{}]", component.unit);
  return CsvCell(header);
}

}  // namespace

void CheckPredicts(const StoredModel& stored, const std::string& source,
                   const Recording& recording) {
  EnvironmentSpec spec = stored.subject.spec;
  spec.observation = ObservationOf(recording);
  spec.action = ActionOf(recording);
  spec.dt = recording.dt;
  try {
    CheckSubject({std::move(spec), stored.subject.encoding}, stored.file);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", source, error.what()));
  }
}

std::vector<PredictionError> PredictionErrors(const LearnedModel& model, const Dataset& data,
                                              std::span<const int> horizons, Executor& executor) {
  const auto no = static_cast<size_t>(data.observation_dim());
  const std::vector<int> ahead = StepsAhead(data, horizons.back());
  const BlockPrediction prediction(model, data, horizons, ahead);
  const auto blocks = static_cast<int>((data.size() + kRows - 1) / kRows);
  std::vector<Sums> sums(static_cast<size_t>(blocks));
  const std::shared_ptr<const Dynamics> dynamics = model.snapshot();
  std::vector<std::unique_ptr<Dynamics::Workspace>> workspaces;
  for (int i = 0; i < executor.size(); ++i) {
    workspaces.push_back(dynamics->MakeDerivativeWorkspace(kRows));
  }
  executor.ParallelFor(blocks, [&](int block, int worker) {
    const int64_t first = int64_t{block} * kRows;
    const auto count = static_cast<int>(std::min<int64_t>(kRows, data.size() - first));
    sums[static_cast<size_t>(block)] =
        prediction.Run(*dynamics, *workspaces[static_cast<size_t>(worker)], first, count);
  });
  std::vector<PredictionError> errors;
  for (size_t h = 0; h < horizons.size(); ++h) {
    PredictionError error{.horizon = horizons[h]};
    for (const Sums& block : sums) error.starts += block.starts[h];
    for (size_t k = 0; k < no; ++k) {
      double squares = 0;
      double changes = 0;
      for (const Sums& block : sums) {
        squares += block.error[h * no + k];
        changes += block.unchanged[h * no + k];
      }
      error.error.push_back(RootMean(squares, error.starts));
      error.unchanged.push_back(RootMean(changes, error.starts));
    }
    errors.push_back(std::move(error));
  }
  return errors;
}

std::string PredictionCsv(const StoredModel& stored, const Dataset& data) {
  const auto no = static_cast<size_t>(data.observation_dim());
  std::string text = "episode,step";
  for (const Component& component : stored.subject.spec.observation) {
    for (const char* suffix : {"", "_mean", "_deviation"}) text += "," + Header(component, suffix);
  }
  text += '\n';
  MixturePrediction mixture(*stored.model, 1);
  std::vector<double> mean(no);
  std::vector<double> deviation(no);
  int64_t step = 0;
  for (int64_t row = 0; row < data.size(); ++row) {
    step = row > 0 && data.episode(row) == data.episode(row - 1) ? step + 1 : 0;
    mixture.Predict(1, data.observation(row).data(), data.action(row).data(), mean.data(),
                    deviation.data());
    text += fmt::format("{},{}", data.episode(row), step);
    for (size_t k = 0; k < no; ++k) {
      text += fmt::format(",{},{},{}", data.next_observation(row)[k], mean[k], deviation[k]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace foreplan
