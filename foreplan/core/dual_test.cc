#include "foreplan/core/dual.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace foreplan {
namespace {

// Everything a formula may use, in two variables.
template <typename T>
T Formula(const T& x, const T& y) {
  using std::abs;
  using std::atan2;
  using std::cos;
  using std::exp;
  using std::log;
  using std::sin;
  using std::sqrt;
  T sum = sin(x) * cos(y) + exp(-x * y) / (2.0 + y * y) - sqrt(x + 3.0) + 2.0 / x;
  sum += atan2(y, x) * 0.5;
  sum -= abs(y - 1.0) * x / 3.0;
  sum += log(x + 2.0) * y;
  sum *= 1.0 - x;
  return sum;
}

TEST(Dual, FirstAndSecondDerivativesEqualDifferences) {
  const double h = 1e-4;
  for (const auto& [x, y] : {std::array{0.7, 0.3}, std::array{1.3, 2.0}, std::array{2.1, -0.4}}) {
    const auto f = [](double a, double b) { return Formula<double>(a, b); };
    const auto result = Formula(SecondVariable<2>(x, 0), SecondVariable<2>(y, 1));
    EXPECT_DOUBLE_EQ(result.value.value, f(x, y));
    // Central differences with h = 1e-4: errors of about 1e-8 in first and 1e-7 in second ones.
    EXPECT_NEAR(result.partial[0].value, (f(x + h, y) - f(x - h, y)) / (2 * h), 1e-7);
    EXPECT_NEAR(result.partial[1].value, (f(x, y + h) - f(x, y - h)) / (2 * h), 1e-7);
    EXPECT_NEAR(result.partial[0].partial[0], (f(x + h, y) - 2 * f(x, y) + f(x - h, y)) / (h * h),
                1e-6);
    EXPECT_NEAR(result.partial[1].partial[1], (f(x, y + h) - 2 * f(x, y) + f(x, y - h)) / (h * h),
                1e-6);
    EXPECT_NEAR(
        result.partial[0].partial[1],
        (f(x + h, y + h) - f(x + h, y - h) - f(x - h, y + h) + f(x - h, y - h)) / (4 * h * h),
        1e-6);
    EXPECT_NEAR(result.partial[0].partial[1], result.partial[1].partial[0], 1e-13);  // rounding
  }
}

TEST(Dual, ComparesByValueAndPassesNan) {
  using T = Dual<double, 1>;
  EXPECT_TRUE(T::Variable(1, 0) < T(2.0));
  EXPECT_TRUE(T::Variable(3, 0) > 2.0);
  EXPECT_FALSE(isfinite(T(std::nan(""))));
}

}  // namespace
}  // namespace foreplan
