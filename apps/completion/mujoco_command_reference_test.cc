// docs/commands.md is what the program says; without MuJoCo it has fewer suites to measure.
#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"

namespace foreplan::apps {
namespace {

using CommandReference = ProgramTest;

TEST_F(CommandReference, IsThePageOfTheDocumentation) {
  const ProgramResult result = RunProgram({"manual", "markdown"});
  EXPECT_TRUE(result.out == FileText(FOREPLAN_SOURCE_DIR "/docs/commands.md"))
      << "anew: build/release/foreplan manual markdown >docs/commands.md";
}

}  // namespace
}  // namespace foreplan::apps
