// What is said of wrong expressions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/expressions/testing/compiled_expression.h"

namespace foreplan {
namespace {

TEST(ExpressionErrors, PointIntoTheText) {
  EXPECT_EQ(RewardError("exp(-hing^2)"),
            "t: reward: column 6: unknown name 'hing' (did you mean 'hinge'?); known: distance, "
            "reach, far, length, goal, push, hinge, x, y, hinge, left hip, u, next, previous, pi, "
            "inf\n"
            "  exp(-hing^2)\n"
            "       ^");
  EXPECT_EQ(RewardError("x +\n  3 * yy"),
            "t: reward: line 2, column 7: unknown name 'yy' (did you mean 'y'?); known: distance, "
            "reach, far, length, goal, push, hinge, x, y, hinge, left hip, u, next, previous, pi, "
            "inf\n"
            "    3 * yy\n"
            "        ^");
}

TEST(ExpressionErrors, SayWhatWasExpected) {
  using testing::HasSubstr;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "column 1: found nothing, expected an expression"},
      {"x +", "column 4: found the end, expected a number, a name, '(' or '['"},
      {"(x", "column 3: found the end, expected ')'"},
      {"x y", "column 3: found 'y', expected an operator"},
      {"2x", "column 2: found 'x', expected an operator, as in 2 * x"},
      {"x = 2", "column 3: found '=', expected '=='"},
      {"x ** 2", "column 3: found '**', expected '^'"},
      {"x; y", "column 2: found ';', expected an operator"},
      {"sin(x", "column 6: found the end, expected ',' or ')'"},
      {"\xce\xb8 + 1", "column 1: found '\xce\xb8', expected a number"},
      {"sin", "column 1: found the function 'sin' without arguments, expected sin(x)"},
      {"coss(x)", "column 1: unknown function 'coss' (did you mean 'cos'?)"},
      {"sin(x, y)", "column 1: found 2 arguments, expected sin(x)"},
      {"atan2(x)", "column 1: found 1 argument, expected atan2(y, x)"},
      {"norm()", "column 1: found 0 arguments, expected norm(x, ...)"},
      {"x > 1", "found a condition, expected a number, as if(condition, 1, 0) is one"},
      {"2 * (x > 1)", "column 8: found a condition, expected a number"},
      {"if(x, 1, 0)", "column 4: found a number, expected a condition"},
      {"goal", "found 2 numbers, expected one, as sum(...)"},
      {"goal + next", "column 6: found 2 numbers on the left and 4 on the right of '+'"},
      {"goal[2]", "column 5: found [2] of 2 numbers, expected an index or a range within 0 ... 2"},
      {"goal[:0]", "column 5: found [:0] of 2 numbers"},
      {"max(x, y,)", "column 9: found a comma before ')', expected none"},
      {"sum([x, y,])", "column 10: found a comma before ']', expected none"},
      {"clip(x, 1, 0)", "column 9: found the bounds 1 and 0, expected low <= high"},
      {"hinge",
       "column 1: found 'hinge', the name of an observation and of an action, expected "
       "next.hinge, previous.hinge or u.hinge"},
      {"prev.x", "column 1: found 'prev.', expected next., previous. or u."},
      {"u.x", "column 3: unknown action component 'x'"},
      {"next.lenth", "column 6: unknown observation component or quantity 'lenth'"},
      {"1 / 0", "column 3: found a division by zero, expected a finite number"},
      {"x + log(0)", "column 5: found the logarithm of 0, expected a finite number"},
      {"sqrt(length - 1)", "column 1: found the square root of -0.4"},
      {"tolerance(x, 1, 0)", "found the bounds 1 and 0, expected low <= high"},
      {"tolerance(x, 0, 1, -1)", "found -1, expected a margin of at least 0"},
      {"tolerance(x, 0, 1, y)", "found a number that changes, expected a margin"},
      {"tolerance(x, 0, 1, 1, gausian)",
       "unknown kind of tolerance 'gausian' (did you mean "
       "'gaussian'?)"},
      {"tolerance(x, 0, 1, 1, gaussian, 0)", "found 0, expected a value between 0 and 1"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(RewardError(text), HasSubstr(expected)) << text;
  }
  EXPECT_THAT(TerminationError("x"), HasSubstr("t: termination: column 1: found a number"));
  EXPECT_THAT(TerminationError("next > 0"), HasSubstr("found 4 conditions, expected one"));
  EXPECT_THAT(TerminationError("x > 0 && y > 0"), HasSubstr("column 7: found '&&', expected "
                                                            "'and'"));
}

TEST(ExpressionErrors, LongTextsAreShownInPart) {
  std::string text = "x";
  for (int i = 0; i < 50; ++i) text += " + x";
  const std::string message = RewardError(text + " + z" +
                                          std::string(" + y + y + y + y + y + y + y"
                                                      " + y + y + y + y"));
  const std::string shown = message.substr(message.find('\n'));
  EXPECT_LT(shown.size(), 200U);
  EXPECT_THAT(shown, testing::StartsWith("\n  ...x + x"));
  const size_t line = shown.find('\n', 1);
  EXPECT_EQ(shown.find('z') - 1, shown.find('^') - line - 1);
}

// Bytes that go on with a character where none has begun, as in a file that is no UTF-8.
TEST(ExpressionErrors, OfTextsThatAreNoCharactersNothingIsShown) {
  EXPECT_THAT(RewardError(std::string(100, '\xb2')), testing::EndsWith("\n  \n  ^"));
  EXPECT_THAT(RewardError("x x" + std::string(100, '\xb2')), testing::EndsWith("\n  x\n    ^"));
}

TEST(ExpressionErrors, DeepAndLongTextsAreRefusedNotCrashedOn) {
  EXPECT_THAT(RewardError(std::string(100'000, '(')), testing::HasSubstr("too many parts inside"));
  EXPECT_THAT(RewardError(std::string(100'000, '-') + "x"), testing::HasSubstr("too many parts"));
  std::string sum = "x";
  for (int i = 0; i < 10'000; ++i) sum += "+x";
  EXPECT_THAT(RewardError(sum), testing::HasSubstr("expected [quantities] for parts of it"));
}

TEST(ExpressionErrors, NamesHaveOneMeaning) {
  using testing::HasSubstr;
  const auto error = [](const std::string& name) {
    return MessageOf([&] {
      const ExpressionDefinitions definitions{{{name, "t: constants." + name, {1.0}}}, {}};
      Compiled(definitions, "1", "");
    });
  };
  EXPECT_THAT(error("x"), HasSubstr("t: constants.x: found the name of an observation component"));
  EXPECT_THAT(error("push"), HasSubstr("found the name of an action component"));
  EXPECT_THAT(error("u"), HasSubstr("which expressions have for themselves"));
  EXPECT_THAT(error("a-b"), HasSubstr("found the name 'a-b', expected letters"));
  EXPECT_EQ(error("sin"), "");  // a function is told by its parentheses
}

TEST(ExpressionErrors, QuantitiesMustNotStandOnThemselves) {
  const ExpressionDefinitions definitions{
      {}, {{"a", {"t: quantities.a", "1 + b"}}, {"b", {"t: quantities.b", "2 * a"}}}};
  const std::string message = MessageOf([&] { Compiled(definitions, "1", ""); });
  EXPECT_THAT(message, testing::HasSubstr("t: quantities.b: column 5: found 'a' in its own "
                                          "definition (a -> b -> a)"));
}

}  // namespace
}  // namespace foreplan
