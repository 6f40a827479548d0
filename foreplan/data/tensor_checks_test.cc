#include "foreplan/data/tensor_checks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

TEST(TensorChecks, NameFileTensorElementFoundAndExpected) {
  TensorFile file;
  file.source = "state.safetensors";
  file.tensors["w"] = {{3}, std::vector<float>{1, -std::numeric_limits<float>::quiet_NaN(), 2}};
  file.tensors["d"] = {{2}, std::vector<double>{1, std::numeric_limits<double>::infinity()}};
  file.tensors["s"] = {{3}, std::vector<double>{0.5, 1e-300, 0}};
  file.tensors["n"] = {{2}, std::vector<int32_t>{0, -7}};
  EXPECT_EQ(MessageOf([&] { CheckFinite(file, "w"); }),
            "state.safetensors: tensor 'w', element 1: found nan, expected a finite number");
  EXPECT_EQ(MessageOf([&] { CheckFinite(file, "d"); }),
            "state.safetensors: tensor 'd', element 1: found inf, expected a finite number");
  EXPECT_EQ(MessageOf([&] { CheckPositive(file, "s"); }),
            "state.safetensors: tensor 's', element 2: found 0, expected a finite number above 0");
  EXPECT_EQ(MessageOf([&] { CheckAtLeast(file, "n", 0); }),
            "state.safetensors: tensor 'n', element 1: found -7, expected at least 0");
  EXPECT_EQ(MessageOf([&] { CheckFinite(file, "x"); }), "state.safetensors: tensor 'x' is missing");
  EXPECT_EQ(MessageOf([&] { CheckFinite(file, "s"); }), "");
  EXPECT_EQ(MessageOf([&] { CheckAtLeast(file, "n", -7); }), "");
}

TEST(TensorChecks, CountersHaveRoomToCountOn) {
  TensorFile file;
  file.source = "state.safetensors";
  file.tensors["n"] = {{3}, std::vector<int32_t>{0, 1'000'000'000, 7}};
  EXPECT_EQ(MessageOf([&] { CheckCounters(file, "n"); }), "");
  for (const int32_t wrong : {-1, 1'000'000'001, std::numeric_limits<int32_t>::max()}) {
    file.tensors["n"] = {{2}, std::vector<int32_t>{0, wrong}};
    EXPECT_EQ(MessageOf([&] { CheckCounters(file, "n"); }),
              "state.safetensors: tensor 'n', element 1: found " + std::to_string(wrong) +
                  ", expected a count from 0 to 1000000000");
  }
  file.tensors["n"] = {{2}, std::vector<double>{3, 2.5}};
  EXPECT_NE(MessageOf([&] { CheckCounters(file, "n"); }).find("found 2.5"), std::string::npos);
}

TEST(TensorChecks, ScalesAreNumbersThatOneCanDivideBy) {
  TensorFile file;
  for (const double wrong : {0.0, -0.0, -1.0, std::numeric_limits<double>::denorm_min()}) {
    file.tensors["s"] = {{2}, std::vector<double>{1e-300, wrong}};
    EXPECT_NE(MessageOf([&] { CheckPositive(file, "s"); }), "") << wrong;
  }
  file.tensors["s"] = {{2}, std::vector<double>{1e-300, 1e300}};
  EXPECT_EQ(MessageOf([&] { CheckPositive(file, "s"); }), "");
}

TEST(TensorChecks, FlagsAreZeroOrOne) {
  TensorFile file;
  file.source = "f.safetensors";
  file.tensors["n"] = {{3}, std::vector<int32_t>{0, 1, 1}};
  EXPECT_EQ(MessageOf([&] { CheckFlags(file, "n"); }), "");
  for (const int32_t wrong : {2, -1}) {
    file.tensors["n"] = {{2}, std::vector<int32_t>{1, wrong}};
    EXPECT_NE(MessageOf([&] { CheckFlags(file, "n"); }).find("expected 0 or 1"), std::string::npos);
  }
}

}  // namespace
}  // namespace foreplan
