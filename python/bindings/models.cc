#include "python/bindings/models.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/models/mixture_prediction.h"

namespace foreplan::python {
namespace {

/// Observations and actions of equally many rows.
struct Inputs {
  GivenRows observation;
  GivenRows action;
};

Inputs InputsOf(nb::handle observation, nb::handle action, int no, int nu) {
  Inputs inputs{RowsOf(observation, "observation", no), RowsOf(action, "action", nu)};
  CheckSameRows(inputs.observation, "observation", inputs.action, "action");
  return inputs;
}

/// [rows], of None equal ones.
std::vector<double> NumbersOr(nb::handle value, const char* name, int rows, double otherwise) {
  if (value.is_none()) return std::vector<double>(static_cast<size_t>(rows), otherwise);
  const GivenRows given = VectorOf(value, name, rows);
  return {given.data(), given.data() + rows};
}

/// A member for every row; of None none.
std::vector<int> MembersOf(nb::handle member, int rows, int members) {
  if (member.is_none()) return {};
  const GivenRows given = VectorOf(member, "member", rows);
  std::vector<int> chosen;
  for (const double number : given.row(0)) {
    if (!(number >= 0 && number < members) || number != std::floor(number)) {
      throw InputError(fmt::format("member: found {}, expected 0 ... {}", number, members - 1));
    }
    chosen.push_back(static_cast<int>(number));
  }
  return chosen;
}

}  // namespace

PythonModel::PythonModel(const PythonTask& task, const std::vector<std::string>& assignments,
                         int seed, int threads)
    : executor_(std::make_shared<PythonExecutor>(threads)),
      observation_dim_(task.task().spec().observation_dim()),
      action_dim_(task.task().spec().action_dim()),
      seed_(seed) {
  RunFlags flags;
  flags.assignments = assignments;
  Experiment experiment = task.MakeExperimentWith(flags);
  const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
  model_ = MakeLearnedModel(experiment.task, experiment.config, key, executor_);
  TensorFile file;
  WriteSubject(experiment.task, file);
  WriteModelSections(experiment.config, file);
  metadata_ = std::move(file.metadata);
}

PythonModel::PythonModel(const nb::bytes& bytes, const std::string& name, const PythonTask* task,
                         int seed, int threads)
    : PythonModel(ParseTensors({bytes.c_str(), bytes.size()}, name), task, seed, threads) {}

PythonModel::PythonModel(const TensorFile& file, const PythonTask* task, int seed, int threads)
    : executor_(std::make_shared<PythonExecutor>(threads)), metadata_(file.metadata), seed_(seed) {
  const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
  LoadedModel loaded =
      LoadModel(file, task == nullptr ? std::nullopt : std::optional(task->task()), key, executor_);
  model_ = std::move(loaded.model);
  observation_dim_ = loaded.subject.spec.observation_dim();
  action_dim_ = loaded.subject.spec.action_dim();
}

nb::dict PythonModel::Fit(nb::handle observation, nb::handle action, nb::handle next_observation,
                          nb::handle reward, nb::handle terminated, nb::handle episode) {
  const Inputs inputs = InputsOf(observation, action, observation_dim_, action_dim_);
  const GivenRows next = RowsOf(next_observation, "next_observation", observation_dim_);
  CheckSameRows(inputs.observation, "observation", next, "next_observation");
  const int rows = inputs.observation.rows;
  const auto rewards = NumbersOr(reward, "reward", rows, std::numeric_limits<double>::quiet_NaN());
  const auto ends = NumbersOr(terminated, "terminated", rows, 0);
  const auto episodes = NumbersOr(episode, "episode", rows, 1);
  const std::stop_source stop;
  const FitMetrics metrics = raised_->Run(stop, [&] {
    Dataset data(observation_dim_, action_dim_);
    for (int row = 0; row < rows; ++row) {
      const auto i = static_cast<size_t>(row);
      data.Add({.observation = inputs.observation.row(row),
                .action = inputs.action.row(row),
                .next_observation = next.row(row),
                .episode = static_cast<int>(episodes[i]),
                .reward = rewards[i],
                .end = ends[i] != 0 ? StepEnd::kTerminated : StepEnd::kContinues});
    }
    const Key key{.seed = static_cast<uint64_t>(seed_), .stream = 1};
    return model_->Fit(data, key.Fold(static_cast<uint64_t>(fits_)), stop.get_token());
  });
  ++fits_;
  nb::dict dict;
  for (const auto& [name, value] : metrics) dict[name.c_str()] = value;
  return dict;
}

nb::tuple PythonModel::Predict(nb::handle observation, nb::handle action) const {
  const Inputs inputs = InputsOf(observation, action, observation_dim_, action_dim_);
  const int rows = inputs.observation.rows;
  const auto no = static_cast<size_t>(observation_dim_);
  std::vector<double> mean(static_cast<size_t>(rows) * no);
  std::vector<double> deviation(mean.size());
  raised_->Run([&] {
    PredictMixture(*model_, rows, inputs.observation.data(), inputs.action.data(), mean.data(),
                   deviation.data(), *executor_);
  });
  const bool is_vector = inputs.observation.is_vector && inputs.action.is_vector;
  return nb::make_tuple(ToArray(std::move(mean), rows, observation_dim_, is_vector),
                        ToArray(std::move(deviation), rows, observation_dim_, is_vector));
}

NumpyArray PythonModel::Sample(nb::handle observation, nb::handle action, int seed,
                               nb::handle member) const {
  const Inputs inputs = InputsOf(observation, action, observation_dim_, action_dim_);
  const int rows = inputs.observation.rows;
  const std::vector<int> members = MembersOf(member, rows, model_->members());
  std::vector<double> drawn(static_cast<size_t>(rows) * static_cast<size_t>(observation_dim_));
  raised_->Run([&] {
    const Key key{.seed = static_cast<uint64_t>(seed), .stream = 2};
    SampleMixture(*model_, rows, inputs.observation.data(), inputs.action.data(), members, key,
                  drawn.data(), *executor_);
  });
  return ToArray(std::move(drawn), rows, observation_dim_,
                 inputs.observation.is_vector && inputs.action.is_vector);
}

nb::tuple PythonModel::Linearize(nb::handle observation, nb::handle action) const {
  const Inputs inputs = InputsOf(observation, action, observation_dim_, action_dim_);
  const int rows = inputs.observation.rows;
  const auto no = static_cast<size_t>(observation_dim_);
  const auto nu = static_cast<size_t>(action_dim_);
  std::vector<double> A(static_cast<size_t>(rows) * no * no);
  std::vector<double> B(static_cast<size_t>(rows) * no * nu);
  raised_->Run([&] {
    constexpr int kBlock = 64;  // rows whose derivatives are found together
    const auto dynamics = model_->snapshot();
    const auto workspace = dynamics->MakeDerivativeWorkspace(kBlock);
    for (int row = 0; row < rows; row += kBlock) {
      const auto first = static_cast<size_t>(row);
      dynamics->Linearize({.rows = std::min(kBlock, rows - row),
                           .state = inputs.observation.row(row).data(),
                           .action = inputs.action.row(row).data(),
                           .A = A.data() + first * no * no,
                           .B = B.data() + first * no * nu},
                          *workspace);
    }
  });
  const auto shaped = [&](std::vector<double> values, int columns) {
    const nb::object flat = ToVector(std::move(values));
    const bool is_vector = inputs.observation.is_vector && inputs.action.is_vector;
    return is_vector ? flat.attr("reshape")(observation_dim_, columns)
                     : flat.attr("reshape")(rows, observation_dim_, columns);
  };
  return nb::make_tuple(shaped(std::move(A), observation_dim_), shaped(std::move(B), action_dim_));
}

JsonObject PythonModel::Describe() const { return FromJson(model_->Describe().dump()); }

/// Without tensors yet: what it is of, how it is made, how often it was fitted.
TensorFile PythonModel::Described() const {
  TensorFile file;
  file.metadata = metadata_;
  file.metadata["fits"] = fmt::format("{}", fits_);
  return file;
}

nb::bytes PythonModel::Save() const {
  TensorFile file = Described();
  model_->Save(file);
  const std::string bytes = SerializeTensors(file, "model");
  return nb::bytes(bytes.data(), bytes.size());
}

void PythonModel::Write(const std::string& path) const {
  TensorFile file = Described();
  model_->SavePredictor(file);
  WriteTensors(path, file);
}

void PythonModel::Restore(const nb::bytes& bytes) {
  const TensorFile file = ParseTensors({bytes.c_str(), bytes.size()}, "model");
  model_->Restore(file);
  const auto fits = file.metadata.find("fits");
  fits_ = fits == file.metadata.end() ? 0 : std::stoi(fits->second);
}

void BindModels(nb::module_& module) {
  nb::class_<PythonModel>(module, "Model")
      .def(nb::init<const PythonTask&, const std::vector<std::string>&, int, int>(),
           nb::arg("task"), nb::arg("assignments"), nb::arg("seed"), nb::arg("threads"))
      .def("fit", &PythonModel::Fit, nb::arg("observation"), nb::arg("action"),
           nb::arg("next_observation"), nb::arg("reward").none(), nb::arg("terminated").none(),
           nb::arg("episode").none())
      .def("predict", &PythonModel::Predict, nb::arg("observation"), nb::arg("action"))
      .def("sample", &PythonModel::Sample, nb::arg("observation"), nb::arg("action"),
           nb::arg("seed"), nb::arg("member").none())
      .def("describe", &PythonModel::Describe)
      .def("linearize", &PythonModel::Linearize, nb::arg("observation"), nb::arg("action"))
      .def(nb::init<const nb::bytes&, const std::string&, const PythonTask*, int, int>(),
           nb::arg("bytes"), nb::arg("name"), nb::arg("task").none(), nb::arg("seed"),
           nb::arg("threads"))
      .def("save", &PythonModel::Save)
      .def("write", &PythonModel::Write, nb::arg("path"))
      .def("restore", &PythonModel::Restore, nb::arg("bytes"))
      .def_prop_ro("members", &PythonModel::members);
}

}  // namespace foreplan::python
