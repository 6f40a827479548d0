// What expressions mean, and that they are computed as they say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_fault.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/expression_tape.h"
#include "foreplan/expressions/testing/compiled_expression.h"

namespace foreplan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double ValueOf(const std::string& text) {
  const Compiled compiled = Compile(text);
  double value = 0;
  uint8_t terminated = 2;
  compiled.Evaluate(
      {1, kTransition.observation.data(), kTransition.action.data(), kTransition.next.data()},
      &value, &terminated);
  EXPECT_EQ(terminated, 0);
  return value;
}

bool Holds(const std::string& condition) {
  const Compiled compiled = Compile("0", condition);
  double value = 1;
  uint8_t terminated = 2;
  compiled.Evaluate(
      {1, kTransition.observation.data(), kTransition.action.data(), kTransition.next.data()},
      &value, &terminated);
  EXPECT_EQ(value, 0);
  EXPECT_LE(terminated, 1);
  return terminated == 1;
}

// Values near 1, of few operations.
constexpr double kRounding = 1e-14;

TEST(Expression, NamesStandForComponents) {
  EXPECT_EQ(ValueOf("x"), 0.7);
  EXPECT_EQ(ValueOf("next.x"), 0.7);
  EXPECT_EQ(ValueOf("previous.x"), 0.5);
  EXPECT_EQ(ValueOf("next.hinge"), 0.4);
  EXPECT_EQ(ValueOf("u.hinge"), -0.75);
  EXPECT_EQ(ValueOf("push"), 0.25);
  EXPECT_EQ(ValueOf("u[1]"), -0.75);
  EXPECT_EQ(ValueOf("previous.'left hip' - 'left hip'"), 0.1);
  EXPECT_EQ(ValueOf("sum(next[0:2])"), 0.7 - 1.2);
  EXPECT_EQ(ValueOf("sum(previous[:2])"), 0.5 - 1.5);
  EXPECT_EQ(ValueOf("sum(u[1:])"), -0.75);
  EXPECT_EQ(ValueOf("pi"), std::numbers::pi);
  EXPECT_EQ(ValueOf("length"), 0.6);
  EXPECT_EQ(ValueOf("goal[1]"), 2);
}

TEST(Expression, QuantitiesMayBeThoseBeforeTheStep) {
  EXPECT_NEAR(ValueOf("distance"), std::hypot(0.7 - 1, -1.2 - 2), kRounding);
  EXPECT_NEAR(ValueOf("previous.distance"), std::hypot(0.5 - 1, -1.5 - 2), kRounding);
  EXPECT_NEAR(ValueOf("previous.distance - next.distance"),
              std::hypot(0.5 - 1, -1.5 - 2) - std::hypot(0.7 - 1, -1.2 - 2), kRounding);
  EXPECT_TRUE(Holds("far"));
}

TEST(Expression, OperatorsBindAsInMathematics) {
  EXPECT_EQ(ValueOf("1 + 2 * 3 ^ 2"), 19);
  EXPECT_EQ(ValueOf("-2 ^ 2"), -4);
  EXPECT_EQ(ValueOf("2 ^ -1"), 0.5);
  EXPECT_EQ(ValueOf("2 ^ 3 ^ 2"), 512);
  EXPECT_EQ(ValueOf("8 / 4 / 2 - 3 - 1"), -3);
  EXPECT_EQ(ValueOf("2 * -x"), -1.4);
  EXPECT_EQ(ValueOf("(1 + 2)\n * 3e0\t- .5"), 8.5);
  EXPECT_TRUE(Holds("not x > 1 and y < 0 or x > 5"));
  EXPECT_TRUE(Holds("x > 5 or x > 0 and not y > 0"));
  EXPECT_FALSE(Holds("not (x > 0 or y > 0)"));
  EXPECT_FALSE(Holds("not x > 1 and y > 0"));
  EXPECT_TRUE(Holds("not x > 0 or y < 0"));
}

// What is known beforehand is computed once; equal parts exist once. The values stay.
TEST(Expression, FoldingChangesNoValue) {
  const double x = 0.7, y = -1.2;
  EXPECT_EQ(ValueOf("1 * x + x * 1 + x / 1"), 3 * x);
  EXPECT_EQ(ValueOf("-(-x) + y"), x + y);
  EXPECT_EQ(ValueOf("x * (y - x)"), x * (y - x));
  EXPECT_EQ(ValueOf("y / x - x / y"), y / x - x / y);
  EXPECT_EQ(ValueOf("if(1 < 2, x, y)"), x);
  EXPECT_EQ(ValueOf("if(2 < 1, x, y)"), y);
  EXPECT_EQ(ValueOf("if(x > y, y, y)"), y);
  EXPECT_NEAR(ValueOf("(x + 2) * (y + 2) - (x + 3) * (y + 2)"), -(y + 2), kRounding);
  EXPECT_TRUE(Holds("1 < 2"));
  EXPECT_FALSE(Holds("2 < 1"));
  EXPECT_TRUE(Holds("not not x > 0"));
  EXPECT_TRUE(Holds("x > 0 and 1 < 2"));
  EXPECT_FALSE(Holds("x > 0 and 2 < 1"));
  EXPECT_FALSE(Holds("x < 0 and 1 < 2"));
  EXPECT_TRUE(Holds("x > 0 or 2 < 1"));
  EXPECT_TRUE(Holds("x < 0 or 1 < 2"));
  EXPECT_FALSE(Holds("x < 0 or 2 < 1"));
}

TEST(Expression, ComparisonsMayBeChained) {
  EXPECT_TRUE(Holds("0 < x < 1"));
  EXPECT_FALSE(Holds("0 < x < 0.7"));
  EXPECT_TRUE(Holds("0 < x <= 0.7 == x"));
  EXPECT_TRUE(Holds("1 > x >= 0.7 > y"));
  EXPECT_TRUE(Holds("x != y"));
  EXPECT_FALSE(Holds("x != x"));
  EXPECT_TRUE(Holds("all(-2 < next < 1)"));
  EXPECT_FALSE(Holds("all(-1 < next < 1)"));
  EXPECT_TRUE(Holds("any(next < -1, x > 3)"));
  EXPECT_TRUE(Holds("finite(next, u)"));
}

TEST(Expression, FunctionsAreThoseOfTheLibrary) {
  const double x = 0.7, y = -1.2;
  EXPECT_NEAR(ValueOf("abs(y) + sqrt(x) + exp(y) + log(x)"),
              std::abs(y) + std::sqrt(x) + std::exp(y) + std::log(x), kRounding);
  EXPECT_NEAR(ValueOf("sin(x) + cos(y) + tan(y) + tanh(y)"),
              std::sin(x) + std::cos(y) + std::tan(y) + std::tanh(y), kRounding);
  EXPECT_NEAR(ValueOf("asin(x) + acos(x) + atan(y) + atan2(y, x)"),
              std::asin(x) + std::acos(x) + std::atan(y) + std::atan2(y, x), kRounding);
  EXPECT_NEAR(ValueOf("x ^ y + x ^ 5 + x ^ -3 + x ^ 0.5"),
              std::pow(x, y) + std::pow(x, 5) + std::pow(x, -3) + std::sqrt(x), kRounding);
  EXPECT_NEAR(ValueOf("square(y) + sign(y) + clip(y, -1, 1) + clip(x, 0, 0.5)"),
              y * y - 1 - 1 + 0.5, kRounding);
  EXPECT_EQ(ValueOf("min(x, y) + max(x, y, 0.9) + min(next) + max(previous)"), y + 0.9 + y + 0.5);
  EXPECT_EQ(ValueOf("if(x > 0, x, y) + if(x < 0, x, y)"), x + y);
  EXPECT_EQ(ValueOf("sum(if([x, y] > 0, 1, -2))"), -1);
  EXPECT_NEAR(ValueOf("norm(x, y)"), std::hypot(x, y), kRounding);
  EXPECT_NEAR(ValueOf("quadratic(x, y)"), 0.5 * (x * x + y * y), kRounding);
  EXPECT_NEAR(ValueOf("quadratic([2, 3] * [x, y])"), 0.5 * (4 * x * x + 9 * y * y), kRounding);
  EXPECT_NEAR(ValueOf("l1l2([x, y], 2, 3, 0.01)"),
              2 * std::sqrt(0.01 + x * x + y * y) + 1.5 * (x * x + y * y), kRounding);
  EXPECT_NEAR(ValueOf("l1l2(x, 2, 3)"), 2 * std::sqrt(1e-5 + x * x) + 1.5 * x * x, kRounding);
  EXPECT_NEAR(ValueOf("smooth_abs([x, y], 0.1)"), std::hypot(x, 0.1) + std::hypot(y, 0.1) - 0.2,
              kRounding);
}

// At the margin its value is value_at_margin, for every kind; half way as the formulas of the
// Control Suite give it.
TEST(Expression, ToleranceIsOneInsideAndFallsOverItsMargin) {
  EXPECT_EQ(ValueOf("tolerance(x, 0, 1)"), 1);
  EXPECT_EQ(ValueOf("tolerance(x, 0.7, 0.7)"), 1);
  EXPECT_EQ(ValueOf("tolerance(x, 1, 2)"), 0);
  EXPECT_EQ(ValueOf("tolerance(x, 0, inf)"), 1);
  EXPECT_NEAR(ValueOf("tolerance(x, 0.1, 0.2, 0.5)"), 0.1, kRounding);
  const double v = 0.3;
  const std::vector<std::pair<std::string, double>> half = {
      {"gaussian", std::pow(v, 0.25)},
      {"hyperbolic", 1 / std::cosh(0.5 * std::acosh(1 / v))},
      {"long_tail", 1 / (1 + 0.25 * (1 / v - 1))},
      {"reciprocal", 1 / (1 + 0.5 * (1 / v - 1))},
      {"cosine", 0.5 * (1 + std::cos(0.5 * std::acos(2 * v - 1)))},
      {"linear", 1 - 0.5 * (1 - v)},
      {"quadratic", 1 - 0.25 * (1 - v)},
      {"tanh_squared", 1 - std::pow(std::tanh(0.5 * std::atanh(std::sqrt(1 - v))), 2)}};
  for (const auto& [kind, expected] : half) {
    SCOPED_TRACE(kind);
    EXPECT_NEAR(ValueOf("tolerance(x, 0, 0.2, 0.5, " + kind + ", 0.3)"), v, kRounding);
    EXPECT_NEAR(ValueOf("tolerance(x, 1.2, 2, 0.5, " + kind + ", 0.3)"), v, kRounding);
    EXPECT_NEAR(ValueOf("tolerance(x, 0, 0.45, 0.5, " + kind + ", 0.3)"), expected, kRounding);
  }
  EXPECT_EQ(ValueOf("tolerance(x, 0, 0.2, 0.25, linear, 0)"), 0);
}

TEST(Expression, EveryRowOfABatchIsTheRow) {
  const Compiled compiled = Compile(
      "exp(-distance^2 / length) + tolerance(next.hinge - u.hinge, 0, 1, 2, long_tail) + atan2(y, "
      "x) + "
      "sin(x) * cos(x) - previous.distance / (2 + cos(y)) + 3 * x * y - x * push",
      "far and (next.hinge > 0 or not finite(next))");
  constexpr size_t no = 4, nu = 2;
  Random random(Key{1, 0});
  for (const int rows : {1, 7, 8, 64, 65, 200}) {
    const auto size = static_cast<size_t>(rows);
    std::vector<double> observation(size * no), next(size * no), action(size * nu);
    for (auto* values : {&observation, &next, &action}) {
      for (double& value : *values) value = random.Uniform(-3.0, 3.0);
    }
    std::vector<double> together(size);
    std::vector<uint8_t> ended(size, 2);
    compiled.Evaluate({rows, observation.data(), action.data(), next.data()}, together.data(),
                      ended.data());
    for (size_t row = 0; row < size; ++row) {
      double alone = 0;
      uint8_t ended_alone = 2;
      compiled.Evaluate({1, &observation[row * no], &action[row * nu], &next[row * no]}, &alone,
                        &ended_alone);
      EXPECT_EQ(together[row], alone);
      EXPECT_EQ(ended[row], ended_alone);
      const double dx = next[row * no] - 1, dy = next[row * no + 1] - 2;
      EXPECT_EQ(ended[row] == 1, std::hypot(dx, dy) > 2 && next[row * no + 2] > 0);
      std::vector<double> gradient(2 * no + nu), hessian(gradient.size() * gradient.size());
      EXPECT_NEAR(together[row],
                  compiled.Expand(&observation[row * no], &action[row * nu], &next[row * no],
                                  gradient.data(), hessian.data()),
                  1e-13 * (1 + std::abs(alone)));
    }
  }
}

TEST(Expression, ANanAnywhereInARowGivesNanInThatRowOnly) {
  const Compiled compiled = Compile("x");
  std::vector<double> observation(4 * 11, 0.5), next(4 * 11, 0.25), action(2 * 11, 0.1);
  observation[4 * 2 + 3] = kNan;
  action[2 * 4] = kNan;
  next[4 * 8 + 1] = kNan;
  next[4 * 9] = kInfinity;
  std::vector<double> value(11);
  std::vector<uint8_t> ended(11);
  compiled.Evaluate({11, observation.data(), action.data(), next.data()}, value.data(),
                    ended.data());
  for (size_t row = 0; row < 11; ++row) {
    const bool spoiled = row == 2 || row == 4 || row == 8;
    EXPECT_EQ(std::isnan(value[row]), spoiled) << row;
    if (!spoiled) {
      EXPECT_EQ(value[row], row == 9 ? kInfinity : 0.25);
    }
  }
}

TEST(Expression, ThreadsShareIt) {
  const Compiled compiled = Compile("sin(x) + distance");
  const std::vector<double> rows(4 * 64, 0.3), actions(2 * 64, 0.1);
  std::array<std::vector<double>, 2> found;
  std::vector<std::thread> threads;
  for (auto& values : found) {
    threads.emplace_back([&] {
      values.resize(64);
      std::vector<uint8_t> ended(64);
      for (int i = 0; i < 100; ++i) {
        compiled.Evaluate({64, rows.data(), actions.data(), rows.data()}, values.data(),
                          ended.data());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(found[0], found[1]);
}

TEST(Expression, DerivativesEqualDifferences) {
  const std::vector<std::string> texts = {
      "x * y / (2 + next.hinge) - push ^ 2 + u.hinge * previous.x",
      "sqrt(1 + x^2) + exp(y) * log(2 + x) + sin(x * y) * cos(y) + tan(next.hinge) + tanh(x)",
      "asin(next.hinge) * acos(0.5 * x) + atan2(y, x) + atan(x * y) + x ^ 1.7 + (1 + x^2) ^ push",
      "abs(y) * max(x, y, push) * min(x, next.hinge) + clip(x, 0, 5) ^ 2 + clip(y, 0, 1) * x",
      "if(x > 0, x ^ 3, log(x)) + sign(x) * y + l1l2([x, y], 2, 3) + smooth_abs(x * y, 0.1)",
      "distance * previous.distance + tolerance(x * y, 0, 0.1, 2, gaussian) + "
      "tolerance(x, 0, 0.1, 2, cosine) + tolerance(y, 0, 1, 3, tanh_squared)"};
  constexpr size_t nz = 10;
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    const Compiled compiled = Compile(text);
    std::array<double, nz> z{0.5, -1.5, 0.3, 0.2, 0.25, -0.75, 0.7, -1.2, 0.4, 0.1};
    std::array<double, nz> gradient, above, below;
    std::array<double, nz * nz> hessian, ignored;
    compiled.Expand(z.data(), z.data() + 4, z.data() + 6, gradient.data(), hessian.data());
    for (size_t j = 0; j < nz; ++j) {
      const double h = 1e-5;
      const double kept = z[j];
      z[j] = kept + h;
      const double r_above =
          compiled.Expand(z.data(), z.data() + 4, z.data() + 6, above.data(), ignored.data());
      z[j] = kept - h;
      const double r_below =
          compiled.Expand(z.data(), z.data() + 4, z.data() + 6, below.data(), ignored.data());
      z[j] = kept;
      // Central differences with 1e-5: about 1e-10 of third derivatives up to 1e2.
      EXPECT_NEAR(gradient[j], (r_above - r_below) / (2 * h), 1e-8 * (1 + std::abs(gradient[j])));
      for (size_t i = 0; i < nz; ++i) {
        EXPECT_NEAR(hessian[i * nz + j], (above[i] - below[i]) / (2 * h),
                    1e-8 * (1 + std::abs(hessian[i * nz + j])))
            << i << " " << j;
        EXPECT_NEAR(hessian[i * nz + j], hessian[j * nz + i], 1e-12);
      }
    }
  }
}

TEST(Expression, DerivativesTakeTheSideOfABranch) {
  // At x = 0 the logarithm and its derivatives are infinite, but not taken.
  const Compiled compiled = Compile("if(x > 0, log(x) + x^0.5 + 1 / x, 3 * x) + norm(x, x)^2");
  const std::vector<double> zero(4, 0.0);
  std::array<double, 10> gradient;
  std::array<double, 100> hessian;
  EXPECT_EQ(compiled.Expand(zero.data(), zero.data(), zero.data(), gradient.data(), hessian.data()),
            0);
  EXPECT_EQ(gradient[6], 3);
}

TEST(Expression, InfiniteSlopesOfWhatDoesNotChangeHaveNoPartInDerivatives) {
  // d(0^b) / db = 0^b log 0 is not finite; b does not depend on next.x.
  const Compiled compiled = Compile("x ^ (2 + previous.x)");
  const std::vector<double> zero(4, 0.0);
  std::array<double, 10> gradient;
  std::array<double, 100> hessian;
  EXPECT_EQ(compiled.Expand(zero.data(), zero.data(), zero.data(), gradient.data(), hessian.data()),
            0);
  EXPECT_EQ(gradient[6], 0);
  EXPECT_EQ(hessian[6 * 10 + 6], 2);
}

TEST(Expression, SaysWhyItIsNotFinite) {
  const TransitionBatch batch{1, kTransition.observation.data(), kTransition.action.data(),
                              kTransition.next.data()};
  const auto fault = Compile("log(x - 1) + 0 * sum(previous) / distance").Fault(batch);
  ASSERT_TRUE(fault);
  EXPECT_THAT(fault->found, testing::StartsWith("the logarithm of -0.3"));
  EXPECT_EQ(fault->inputs, "x = 0.7");
  EXPECT_EQ(Compile("1 / (x - 0.7)").Fault(batch)->found, "a division by zero");
  EXPECT_FALSE(Compile("x").Fault(batch));
}

// --- random expressions --------------------------------------------------------------------------

/// Texts whose values stay of the order of 1, so that rounding stays small.
class RandomText {
 public:
  explicit RandomText(Key key) : random_(key) {}

  std::string Number(int depth) {
    const auto arguments = [&](const char* format) {
      std::string text;
      for (const char* c = format; *c != '\0'; ++c) {
        text += *c == '#'   ? Number(depth - 1)
                : *c == '?' ? Condition(depth - 1)
                            : std::string(1, *c);
      }
      return text;
    };
    if (depth == 0)
      return Pick({"x", "y", "push", "next.hinge", "previous.x", "u.hinge", "0.7", "2", "pi",
                   "length", "previous.'left hip'"});
    return arguments(Pick({"(# + #)",
                           "(# - #)",
                           "# * sin(#)",
                           "# / (1 + abs(#))",
                           "-(#)",
                           "clip(#, -1, 1)^2",
                           "sin(#) * cos(#)",
                           "exp(-abs(#))",
                           "tanh(#)",
                           "atan2(#, 1 + square(#))",
                           "sqrt(abs(#))",
                           "log(1 + abs(#))",
                           "min(#, #)",
                           "max(#, #, #)",
                           "if(?, #, #)",
                           "norm(#, #)",
                           "tolerance(#, -0.5, 0.5, 1, long_tail)",
                           "(# * # - # * #)",
                           "sum([#, #] * [0.3, #])",
                           "smooth_abs(#, 0.1)",
                           "sign(#)"})
                         .c_str());
  }

 private:
  std::string Condition(int depth) {
    if (depth <= 0) return Pick({"x > 0", "y <= push", "finite(next)", "previous.far"});
    return "(" + Condition(depth - 1) + Pick({" and ", " or "}) + "not " + Number(depth - 1) +
           Pick({" < ", " >= "}) + Number(depth - 1) + ")";
  }
  std::string Pick(const std::vector<std::string>& texts) {
    return texts[static_cast<size_t>(random_.Uniform(0.0, static_cast<double>(texts.size()))) %
                 texts.size()];
  }

  Random random_;
};

// Rows in registers against plain operations one after the other.
TEST(RandomExpression, IsTheSameInRowsAndAlone) {
  constexpr size_t no = 4, nu = 2;
  constexpr int kRows = 24;
  for (uint64_t trial = 0; trial < 300; ++trial) {
    const std::string text = RandomText(Key{4, trial}).Number(1 + static_cast<int>(trial % 4));
    SCOPED_TRACE(text);
    const Compiled compiled = Compile(text, "(" + text + ") > 0.5");
    Random random(Key{5, trial});
    std::vector<double> observation(kRows * no), next(kRows * no), action(kRows * nu);
    for (auto* values : {&observation, &next, &action}) {
      for (double& value : *values) value = random.Uniform(-2.0, 2.0);
    }
    std::vector<double> value(kRows), gradient(2 * no + nu),
        hessian(gradient.size() * gradient.size());
    std::vector<uint8_t> ended(kRows);
    compiled.Evaluate({kRows, observation.data(), action.data(), next.data()}, value.data(),
                      ended.data());
    for (size_t row = 0; row < kRows; ++row) {
      const double alone = compiled.Expand(&observation[row * no], &action[row * nu],
                                           &next[row * no], gradient.data(), hessian.data());
      // A few hundred operations on numbers of the order of 10, some of which are differences.
      ASSERT_NEAR(value[row], alone, 1e-10 * (1 + std::abs(alone)));
      ASSERT_EQ(ended[row] == 1, value[row] > 0.5);
    }
  }
}

TEST(RandomExpression, NoMutationOfATextBreaksTheCompiler) {
  const std::string characters = "()[]+-*/^<>=!&|,.:' x0123456789e_\n\xce\xb8";
  int compiled = 0;
  for (uint64_t trial = 0; trial < 3000; ++trial) {
    std::string text = RandomText(Key{6, trial}).Number(2);
    Random random(Key{7, trial});
    for (int i = 0; i < 1 + static_cast<int>(trial % 3); ++i) {
      const auto at = static_cast<size_t>(random.Uniform(0.0, static_cast<double>(text.size())));
      const char with = characters[static_cast<size_t>(
          random.Uniform(0.0, static_cast<double>(characters.size())))];
      if (trial % 2 == 0) {
        text.at(at) = with;
      } else {
        text.insert(at, 1, with);
      }
    }
    try {
      Compile(text);
      ++compiled;
    } catch (const InputError& error) {
      ASSERT_THAT(error.what(), testing::StartsWith("t: ")) << text;
      ASSERT_THAT(error.what(), testing::EndsWith("^")) << text;
    }
  }
  EXPECT_GT(compiled, 50);  // not all are refused
}

}  // namespace
}  // namespace foreplan
