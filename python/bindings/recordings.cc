#include "python/bindings/recordings.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/log_section.h"
#include "foreplan/data/log_writer.h"
#include "foreplan/data/recording.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/stored_model.h"
#include "python/bindings/arrays.h"
#include "python/bindings/signals.h"

namespace foreplan::python {
namespace {

using Texts = std::vector<std::string>;

/// A column of whole numbers or flags for every row, as NumPy's type of that name.
template <typename ValueOf>
nb::object Column(const Dataset& data, const char* type, const ValueOf& value_of) {
  std::vector<double> values;
  for (int64_t row = 0; row < data.size(); ++row) values.push_back(value_of(row));
  return ToVector(std::move(values)).attr("astype")(type);
}

template <typename RowOf>
nb::object Table(const Dataset& data, int columns, const RowOf& row_of) {
  std::vector<double> values;
  for (int64_t row = 0; row < data.size(); ++row) {
    const std::span<const double> numbers = row_of(row);
    values.insert(values.end(), numbers.begin(), numbers.end());
  }
  return ToArray(std::move(values), static_cast<int>(data.size()), columns);
}

/// One unit of each name, "" where the file does not say it.
Texts Units(Texts units, const Texts& names) {
  units.resize(names.size());
  return units;
}

/// `dt`: of a file that does not say it.
nb::dict AsDict(const Recording& recording, double dt) {
  const Dataset& data = recording.data;
  nb::dict dict;
  dict["observation"] =
      Table(data, data.observation_dim(), [&](int64_t row) { return data.observation(row); });
  dict["action"] = Table(data, data.action_dim(), [&](int64_t row) { return data.action(row); });
  dict["next_observation"] =
      Table(data, data.observation_dim(), [&](int64_t row) { return data.next_observation(row); });
  dict["reward"] = Column(data, "float64", [&](int64_t row) { return data.reward(row); });
  const auto ends = [&](StepEnd end) {
    return Column(data, "bool", [&data, end](int64_t row) { return data.end(row) == end; });
  };
  dict["terminated"] = ends(StepEnd::kTerminated);
  dict["truncated"] = ends(StepEnd::kTruncated);
  dict["episode"] = Column(data, "int64", [&](int64_t row) { return data.episode(row); });
  dict["observation_names"] = recording.observation;
  dict["action_names"] = recording.action;
  dict["observation_units"] = Units(recording.observation_units, recording.observation);
  dict["action_units"] = Units(recording.action_units, recording.action);
  dict["dt"] = recording.dt > 0 ? recording.dt : dt;
  dict["time"] = recording.times.empty() ? nb::object(nb::none()) : ToVector(recording.times);
  dict["notes"] = recording.notes;
  return dict;
}

/// `options`: assignments of section [log].
nb::dict ReadRecordingOf(const std::string& path, const Texts& observation, const Texts& action,
                         double dt, const Texts& options) {
  Config config = Config::FromString("", "read_recording");
  for (const std::string& option : options) config.Set("log." + option);
  const LogOptions log = ReadLogSection(config).options();
  config.ThrowOnUnknownKeys();
  RegisterLearnedSystem();
  Raised raised;
  const Recording recording = raised.Run([&] {
    return ReadStoredData(path, {.observation = observation, .action = action, .dt = dt}, log);
  });
  return AsDict(recording, dt);
}

Recording RecordingOf(nb::handle from) {
  const auto texts = [&](const char* name) { return nb::cast<Texts>(from.attr(name)); };
  Recording recording(texts("observation_names"), texts("action_names"));
  recording.observation_units = texts("observation_units");
  recording.action_units = texts("action_units");
  recording.dt = nb::cast<double>(from.attr("dt"));
  const int no = recording.data.observation_dim();
  const GivenRows before = RowsOf(from.attr("observation"), "observation", no);
  const GivenRows acted = RowsOf(from.attr("action"), "action", recording.data.action_dim());
  const GivenRows after = RowsOf(from.attr("next_observation"), "next_observation", no);
  const auto rewards = nb::cast<std::vector<double>>(from.attr("reward").attr("tolist")());
  const auto terminated = nb::cast<std::vector<bool>>(from.attr("terminated").attr("tolist")());
  const auto truncated = nb::cast<std::vector<bool>>(from.attr("truncated").attr("tolist")());
  const auto episodes = nb::cast<std::vector<int>>(from.attr("episode").attr("tolist")());
  for (int row = 0; row < before.rows; ++row) {
    const auto i = static_cast<size_t>(row);
    recording.Add({.observation = before.row(row),
                   .action = acted.row(row),
                   .next_observation = after.row(row),
                   .episode = episodes[i],
                   .reward = rewards[i],
                   .end = terminated[i]  ? StepEnd::kTerminated
                          : truncated[i] ? StepEnd::kTruncated
                                         : StepEnd::kContinues},
                  row);
  }
  recording.data.EndEpisode(StepEnd::kTruncated);
  return recording;
}

/// `from` has the attributes of AsDict, of equally many rows.
void WriteRecordingTo(const std::string& path, nb::handle from) {
  const std::string suffix = std::filesystem::path(path).extension().string();
  if (suffix != ".csv" && suffix != ".npz") {
    throw InputError(
        fmt::format("{}: found a file of kind '{}', expected .csv or .npz", path, suffix));
  }
  const Recording recording = RecordingOf(from);
  Raised raised;
  raised.Run(
      [&] { WriteFileAtomically(path, suffix == ".csv" ? LogCsv(recording) : LogNpz(recording)); });
}

}  // namespace

void BindRecordings(nb::module_& module) {
  module.def("read_recording", &ReadRecordingOf, nb::arg("path"), nb::arg("observation"),
             nb::arg("action"), nb::arg("dt"), nb::arg("options"));
  module.def("write_recording", &WriteRecordingTo, nb::arg("path"), nb::arg("recording"));
}

}  // namespace foreplan::python
