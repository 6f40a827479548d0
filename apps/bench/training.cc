// Suite training: gradient steps of a whole ensemble of probabilistic networks.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/bench/synthetic.h"
#include "foreplan/core/memory.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"

namespace foreplan::apps {
namespace {

/// Whose data the networks are trained on, with its inputs and outputs.
enum class Task : uint8_t { kCartPole, kCheetah };

SyntheticTask Make(Task task) {
  return task == Task::kCartPole ? SyntheticCartPole() : SyntheticGymnasiumCheetah();
}

/// What --set can change.
struct Sizes {
  int members = 5;
  int hidden_layers = 3;
  int width = 200;
  int batch = 32;
  int steps = 1000;  // of the fit that is one sample

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("members", members, {1, 64}, "networks");
    visitor.Field("hidden_layers", hidden_layers, {1, 8}, "per network");
    visitor.Field("width", width, {1, 4096}, "units per hidden layer");
    visitor.Field("batch", batch, {1, 65536}, "rows per gradient step and network");
    visitor.Field("steps", steps, {1, 1e7}, "gradient steps per fit");
  }
};

/// Fits go on from where the last one ended.
struct Training {
  Training(Task of, const Sizes& sizes, const EnsembleOptions& model,
           std::shared_ptr<Executor> executor)
      : task(Make(of)),
        steps(sizes.steps),
        trainer(std::make_shared<const Ensemble>(task.spec, task.encoding, model, Key{1, 0}),
                Fit(sizes), std::move(executor)) {}

  static FitOptions Fit(const Sizes& sizes) {
    FitOptions fit;
    fit.batch = sizes.batch;
    fit.min_steps = sizes.steps;
    fit.max_steps = sizes.steps;
    return fit;
  }

  /// The whole fit counts, also what it does once: normalising the data, drawing the bootstrap.
  double SecondsPerStep() {
    return SecondsPerCall(1, [&] { trainer.Fit(task.data, Key{2, fits++}); }) / steps;
  }

  SyntheticTask task;
  int steps;
  EnsembleTrainer trainer;
  uint64_t fits = 0;
};

// Forward, gradient of the inputs and of the weights: three products of every layer.
double FlopPerStep(const Sizes& sizes, const FeatureMap& features) {
  const double width = sizes.width;
  const int ends = features.inputs() + 2 * features.targets();
  return 6 * sizes.batch * sizes.members *
         (width * ends + width * width * (sizes.hidden_layers - 1));
}

/// Activations of every layer forwards and backwards, parameters with their gradients and moments.
double BytesNeeded(const Sizes& sizes, int workers) {
  const double activations = 4.0 * workers * sizes.batch * sizes.width * 4 * sizes.hidden_layers;
  const double parameters = 6 * 4.0 * sizes.members * sizes.width * sizes.width;
  return activations + parameters * sizes.hidden_layers;
}

Measurement Measure(const std::string& name, Task task, Sizes sizes, const BenchOptions& options) {
  RefuseFlag("training", "--model", options.model);
  RefuseFlag("training", "--precision", options.precision);
  options.config->Read("", sizes);
  CheckMemory("bench training: " + name, BytesNeeded(sizes, options.executor->size()));
  EnsembleOptions model;
  model.members = sizes.members;
  model.hidden_layers = sizes.hidden_layers;
  model.width = sizes.width;

  const auto training = std::make_shared<std::unique_ptr<Training>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {{"case", name},
                        {"precision", "f32"},
                        {"threads", options.executor->size()},
                        {"batch", sizes.batch}};
  measurement.prepare = [=, executor = options.executor] {
    *training = std::make_unique<Training>(task, sizes, model, executor);
  };
  measurement.sample = [training] { return (*training)->SecondsPerStep(); };
  measurement.finish = [=](double median, BenchRow& row) {
    const double flop = FlopPerStep(sizes, (*training)->trainer.ensemble()->features());
    row["gflop"] = 1e-9 * flop;
    row["gflops"] = 1e-9 * flop / median;
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> TrainingCases() {
  const auto make = [](const std::string& name, Task task, const Sizes& sizes) -> BenchCase {
    return {name, [=](const BenchOptions& options) { return Measure(name, task, sizes, options); }};
  };
  return {make("3x200_b32", Task::kCartPole, {.batch = 32, .steps = 1000}),
          make("3x200_b256", Task::kCartPole, {.batch = 256, .steps = 200}),
          make("cheetah_3x256_b256", Task::kCheetah,
               {.members = 8, .width = 256, .batch = 256, .steps = 100})};
}

}  // namespace foreplan::apps
