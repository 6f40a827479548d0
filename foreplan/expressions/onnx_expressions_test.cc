#include "foreplan/expressions/onnx_expressions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/testing/onnx_evaluation.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/testing/compiled_expression.h"

namespace foreplan {
namespace {

constexpr int kRows = 40;
constexpr TransitionSizes kSizes{4, 2};

// Of every operation, in all quadrants.
const std::vector<std::string> kTexts = {
    "-x + y * previous.hinge / (2 + push) - u.hinge",
    "abs(x) * sign(y)",
    "sqrt(abs(x)) + exp(y) + log(1 + y^2)",
    "sin(previous.hinge) * cos(previous.hinge) + tan(0.5 * x)",
    "asin(tanh(x)) + acos(tanh(y))",
    "atan2(y, x)",
    "atan2(-1, x) + atan2(0, -1) + atan2(0, x - x) + atan(y)",
    "abs(x)^(2 + push)",
    "min(x, y, previous.hinge) - max(x, push)",
    "if(x < y and not (push <= 0.2) or previous.hinge == 0, x, y)",
    "if(x >= 0, 1, 2) * if(y > x, 3, x)",
    "3",
    "[x, y]"};

struct Sample {
  std::vector<double> observation, action;  // [rows x 4], [rows x 2]
};

Sample Draw() {
  Sample sample;
  Random random(Key{2, 9});
  for (int i = 0; i < 4 * kRows; ++i) sample.observation.push_back(random.Uniform(-2.5, 2.5));
  for (int i = 0; i < 2 * kRows; ++i) sample.action.push_back(random.Uniform(-1, 1));
  sample.observation[0] = 0;
  sample.observation[1] = 0;
  return sample;
}

TEST(OnnxExpressions, GiveWhatProgramsGive) {
  const ExpressionDefinitions definitions = Definitions();
  const Sample sample = Draw();
  for (const std::string& text : kTexts) {
    ExpressionCompiler compiler(kScope, definitions);
    const std::vector<int> nodes = compiler.NumbersBeforeStep({"t", text});
    const auto count = static_cast<int64_t>(nodes.size());
    const ExpressionProgram program(compiler.graph(), nodes, -1, kSizes);
    std::vector<double> expected(nodes.size() * kRows);
    program.Run({kRows, sample.observation.data(), sample.action.data(), sample.observation.data()},
                expected.data(), nullptr);
    OnnxGraph onnx("expressions");
    const std::string observation = onnx.Input("o", OnnxType::kDouble, {"n", 4}, "");
    const std::string action = onnx.Input("u", OnnxType::kDouble, {"n", 2}, "");
    const std::string value = AppendExpressions(compiler.graph(), nodes, observation, action, onnx);
    onnx.Output(value, "value", OnnxType::kDouble, {"n", count}, "");
    const auto results = OnnxEvaluation(onnx.Model({}))
                             .Run({{"o", {11, {kRows, 4}, sample.observation}},
                                   {"u", {11, {kRows, 2}, sample.action}}});
    const OnnxTensor& found = results.at("value");
    ASSERT_EQ(found.shape, (std::vector<int64_t>{kRows, count})) << text;
    for (size_t i = 0; i < expected.size(); ++i) {
      // Both in doubles: a few roundings of numbers below 20.
      EXPECT_NEAR(found.values[i], expected[i], 1e-13) << text << ", value " << i;
    }
  }
}

}  // namespace
}  // namespace foreplan
