// The command export: what was learned, as files for other programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Export : public ProgramTest {
 protected:
  void Run() const {
    ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  }
};

TEST_F(Export, AGraphOfTheModelSaysWhatItIsOf) {
  Run();
  const nlohmann::json answer = Answer({"export", "run", "--format", "onnx"});
  EXPECT_EQ(answer["file"], "run-model.onnx");
  EXPECT_EQ(answer["what"], "model");
  EXPECT_EQ(answer["subject"]["observation"][1]["name"], "hinge");
  const std::string bytes = FileText(work() / "run-model.onnx");
  EXPECT_EQ(answer["bytes"], bytes.size());
  EXPECT_THAT(bytes, StartsWith("\x08\x08\x12\x08"
                                "foreplan"));
  EXPECT_THAT(bytes, HasSubstr("member_standard_deviations"));
}

TEST_F(Export, AFileOfTheModelAlonePredicts) {
  Run();
  EXPECT_EQ(Answer({"export", "run", "--format", "safetensors"})["file"], "run-model.safetensors");
  const auto of_run = Answer({"predict", "run", "run"});
  const auto of_file = Answer({"predict", "run-model.safetensors", "run"});
  EXPECT_EQ(of_file["horizons"], of_run["horizons"]);
  EXPECT_FALSE(of_file["horizons"].is_null());
  static_cast<void>(
      Answer({"export", "run-model.safetensors", "--format", "onnx", "--out", "of_file.onnx"}));
  static_cast<void>(Answer({"export", "run", "--format", "onnx", "--out", "of_run.onnx"}));
  EXPECT_EQ(FileText(work() / "of_file.onnx"), FileText(work() / "of_run.onnx"));
}

TEST_F(Export, SaysWhatIsWrong) {
  Run();
  const std::vector<std::string> before = Files();
  EXPECT_THAT(Refusal({"export", "run"}), HasSubstr("found none of --data and --format"));
  EXPECT_THAT(Refusal({"export", "run", "--data", "csv", "--format", "onnx"}),
              HasSubstr("found both of --data and --format"));
  EXPECT_THAT(Refusal({"export", "run", "--data", "csv", "--what", "model"}),
              HasSubstr("expected it beside --format"));
  EXPECT_THAT(Refusal({"export", "run", "--format", "pb"}),
              HasSubstr("found 'pb', expected safetensors, onnx"));
  EXPECT_THAT(Refusal({"export", "run", "--format", "onnx", "--what", "policy"}),
              HasSubstr("found no tensors 'policy.*'"));
  EXPECT_THAT(Refusal({"export", "run", "--format", "onnx", "--out", "a.pb"}),
              HasSubstr("expected a name that ends in .onnx"));
  EXPECT_EQ(Files(), before);
}

}  // namespace
}  // namespace foreplan::apps
