// What remains of fits: failed ones, saved ones, at any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/ensembles/testing/ensemble_fits.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"

namespace foreplan {
namespace {

using testing::Everything;
using testing::QuickFit;
using testing::SameTensors;
using testing::Sides;
using testing::SmallOptions;
using testing::StoppingFit;
using testing::ToyData;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ---- what fails, what is saved -------------------------------------------------------------

// Fits, then fits data that cannot be fitted to; the message. Checks that nothing has changed.
std::string FailedFit(const Encoding& encoding, const FitOptions& options, const Dataset& good,
                      const Dataset& bad, const EnsembleOptions& size = SmallOptions()) {
  ThreadPool executor(2);
  Ensemble ensemble(ToySpec(), encoding, size, Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(ensemble), options,
                          testing::Borrowed(executor));
  trainer.Fit(good, Key{1, 2});
  const TensorFile before = Everything(trainer);
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  const auto predict = [&] {
    std::vector<double> numbers(6);
    const auto workspace = trainer.ensemble()->MakeWorkspace(1);
    trainer.ensemble()->PredictTarget(3, 1, x, &u, numbers.data(), numbers.data() + 3, *workspace);
    return numbers;
  };
  const std::vector<double> predicted = predict();
  std::string message;
  try {
    trainer.Fit(bad, Key{1, 3});
  } catch (const RunError& error) {
    message = error.what();
  }
  EXPECT_TRUE(SameTensors(before, Everything(trainer))) << message;
  EXPECT_EQ(predict(), predicted);
  return message;
}

Dataset WithRow(Dataset data, double x0, double next0) {
  const double x[3] = {x0, 0, 0.7};
  const double next[3] = {next0, 0, 0.7};
  const double u = 0;
  data.Add(x, std::span(&u, 1), next, 1);
  return data;
}

TEST(EnsembleTrainer, AFailedFitLeavesEverythingAsItWas) {
  const Dataset good = ToyData(50, 1);
  EXPECT_NE(FailedFit(kEncoding, QuickFit(50), good, WithRow(good, kNan, 0))
                .find("gradient step 1 of 50"),
            std::string::npos);
  EXPECT_NE(FailedFit(kEncoding, QuickFit(50), good, WithRow(good, 0, kNan)), "");
  // Later than the first step: a target beyond all floats that is drawn now or then.
  EnsembleOptions plain = SmallOptions();
  plain.normalise_targets = false;
  FitOptions small_batches = QuickFit(100);
  small_batches.batch = 2;
  const std::string message =
      FailedFit(kEncoding, small_batches, good, WithRow(good, 0, 1e39), plain);
  EXPECT_NE(message.find("the loss of member"), std::string::npos) << message;
  EXPECT_EQ(message.find("step 1 of"), std::string::npos) << message;
}

TEST(EnsembleTrainer, AFitWhoseInputsAreNotFiniteNamesThemAndLeavesEverythingAsItWas) {
  Config config = Config::FromString("encoding.inputs = ['log(x + 1)']", "test");
  const Encoding encoding = ReadEncoding(config, ToySpec(), {});
  Dataset good(3, 1);
  const Dataset bad = ToyData(50, 1);  // x is below -1 in some rows
  for (int64_t row = 0; row < bad.size(); ++row) {
    if (bad.observation(row)[0] <= -0.9) continue;
    good.Add(bad.observation(row), bad.action(row), bad.next_observation(row), 1);
  }
  const std::string message = FailedFit(encoding, QuickFit(10), good, bad);
  EXPECT_NE(message.find("inputs[0]: column 1: found"), std::string::npos) << message;
  EXPECT_NE(message.find("of the data, of episode 1, at previous.x = -"), std::string::npos)
      << message;
}

TEST(EnsembleTrainer, HeldOutRowsThatAreNotFiniteAreFound) {
  const std::vector<int> sides = Sides(testing::kOneHotRows, Key{7, 0});
  const auto held = std::ranges::find(sides, 0) - sides.begin();
  const Dataset all = ToyData(testing::kOneHotRows, 1);
  FitOptions options = QuickFit(20);
  options.holdout_share = 0.4;
  for (const bool input : {true, false}) {
    Dataset bad(3, 1);
    for (int64_t row = 0; row < all.size(); ++row) {
      std::vector<double> x(all.observation(row).begin(), all.observation(row).end());
      std::vector<double> next(all.next_observation(row).begin(), all.next_observation(row).end());
      if (row == held) (input ? x : next)[0] = kNan;
      bad.Add(x, all.action(row), next, 1);
    }
    for (const int patience : {0, 2}) {
      options.patience = patience;
      const std::string message = FailedFit(kEncoding, options, all, bad);
      EXPECT_NE(message.find("the hold-out error of member 0 is nan"), std::string::npos)
          << message;
    }
  }
}

TEST(EnsembleTrainer, ThreadsChangeNoBit) {
  std::vector<TensorFile> states;
  for (const int threads : {1, 2, 8}) {
    ThreadPool executor(threads);
    Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
    EnsembleTrainer trainer(std::make_shared<Ensemble>(model), StoppingFit(5),
                            testing::Borrowed(executor));
    trainer.Fit(ToyData(150, 1), Key{1, 2});
    trainer.Fit(ToyData(200, 1), Key{1, 3});
    states.push_back(Everything(trainer));
  }
  EXPECT_TRUE(SameTensors(states[0], states[1]));
  EXPECT_TRUE(SameTensors(states[0], states[2]));
}

TEST(EnsembleTrainer, SavedStateContinuesBitForBit) {
  ThreadPool executor(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), StoppingFit(3),
                          testing::Borrowed(executor));  // members stop at different steps
  trainer.Fit(ToyData(150, 1), Key{1, 2});
  TensorFile saved = Everything(trainer);
  Ensemble other(ToySpec(), kEncoding, SmallOptions(), Key{9, 9});
  EnsembleTrainer other_trainer(std::make_shared<Ensemble>(other), StoppingFit(3),
                                testing::Borrowed(executor));
  other.Restore(saved);
  other_trainer.set_ensemble(std::make_shared<Ensemble>(other));
  other_trainer.Restore(saved);
  trainer.Fit(ToyData(200, 1), Key{1, 3});
  other_trainer.Fit(ToyData(200, 1), Key{1, 3});
  EXPECT_TRUE(SameTensors(Everything(trainer), Everything(other_trainer)));
}

TEST(EnsembleTrainer, RestoreRefusesMomentsAndStepCountsThatNoFitLeaves) {
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), QuickFit(3),
                          testing::Borrowed(executor));
  trainer.Fit(ToyData(20, 1), Key{1, 2});
  const TensorFile good = Everything(trainer);
  const auto refusal = [&](const std::string& tensor, double value) {
    TensorFile file = good;
    file.source = "checkpoint.safetensors";
    std::visit(
        [&](auto& values) {
          values[1] = static_cast<std::remove_reference_t<decltype(values[1])>>(value);
        },
        file.tensors.at(tensor).values);
    std::string message;
    try {
      trainer.Restore(file);
    } catch (const InputError& error) {
      message = error.what();
    }
    EXPECT_TRUE(SameTensors(good, Everything(trainer))) << message;
    return message;
  };
  EXPECT_EQ(refusal("trainer.adam_steps", -7),
            "checkpoint.safetensors: tensor 'trainer.adam_steps', element 1: found -7, expected a "
            "count from 0 to 1000000000");
  EXPECT_NE(refusal("trainer.first_moment", kNan), "");
  EXPECT_NE(refusal("trainer.second_moment", kNan), "");
  EXPECT_NE(refusal("trainer.second_moment", -1), "");
}

TEST(EnsembleModel, ARefusedFileLeavesEverythingAsItWas) {
  ThreadPool executor(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(ToyData(30, 1), Key{1, 2});
  TensorFile file;
  model.Save(file);
  std::get<std::vector<float>>(file.tensors.at("model.parameters").values)[7] =
      std::numeric_limits<float>::quiet_NaN();
  model.Fit(ToyData(40, 1), Key{1, 3});  // other weights, moments and steps than the file's
  TensorFile before;
  model.Save(before);
  EXPECT_THROW(model.Restore(file), InputError);
  TensorFile after;
  model.Save(after);
  EXPECT_TRUE(SameTensors(before, after));
}

TEST(EnsembleModel, SavesTheScaleThatItsErrorsAreIn) {
  ThreadPool executor(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(ToyData(30, 1), Key{1, 2});
  TensorFile file;
  model.SavePredictor(file);
  EnsembleModel other(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1},
                      testing::Borrowed(executor));
  other.RestorePredictor(file);
  EXPECT_TRUE(std::ranges::equal(other.scale(), model.scale()));
  EXPECT_EQ(other.scale()[2], 0);
  for (const double wrong : {-1.0, kNan}) {
    std::get<std::vector<double>>(file.tensors.at("model.scale").values)[0] = wrong;
    EXPECT_THROW(other.RestorePredictor(file), InputError);
  }
}

}  // namespace
}  // namespace foreplan
