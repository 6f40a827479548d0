// Suite prediction: what all members of an ensemble say of many rows, as `foreplan predict` and
// Python ask for it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/core/memory.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/mixture_prediction.h"

namespace foreplan::apps {
namespace {

/// What --set can change.
struct Sizes {
  int rows = 10000;
  int members = 5;
  int hidden_layers = 4;
  int width = 200;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("rows", rows, {1, 1e7}, "predicted in one call");
    visitor.Field("members", members, {1, 64}, "networks");
    visitor.Field("hidden_layers", hidden_layers, {1, 8}, "per network");
    visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  }
};

struct Prediction {
  Prediction(const Sizes& sizes, std::shared_ptr<Executor> given)
      : rows(sizes.rows),
        executor(std::move(given)),
        task(SyntheticHalfCheetah()),
        model(
            task.spec, task.encoding,
            {.members = sizes.members, .hidden_layers = sizes.hidden_layers, .width = sizes.width},
            {}, Key{1, 0}, executor) {
    for (int row = 0; row < rows; ++row) {
      const Transition transition = task.data.transition(row % task.data.size());
      observation.insert(observation.end(), transition.observation.begin(),
                         transition.observation.end());
      action.insert(action.end(), transition.action.begin(), transition.action.end());
    }
    mean.resize(observation.size());
    deviation.resize(observation.size());
  }

  double Seconds() {
    return SecondsPerCall(1, [&] {
      PredictMixture(model, rows, observation.data(), action.data(), mean.data(), deviation.data(),
                     *executor);
    });
  }

  int rows;
  std::shared_ptr<Executor> executor;
  SyntheticTask task;
  EnsembleModel model;
  std::vector<double> observation, action;  // [rows x no], [rows x nu]
  std::vector<double> mean, deviation;      // [rows x no]
};

Measurement Measure(const BenchOptions& options) {
  RefuseFlag("prediction", "--model", options.model);
  RefuseFlag("prediction", "--precision", options.precision);
  Sizes sizes;
  options.config->Read("", sizes);
  const double numbers =
      60.0 * sizes.rows;  // observation, action, mean, deviation: 18 + 6 + 18 + 18
  CheckMemory("bench prediction", 8 * numbers);
  const auto prediction = std::make_shared<std::unique_ptr<Prediction>>();
  Measurement measurement;
  measurement.fields = {{"case", "half_cheetah"},
                        {"rows", sizes.rows},
                        {"members", sizes.members},
                        {"hidden_layers", sizes.hidden_layers},
                        {"width", sizes.width},
                        {"precision", "f32"},
                        {"threads", options.executor->size()}};
  measurement.prepare = [=, executor = options.executor] {
    *prediction = std::make_unique<Prediction>(sizes, executor);
  };
  measurement.sample = [prediction] { return (*prediction)->Seconds(); };
  measurement.finish = [rows = sizes.rows](double median, BenchRow& row) {
    row["rows_per_second"] = rows / median;
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> PredictionCases() { return {{"half_cheetah", Measure}}; }

}  // namespace foreplan::apps
