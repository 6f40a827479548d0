#include "foreplan/data/normaliser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

TEST(Normaliser, StartsAsTheIdentity) {
  const Normaliser normaliser(2);
  EXPECT_EQ(normaliser.mean, (std::vector<double>{0, 0}));
  EXPECT_EQ(normaliser.scale, (std::vector<double>{1, 1}));
}

TEST(Normaliser, TakesMeanAndDeviationOfEachColumn) {
  const ColumnStatistics columns{{2, 20}, {1, 10}, {1e-15, 1e-14}};
  for (const Normaliser& normaliser :
       {Normaliser::OfInputs(columns), Normaliser::OfTargets(columns)}) {
    EXPECT_EQ(normaliser.mean, columns.mean);
    EXPECT_EQ(normaliser.scale, columns.deviation);
    const std::vector<double> row = {4, 5};
    float normalised[2];
    normaliser.Apply(row.data(), normalised);
    EXPECT_EQ(normalised[0], 2);
    EXPECT_EQ(normalised[1], -1.5F);
  }
}

TEST(Normaliser, ConstantInputsHaveScaleOneAndConstantTargetsThatOfTheirRounding) {
  const ColumnStatistics columns{{7, 0}, {0, 0}, {1e-14, 0}};
  EXPECT_EQ(Normaliser::OfInputs(columns).scale, (std::vector<double>{1, 1}));
  const Normaliser targets = Normaliser::OfTargets(columns);
  EXPECT_EQ(targets.mean, (std::vector<double>{7, 0}));
  EXPECT_EQ(targets.scale[0], 1e-14);
  EXPECT_GT(targets.scale[1], 0);
  EXPECT_LT(targets.scale[1], 1e-15);
}

TEST(Normaliser, RestoresWhatItSaved) {
  Normaliser saved(2);
  saved.mean = {3, -4};
  saved.scale = {0.5, 1e-15};
  TensorFile file;
  saved.Save("model.input", file);
  Normaliser restored(2);
  restored.Restore("model.input", file);
  EXPECT_EQ(restored.mean, saved.mean);
  EXPECT_EQ(restored.scale, saved.scale);
}

TEST(Normaliser, RefusesWhatNoFitLeavesAndStaysAsItWas) {
  const auto refusal = [](const std::string& tensor, double value) {
    TensorFile file;
    file.source = "model.safetensors";
    Normaliser(2).Save("model.input", file);
    std::get<std::vector<double>>(file.tensors.at(tensor).values)[1] = value;
    Normaliser normaliser(2);
    try {
      normaliser.Restore("model.input", file);
    } catch (const InputError& error) {
      EXPECT_EQ(normaliser.mean, (std::vector<double>{0, 0}));
      EXPECT_EQ(normaliser.scale, (std::vector<double>{1, 1}));
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal("model.input_scale", 0),
            "model.safetensors: tensor 'model.input_scale', element 1: found 0, expected a finite "
            "number above 0");
  EXPECT_NE(refusal("model.input_scale", -1), "");
  EXPECT_NE(refusal("model.input_scale", std::nan("")), "");
  EXPECT_NE(refusal("model.input_scale", HUGE_VAL), "");
  EXPECT_NE(refusal("model.input_mean", std::nan("")), "");
  EXPECT_EQ(refusal("model.input_mean", -5), "");
}

}  // namespace
}  // namespace foreplan
