#include "foreplan/data/checked_tensors.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr std::array<int64_t, 1> kTwo = {2};

/// The message of what `read` throws; "" when it throws nothing.
template <typename Read>
std::string Refusal(Read read) {
  try {
    static_cast<void>(read());
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TensorFile FileOf(const std::string& name, decltype(Tensor::values) values) {
  TensorFile file;
  file.source = "model.safetensors";
  file.tensors[name] = {{2}, std::move(values)};
  return file;
}

TEST(CheckedTensors, NumbersThatAreNotFiniteAreRefusedByFileTensorAndPlace) {
  for (const double wrong : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const TensorFile doubles = FileOf("mean", std::vector<double>{1, wrong});
    EXPECT_EQ(Refusal([&] { return FiniteDoubles(doubles, "mean", kTwo); }),
              "model.safetensors: tensor 'mean': found " +
                  std::string(std::isnan(wrong) ? "nan"
                              : wrong > 0       ? "inf"
                                                : "-inf") +
                  " at place 2 of 2, expected a finite number");
    const TensorFile floats = FileOf("w", std::vector<float>{static_cast<float>(wrong), 1});
    EXPECT_NE(Refusal([&] { return FiniteFloats(floats, "w", kTwo); }), "");
    EXPECT_NE(Refusal([&] { return NonNegativeFloats(floats, "w", kTwo); }), "");
    EXPECT_NE(Refusal([&] { return NonNegativeDoubles(doubles, "mean", kTwo); }), "");
    EXPECT_NE(Refusal([&] { return PositiveDoubles(doubles, "mean", kTwo); }), "");
  }
}

TEST(CheckedTensors, ScalesAreNumbersThatOneCanDivideBy) {
  for (const double wrong : {0.0, -0.0, -1.0, std::numeric_limits<double>::denorm_min()}) {
    const TensorFile file = FileOf("scale", std::vector<double>{wrong, 1});
    EXPECT_NE(Refusal([&] { return PositiveDoubles(file, "scale", kTwo); }), "") << wrong;
  }
  const TensorFile tiny = FileOf("scale", std::vector<double>{1e-300, 1e300});
  EXPECT_EQ(PositiveDoubles(tiny, "scale", kTwo)[0], 1e-300);
}

TEST(CheckedTensors, SquaresMayBeZeroAndNotNegative) {
  const TensorFile good = FileOf("v", std::vector<float>{0, 1});
  EXPECT_EQ(NonNegativeFloats(good, "v", kTwo).size(), 2U);
  const TensorFile bad = FileOf("v", std::vector<float>{0, -1e-9F});
  EXPECT_NE(Refusal([&] { return NonNegativeFloats(bad, "v", kTwo); }), "");
  const TensorFile worse = FileOf("v", std::vector<double>{-1, 0});
  EXPECT_NE(Refusal([&] { return NonNegativeDoubles(worse, "v", kTwo); }), "");
}

TEST(CheckedTensors, CountsAreNotNegative) {
  const TensorFile file = FileOf("steps", std::vector<int32_t>{0, -7});
  EXPECT_EQ(Refusal([&] { return Counts(file, "steps", kTwo); }),
            "model.safetensors: tensor 'steps': found -7 at place 2 of 2, expected a number >= 0");
}

TEST(CheckedTensors, TypesAndShapesAreThoseAskedFor) {
  const TensorFile file = FileOf("scale", std::vector<float>{1, 1});
  EXPECT_NE(Refusal([&] { return PositiveDoubles(file, "scale", kTwo); }), "");
  EXPECT_NE(Refusal([&] { return FiniteFloats(file, "other", kTwo); }), "");
}

}  // namespace
}  // namespace foreplan
