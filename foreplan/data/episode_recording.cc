#include "foreplan/data/episode_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/read_file.h"
#include "foreplan/data/component_json.h"
#include "foreplan/data/files.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/tensor_checks.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Keys of the file's metadata.
constexpr const char* kFormatKey = "format";
constexpr const char* kVersionKey = "version";
constexpr const char* kEpisodeKey = "episode";

constexpr std::string_view kFormat = "foreplan.episode";
constexpr int kVersion = 1;

InputError Wrong(const std::string& where, std::string_view found, std::string_view expected) {
  return InputError(fmt::format("{}: found {}, expected {}", where, found, expected));
}

// --- writing ------------------------------------------------------------------------------------

std::string Describe(const EpisodeRecording& recording) {
  Json json = {{"program", recording.program},
               {"task", recording.task},
               {"controller", recording.controller},
               {"episode", recording.episode},
               {"seed", recording.seed},
               {"condition", recording.condition},
               {"dt", recording.dt},
               {"steps", recording.steps()},
               {"episode_return", recording.episode_return},
               {"end", recording.end},
               {"note", recording.note},
               {"observation", ComponentsJson(recording.observation)},
               {"action", ComponentsJson(recording.action)},
               {"state", ComponentsJson(recording.state)}};
  if (recording.plan_count() > 0) {
    json["imagined_every"] = recording.imagined_every;
    json["futures_every"] = recording.futures_every;
  }
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

int64_t CountOfEvery(int64_t plans, int every) { return (plans + every - 1) / every; }

TensorFile AsTensors(const EpisodeRecording& recording) {
  TensorFile file;
  file.metadata = {{kFormatKey, std::string(kFormat)},
                   {kVersionKey, fmt::format("{}", kVersion)},
                   {kEpisodeKey, Describe(recording)}};
  const int64_t T = recording.steps();
  const int64_t P = recording.plan_count();
  const int64_t H = recording.horizon;
  const int64_t no = std::ssize(recording.observation);
  const int64_t nu = std::ssize(recording.action);
  const int64_t ns = std::ssize(recording.state);
  std::vector<double> time;
  for (int64_t t = 0; t <= T; ++t) time.push_back(static_cast<double>(t) * recording.dt);
  std::vector<int32_t> ends;
  for (const StepEnd end : recording.ends) ends.push_back(static_cast<int32_t>(end));
  file.tensors["time"] = {{T + 1}, std::move(time)};
  file.tensors["observation"] = {{T + 1, no}, recording.observations};
  if (ns > 0) file.tensors["state"] = {{T + 1, ns}, recording.states};
  file.tensors["action"] = {{T, nu}, recording.actions};
  file.tensors["reward"] = {{T}, recording.rewards};
  file.tensors["end"] = {{T}, std::move(ends)};
  if (!recording.expected_mean.empty()) {
    const int64_t D = std::ssize(recording.expected_mean) / no;
    file.tensors["distribution.mean"] = {{D, no}, recording.expected_mean};
    file.tensors["distribution.covariance"] = {{D, no, no}, recording.expected_covariance};
  }
  if (P == 0) return file;
  const int64_t imagined = CountOfEvery(P, recording.imagined_every);
  const int64_t with_futures = CountOfEvery(P, recording.futures_every);
  file.tensors["plan"] = {{T}, recording.plans};
  file.tensors["plan.first_step"] = {{P}, recording.first_steps};
  file.tensors["plan.action"] = {{P, H, nu}, recording.planned_actions};
  file.tensors["plan.expected_return"] = {{P}, recording.expected_returns};
  file.tensors["plan.observation"] = {{imagined, H + 1, no}, recording.imagined};
  if (recording.futures == 0) return file;
  file.tensors["future.observation"] = {{with_futures, recording.futures, H + 1, no},
                                        recording.future_observations};
  file.tensors["future.return"] = {{with_futures, recording.futures}, recording.future_returns};
  return file;
}

// --- reading ------------------------------------------------------------------------------------

/// The metadata of a file, key by key.
class Description {
 public:
  explicit Description(const TensorFile& file) : source_(file.source) {
    const std::string format = Metadata(file, kFormatKey);
    if (format != kFormat) throw Wrong(Where(kFormatKey), "'" + format + "'", "'foreplan.episode'");
    const std::string version = Metadata(file, kVersionKey);
    if (version != fmt::format("{}", kVersion)) {
      throw Wrong(Where(kVersionKey), "'" + version + "'",
                  fmt::format("'{}': another version of foreplan wrote it", kVersion));
    }
    json_ = Json::parse(Metadata(file, kEpisodeKey), nullptr, false);
    if (!json_.is_object()) throw Wrong(Where(kEpisodeKey), "no JSON object", "one");
  }

  [[nodiscard]] bool Has(const char* key) const { return json_.contains(key); }
  [[nodiscard]] std::string Text(const char* key) const {
    const auto value = json_.find(key);
    if (value != json_.end() && value->is_string()) return value->get<std::string>();
    throw Wrong(Where(key), Found(key), "a string");
  }
  [[nodiscard]] double Number(const char* key) const {
    const auto value = json_.find(key);
    if (value != json_.end() && value->is_number()) return value->get<double>();
    throw Wrong(Where(key), Found(key), "a number");
  }
  [[nodiscard]] int Integer(const char* key, int least) const {
    const auto value = json_.find(key);
    if (value != json_.end() && value->is_number_integer()) {
      const auto integer = value->get<int64_t>();
      if (integer >= least && integer <= std::numeric_limits<int>::max()) {
        return static_cast<int>(integer);
      }
    }
    throw Wrong(Where(key), Found(key), fmt::format("an integer of at least {}", least));
  }
  [[nodiscard]] std::vector<Component> Components(const char* key) const {
    const auto list = json_.find(key);
    std::vector<Component> components;
    bool valid = list != json_.end() && list->is_array();
    if (valid) {
      for (const Json& entry : *list) {
        valid = valid && entry.is_object() && entry.contains("name") && entry.contains("unit") &&
                entry["name"].is_string() && entry["unit"].is_string();
        if (valid) {
          components.push_back(
              {entry["name"].get<std::string>(), entry["unit"].get<std::string>()});
        }
      }
    }
    if (!valid) throw Wrong(Where(key), Found(key), "a list of components with name and unit");
    return components;
  }
  /// The same of a vector that has at least one.
  [[nodiscard]] std::vector<Component> SomeComponents(const char* key) const {
    std::vector<Component> components = Components(key);
    if (components.empty()) throw Wrong(Where(key), "[]", "at least one component");
    return components;
  }

 private:
  [[nodiscard]] std::string Where(const char* key) const {
    return fmt::format("{}: metadata '{}'", source_, key);
  }
  [[nodiscard]] std::string Found(const char* key) const {
    const auto value = json_.find(key);
    if (value == json_.end()) return "nothing";
    return value->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40);
  }
  [[nodiscard]] std::string Metadata(const TensorFile& file, const char* key) const {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) throw Wrong(Where(key), "nothing", "a recording of foreplan");
    return found->second;
  }

  std::string source_;
  Json json_;
};

/// No NaN; -infinity stands for a return that is not known.
template <typename T>
void CheckReturns(const TensorFile& file, const char* name, const std::vector<T>& returns) {
  for (size_t i = 0; i < returns.size(); ++i) {
    if (returns[i] < std::numeric_limits<T>::infinity()) continue;
    throw Wrong(fmt::format("{}: tensor '{}', element {}", file.source, name, i),
                fmt::format("{}", std::abs(returns[i])), "a number, or -infinity");
  }
}

template <size_t N>
const std::vector<double>& Finite(const TensorFile& file, const std::string& name,
                                  const std::array<int64_t, N>& shape) {
  const std::vector<double>& values = file.Doubles(name, shape);
  CheckFinite(file, name);
  return values;
}

template <size_t N>
const std::vector<float>& FiniteFloats(const TensorFile& file, const std::string& name,
                                       const std::array<int64_t, N>& shape) {
  const std::vector<float>& values = file.Floats(name, shape);
  CheckFinite(file, name);
  return values;
}

/// The last alone is an end.
std::vector<StepEnd> ReadEnds(const TensorFile& file, int64_t T) {
  std::vector<StepEnd> ends;
  for (const int32_t end : file.Ints("end", std::array{T})) {
    const bool is_last = std::ssize(ends) + 1 == T;
    const bool is_end = end == 1 || end == 2;
    if (is_end != is_last || (!is_end && end != 0)) {
      throw Wrong(fmt::format("{}: tensor 'end', element {}", file.source, ends.size()),
                  fmt::format("{}", end), is_last ? "1 or 2: the last step ends the episode" : "0");
    }
    ends.push_back(static_cast<StepEnd>(end));
  }
  return ends;
}

/// A step executes no plan that was made after it, or before the plan of the step before.
void CheckPlans(const TensorFile& file, const EpisodeRecording& recording) {
  const auto P = static_cast<int32_t>(recording.plan_count());
  int32_t last = -1;
  for (size_t t = 0; t < recording.plans.size(); ++t) {
    const int32_t plan = recording.plans[t];
    const bool known =
        plan >= last && plan < P &&
        (plan == -1 || recording.first_steps[static_cast<size_t>(plan)] <= static_cast<int32_t>(t));
    if (!known) {
      throw Wrong(fmt::format("{}: tensor 'plan', element {}", file.source, t),
                  fmt::format("{}", plan),
                  fmt::format("one of the {} plans, made by then, from {} on", P, last));
    }
    last = plan;
  }
}

void ReadPlans(const TensorFile& file, const Description& description,
               EpisodeRecording& recording) {
  const int64_t T = recording.steps();
  const int64_t no = std::ssize(recording.observation);
  const int64_t nu = std::ssize(recording.action);
  recording.plans = file.Ints("plan", std::array{T});
  recording.first_steps = file.Ints("plan.first_step", std::array<int64_t, 1>{-1});
  CheckAtLeast(file, "plan.first_step", 0);
  CheckPlans(file, recording);
  const int64_t P = recording.plan_count();
  recording.planned_actions = FiniteFloats(file, "plan.action", std::array<int64_t, 3>{P, -1, nu});
  const int64_t H = file.tensors.at("plan.action").shape[1];
  if (P == 0 || H == 0) {
    throw Wrong(file.source + ": tensor 'plan.action'", fmt::format("{} plans of {} steps", P, H),
                "some");
  }
  recording.horizon = static_cast<int>(H);
  recording.expected_returns = file.Doubles("plan.expected_return", std::array{P});
  CheckReturns(file, "plan.expected_return", recording.expected_returns);
  recording.imagined_every = description.Integer("imagined_every", 1);
  recording.futures_every = description.Integer("futures_every", 1);
  const int64_t imagined = CountOfEvery(P, recording.imagined_every);
  recording.imagined =
      FiniteFloats(file, "plan.observation", std::array<int64_t, 3>{imagined, H + 1, no});
  if (!file.tensors.contains("future.observation")) return;
  const int64_t with_futures = CountOfEvery(P, recording.futures_every);
  recording.future_observations =
      FiniteFloats(file, "future.observation", std::array<int64_t, 4>{with_futures, -1, H + 1, no});
  const int64_t futures = file.tensors.at("future.observation").shape[1];
  recording.futures = static_cast<int>(futures);
  recording.future_returns = file.Floats("future.return", std::array{with_futures, futures});
  CheckReturns(file, "future.return", recording.future_returns);
}

/// Of no more steps than there are observations.
void ReadDistribution(const TensorFile& file, EpisodeRecording& recording) {
  const int64_t no = std::ssize(recording.observation);
  recording.expected_mean = Finite(file, "distribution.mean", std::array<int64_t, 2>{-1, no});
  const int64_t D = file.tensors.at("distribution.mean").shape[0];
  if (D < 1 || D > recording.steps() + 1) {
    throw Wrong(file.source + ": tensor 'distribution.mean'", fmt::format("{} steps", D),
                fmt::format("1 to {}", recording.steps() + 1));
  }
  recording.expected_covariance = Finite(file, "distribution.covariance", std::array{D, no, no});
}

EpisodeRecording FromTensors(const TensorFile& file) {
  const Description description(file);
  EpisodeRecording recording;
  recording.program = description.Text("program");
  recording.task = description.Text("task");
  recording.controller = description.Text("controller");
  recording.episode = description.Integer("episode", 0);
  recording.seed = description.Integer("seed", 0);
  if (description.Has("condition")) recording.condition = description.Integer("condition", 0);
  recording.dt = description.Number("dt");
  if (recording.dt <= 0) throw Wrong(file.source + ": metadata 'dt'", "0 or less", "a time [s]");
  recording.episode_return = description.Number("episode_return");
  recording.end = description.Text("end");
  recording.note = description.Text("note");
  recording.observation = description.SomeComponents("observation");
  recording.action = description.SomeComponents("action");
  recording.state = description.Components("state");
  const int64_t T = description.Integer("steps", 1);
  Finite(file, "time", std::array{T + 1});
  recording.observations =
      Finite(file, "observation", std::array{T + 1, std::ssize(recording.observation)});
  if (!recording.state.empty()) {
    recording.states = Finite(file, "state", std::array{T + 1, std::ssize(recording.state)});
  }
  recording.actions = Finite(file, "action", std::array{T, std::ssize(recording.action)});
  recording.rewards = Finite(file, "reward", std::array{T});
  recording.ends = ReadEnds(file, T);
  if (file.tensors.contains("plan")) ReadPlans(file, description, recording);
  if (file.tensors.contains("distribution.mean")) ReadDistribution(file, recording);
  return recording;
}

/// Places of the wanted components among those there are; all of them when none is named.
std::vector<size_t> PlacesOf(const std::string& source, const char* kind,
                             const std::vector<std::string>& wanted,
                             const std::vector<Component>& there) {
  std::vector<size_t> places;
  for (const std::string& name : wanted) {
    const auto found = std::ranges::find(there, name, &Component::name);
    if (found == there.end()) {
      throw Wrong(fmt::format("{}: {}", source, kind), fmt::format("no component '{}'", name),
                  "it among those that were recorded");
    }
    places.push_back(static_cast<size_t>(found - there.begin()));
  }
  for (size_t i = 0; wanted.empty() && i < there.size(); ++i) places.push_back(i);
  return places;
}

std::vector<std::string> NamesAt(const std::vector<size_t>& places,
                                 const std::vector<Component>& there) {
  std::vector<std::string> names;
  for (const size_t place : places) names.push_back(there[place].name);
  return names;
}

}  // namespace

size_t EpisodeRecording::bytes() const {
  return sizeof(double) * (observations.size() + states.size() + actions.size() + rewards.size() +
                           rewards.size() + 1 + expected_returns.size() + expected_mean.size() +
                           expected_covariance.size()) +
         sizeof(int32_t) * (ends.size() + plans.size() + first_steps.size()) +
         sizeof(float) * (planned_actions.size() + imagined.size() + future_observations.size() +
                          future_returns.size());
}

void WriteEpisodeRecording(const fs::path& file, const EpisodeRecording& recording) {
  const std::string bytes = SerializeTensors(AsTensors(recording), file.string());
  if (bytes.size() > kLargestEpisodeRecording) {
    throw RunError(fmt::format("{}: found a recording of {} bytes, expected at most {}",
                               file.string(), bytes.size(), kLargestEpisodeRecording));
  }
  WriteFileAtomically(file, GzipOf(bytes));
}

EpisodeRecording ReadEpisodeRecording(const fs::path& file) {
  const std::string source = file.string();
  return FromTensors(ParseTensors(
      Gunzip(ReadFile(file, kLargestEpisodeRecording), kLargestEpisodeRecording, source), source));
}

Recording AsRecording(const std::string& source, const EpisodeRecording& recording,
                      const RecordingColumns& columns) {
  const auto seen = PlacesOf(source, "observation", columns.observation, recording.observation);
  const auto done = PlacesOf(source, "action", columns.action, recording.action);
  Recording result(NamesAt(seen, recording.observation), NamesAt(done, recording.action));
  constexpr double kTolerance = 0.1;
  if (columns.dt > 0 && std::abs(recording.dt - columns.dt) > kTolerance * columns.dt) {
    throw Wrong(source + ": metadata 'dt'", fmt::format("{:.6g} s", recording.dt),
                fmt::format("{:.6g} s within 10 %", columns.dt));
  }
  for (const size_t place : seen) {
    result.observation_units.push_back(recording.observation[place].unit);
  }
  for (const size_t place : done) result.action_units.push_back(recording.action[place].unit);
  result.dt = recording.dt;
  result.place_unit = "step";
  const auto chosen = [](const std::vector<double>& rows, int64_t row, size_t width,
                         const std::vector<size_t>& places) {
    std::vector<double> values;
    for (const size_t place : places)
      values.push_back(rows[static_cast<size_t>(row) * width + place]);
    return values;
  };
  for (int64_t t = 0; t < recording.steps(); ++t) {
    const size_t no = recording.observation.size();
    const auto observation = chosen(recording.observations, t, no, seen);
    const auto next_observation = chosen(recording.observations, t + 1, no, seen);
    const auto action = chosen(recording.actions, t, recording.action.size(), done);
    result.Add({.observation = observation,
                .action = action,
                .next_observation = next_observation,
                .episode = 1,
                .reward = recording.rewards[static_cast<size_t>(t)],
                .end = recording.ends[static_cast<size_t>(t)]},
               t);
  }
  return result;
}

}  // namespace foreplan
