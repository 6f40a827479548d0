// Passes that are remembered against single ones with their gradients (nets_test.cc).
#include "foreplan/nets/mlp_tape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {
namespace {

constexpr int kRows = 3;
constexpr int kSlots = 4;

std::vector<float> Floats(int count, uint64_t stream) {
  Random random(Key{7, stream});
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(0.5 * random.Normal());
  return values;
}

class TapeTest : public ::testing::Test {
 protected:
  // A single pass and its gradients, by the inputs and the parameters.
  struct Single {
    std::vector<float> y;
    std::vector<float> d_x;
    std::vector<float> d_parameters;
  };
  [[nodiscard]] Single Of(int slot) const {
    MlpGradient network(mlp_, GetDenseKernel("eigen"), kRows);
    const std::vector<float> x = Floats(kRows * 4, Stream(slot));
    const std::vector<float> d_y = Floats(kRows * 2, 100 + Stream(slot));
    const float* y = network.Forward(parameters_, kRows, x.data());
    Single single{std::vector<float>(y, y + kRows * 2), std::vector<float>(x.size()),
                  std::vector<float>(parameters_.size())};
    network.Backward(parameters_, d_y.data(), single.d_parameters, single.d_x.data());
    return single;
  }
  static uint64_t Stream(int slot) { return 10 + static_cast<uint64_t>(slot); }
  static void ExpectNear(const float* found, const std::vector<float>& expected) {
    // The same products in another order: float rounding.
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 1e-5F * (1 + std::abs(expected[i]))) << i;
    }
  }

  const Mlp mlp_{{4, 9, 7, 5, 2}};
  const std::vector<float> parameters_ = Floats(mlp_.parameters(), 1);
};

class EveryMlpTape : public TapeTest, public ::testing::WithParamInterface<MlpTape::Keep> {};

TEST_P(EveryMlpTape, EverySlotIsAPassOfItsOwnInWhateverOrderGradientsGoBack) {
  MlpTape tape(mlp_, GetDenseKernel("eigen"), kRows, kSlots, GetParam());
  for (int slot = 0; slot < kSlots; ++slot) {
    const std::vector<float> x = Floats(kRows * 4, Stream(slot));
    ExpectNear(tape.Forward(parameters_, slot, kRows, x.data()), Of(slot).y);
  }
  for (const int slot : {2, 0, 3, 1}) {
    std::vector<float> d_x(kRows * 4);
    const std::vector<float> d_y = Floats(kRows * 2, 100 + Stream(slot));
    tape.PullBack(parameters_, slot, d_y.data(), d_x.data());
    ExpectNear(d_x.data(), Of(slot).d_x);
  }
}

INSTANTIATE_TEST_SUITE_P(Keeps, EveryMlpTape,
                         ::testing::Values(MlpTape::Keep::kInputGradients,
                                           MlpTape::Keep::kAllGradients));

using MlpTapeTest = TapeTest;

TEST_F(MlpTapeTest, TheGradientByParametersIsTheSumOverSlots) {
  MlpTape tape(mlp_, GetDenseKernel("eigen"), kRows, kSlots, MlpTape::Keep::kAllGradients);
  std::vector<float> expected(parameters_.size());
  for (int slot = 0; slot < kSlots; ++slot) {
    tape.Forward(parameters_, slot, kRows, Floats(kRows * 4, Stream(slot)).data());
    const Single single = Of(slot);
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += single.d_parameters[i];
  }
  std::vector<float> d_x(kRows * 4);
  for (int slot = 0; slot < kSlots; ++slot) {
    tape.PullBack(parameters_, slot, Floats(kRows * 2, 100 + Stream(slot)).data(), d_x.data());
  }
  std::vector<float> d_parameters(parameters_.size(), 7.0F);  // overwritten
  tape.ParameterGradient(kSlots, d_parameters);
  ExpectNear(d_parameters.data(), expected);
}

}  // namespace
}  // namespace foreplan
