// What the program prints for shells and for man; bash, zsh, fish and groff are asked where they
// are.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <regex>
#include <sstream>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Completion : public ProgramTest {
 protected:
  [[nodiscard]] std::string Printed(const std::vector<std::string>& arguments) const {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  /// What a script of a shell prints, in work(), with the program first on its PATH; skips the test
  /// without it.
  [[nodiscard]] ProgramResult Shell(const std::string& shell, const std::string& script) const {
    WriteText("script", script);
    return Wait(StartOther("/usr/bin/env", {shell, "script"}, shell,
                           [] {
                             const auto folder =
                                 std::filesystem::path(FOREPLAN_PROGRAM).parent_path().string();
                             setenv("PATH", (folder + ":" + std::getenv("PATH")).c_str(), 1);
                           }),
                shell);
  }

  [[nodiscard]] bool Has(const std::string& program) const {
    return Shell("sh", "command -v " + program).exit_code == 0;
  }

  /// The words that bash offers at the end of a line; the last one is not finished.
  [[nodiscard]] std::vector<std::string> BashOffers(const std::vector<std::string>& words) const {
    std::string script = "source <(foreplan completion bash)\nCOMP_WORDS=(";
    for (const std::string& word : words) script += "'" + word + "' ";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) + "\n_foreplan foreplan '" +
              words.back() + "' '" + words[words.size() - 2] +
              "'\nfor word in \"${COMPREPLY[@]}\"; do echo \"$word\"; done\n";
    const ProgramResult result = Shell("bash", script);
    EXPECT_EQ(result.err, "");
    return LinesOf(result.out);
  }

  /// Commands by the program's help, and the options of each by its own.
  [[nodiscard]] std::map<std::string, std::vector<std::string>> OptionsInHelp() const {
    std::map<std::string, std::vector<std::string>> options;
    bool in_commands = false;
    for (const std::string& line : LinesOf(Printed({"--help"}))) {
      if (line.empty()) in_commands = false;
      if (in_commands) options[line.substr(2, line.find(' ', 2) - 2)] = {};
      if (line == "Subcommands:") in_commands = true;
    }
    const std::regex option("^  (?:-\\w,)?(--[\\w-]+)");
    for (auto& [command, known] : options) {
      for (const std::string& line : LinesOf(Printed({command, "--help"}))) {
        if (std::smatch match; std::regex_search(line, match, option)) known.push_back(match[1]);
      }
    }
    return options;
  }
};

TEST_F(Completion, EveryCommandAndOptionOfHelpIsInEveryText) {
  const auto options = OptionsInHelp();
  ASSERT_THAT(options, testing::SizeIs(testing::Gt(10U)));
  const std::vector<std::pair<std::vector<std::string>, std::string>> texts = {
      {{"completion", "bash"}, "'command --option'"},
      {{"completion", "zsh"}, "--option"},
      {{"completion", "fish"}, " -l option"},
      {{"manual", "roff"}, "--option"},
      {{"manual", "markdown"}, "--option"}};
  for (const auto& [arguments, form] : texts) {
    std::string text = Printed(arguments);
    text = std::regex_replace(text, std::regex(R"(\\-)"), "-");
    for (const auto& [command, known] : options) {
      EXPECT_THAT(text, HasSubstr(command)) << arguments.back();
      ASSERT_THAT(known, Not(IsEmpty())) << command;
      for (const std::string& option : known) {
        const std::string name = arguments.back() == "fish" ? "-l " + option.substr(2) : option;
        EXPECT_THAT(text, HasSubstr(name)) << arguments.back() << ": " << command;
      }
    }
  }
}

TEST_F(Completion, NoValueIsAnyText) {
  // Each says by its type name what may stand there: so scripts know what to offer.
  EXPECT_THAT(Printed({"manual", "markdown"}), Not(HasSubstr("TEXT")));
}

TEST_F(Completion, BashOffersCommandsOptionsNamesAndFiles) {
  if (!Has("bash")) GTEST_SKIP() << "no bash";
  WriteText("mine.toml", "");
  std::filesystem::create_directories(work() / "runs/first");
  EXPECT_THAT(BashOffers({"foreplan", "repl"}), ElementsAre("replay"));
  EXPECT_THAT(BashOffers({"foreplan", "--v"}), ElementsAre("--version"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "friction"}), ElementsAre("frictionless_cartpole"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "mi"}), ElementsAre("mine.toml"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "--re"}),
              UnorderedElementsAre("--record", "--record-mb", "--resume"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "pendulum", "--planner", ""}),
              IsSupersetOf({"icem", "mppi", "ilqr"}));
  EXPECT_THAT(BashOffers({"foreplan", "run", "--algorithm", "=", "loc"}),
              ElementsAre("local_models"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "--algorithm", "="}), Contains("mpc"));
  EXPECT_THAT(BashOffers({"foreplan", "eval", "runs/"}), ElementsAre("runs/first"));
  EXPECT_THAT(BashOffers({"foreplan", "export", "runs/first", "--data", ""}),
              ElementsAre("csv", "npz", "hdf5", "minari"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "--seed", ""}), IsEmpty());
  EXPECT_THAT(BashOffers({"foreplan", "compare", "pendulum", "--planner", "ic"}),
              ElementsAre("icem"));
}

TEST_F(Completion, BashCountsPlacesWithoutOptionsAndTheirValues) {
  if (!Has("bash")) GTEST_SKIP() << "no bash";
  WriteText("log.csv", "");
  // The task is the first place, whatever stands before it; the recording is the second.
  EXPECT_THAT(BashOffers({"foreplan", "replay", "--set", "a=1", "--json", "friction"}),
              ElementsAre("frictionless_cartpole"));
  EXPECT_THAT(BashOffers({"foreplan", "replay", "--gap", "=", "1", "friction"}),
              ElementsAre("frictionless_cartpole"));
  EXPECT_THAT(BashOffers({"foreplan", "replay", "pendulum", "friction"}), IsEmpty());
  EXPECT_THAT(BashOffers({"foreplan", "replay", "pendulum", "lo"}), ElementsAre("log.csv"));
  EXPECT_THAT(BashOffers({"foreplan", "compare", "pendulum", "friction"}),
              ElementsAre("frictionless_cartpole"));
  EXPECT_THAT(BashOffers({"foreplan", "compare", "--planner", "icem", "lec"}),
              ElementsAre("lecture"));
  EXPECT_THAT(BashOffers({"foreplan", "run", "pendulum", "p"}), IsEmpty());
}

TEST_F(Completion, ZshReadsItsScript) {
  if (!Has("zsh")) GTEST_SKIP() << "no zsh";
  WriteText("_foreplan", Printed({"completion", "zsh"}));
  const ProgramResult result = Shell("zsh", "zsh -n _foreplan && echo read");
  EXPECT_EQ(result.out + result.err, "read\n");
}

TEST_F(Completion, FishOffersWhatBashDoes) {
  if (!Has("fish")) GTEST_SKIP() << "no fish";
  const auto offers = [&](const std::string& line) {
    const ProgramResult result =
        Shell("fish", "foreplan completion fish | source\ncomplete --do-complete '" + line + "'\n");
    EXPECT_EQ(result.err, "");
    std::vector<std::string> words;
    for (const std::string& offered : LinesOf(result.out)) {
      words.push_back(offered.substr(0, offered.find('\t')));
    }
    return words;
  };
  EXPECT_THAT(offers("foreplan repl"), ElementsAre("replay"));
  EXPECT_THAT(offers("foreplan run --planner ic"), ElementsAre("icem"));
  EXPECT_THAT(offers("foreplan export x --data "),
              UnorderedElementsAre("csv", "npz", "hdf5", "minari"));
  EXPECT_THAT(offers("foreplan run friction"), ElementsAre("frictionless_cartpole"));
  EXPECT_THAT(offers("foreplan run --rec"), UnorderedElementsAre("--record", "--record-mb"));
}

TEST_F(Completion, GroffReadsTheManualWithoutWarning) {
  if (!Has("groff")) GTEST_SKIP() << "no groff";
  WriteText("foreplan.1", Printed({"manual", "roff"}));
  const ProgramResult result = Shell("sh", "groff -man -ww -Tascii -P-cbou foreplan.1");
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("EXIT STATUS"));
  EXPECT_THAT(result.out, HasSubstr("--deadline-ms FLOAT"));
}

TEST_F(Completion, RefusesAnUnknownShell) {
  EXPECT_THAT(Refusal({"completion", "fsh"}),
              HasSubstr("unknown word 'fsh' (did you mean 'fish'?)"));
  EXPECT_THAT(Refusal({"completion"}), HasSubstr("completion: expected "));
}

}  // namespace
}  // namespace foreplan::apps
