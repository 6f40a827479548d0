#include "foreplan/core/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class Color { kRed, kGreen };

struct PlannerOptions {
  int horizon = 30;
  double beta = 2;
  bool warm_start = true;
  std::string name = "icem";
  std::string propagation = "ts1";
  Color color = Color::kRed;
  std::vector<double> bounds = {-1, 1};
  std::vector<std::string> omit;

  void Visit(OptionsVisitor& visitor) {
    static const std::vector<std::string> kPropagations = {"ts1", "ts_infinity"};
    static const std::vector<std::pair<std::string, Color>> kColors = {{"red", Color::kRed},
                                                                       {"green", Color::kGreen}};
    visitor.Field("horizon", horizon, {1, 1000}, "planned steps");
    visitor.Field("beta", beta, {0, kInfinity}, "exponent of the noise");
    visitor.Field("warm_start", warm_start, "start from the last plan");
    visitor.Field("name", name, "shown in reports");
    visitor.Choice("propagation", propagation, kPropagations, "of particles");
    visitor.Choice("color", color, kColors, "of the curve");
    visitor.Field("bounds", bounds, {-10, 10}, "of the action");
    visitor.Field("omit", omit, "components left out");
  }
};

struct RootOptions {
  int seed = 0;
  double weight = 0;
  int any = 0;
  void Visit(OptionsVisitor& visitor) {
    visitor.Field("seed", seed, {0, kInfinity}, "of the run");
    visitor.Field("weight", weight, {-kInfinity, 5}, "");
    visitor.Field("any", any, {}, "");
  }
};

/// Reads text and overrides as a program would: sections "" and "icem.noise", then the rest is
/// unknown.
void ReadAll(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Config config = Config::FromString(text, "x.toml");
  for (const std::string& assignment : overrides) config.Set(assignment);
  RootOptions root;
  PlannerOptions planner;
  config.Read("", root);
  config.Read("icem.noise", planner);
  config.ThrowOnUnknownKeys();
}

TEST(Config, ErrorsNameFileKeyFoundAndExpectedOnOneLine) {
  const std::string section = "seed = 1\n[icem.noise]\n";
  const struct {
    std::string text;
    std::string message;
  } cases[] = {
      {section + "horizon = 0",
       "x.toml:3:1: icem.noise.horizon: found integer 0, expected an integer in [1, 1000]"},
      {section + "  horizon = 1001",
       "x.toml:3:3: icem.noise.horizon: found integer 1001, expected an integer in [1, 1000]"},
      {section + "horizon = 2.5",
       "x.toml:3:1: icem.noise.horizon: found float 2.5, expected an integer in [1, 1000]"},
      {section + "horizon = nan",
       "x.toml:3:1: icem.noise.horizon: found float nan, expected an integer in [1, 1000]"},
      {section + "horizon = 'long\tone'",
       "x.toml:3:1: icem.noise.horizon: found string \"long\\tone\", expected an integer in "
       "[1, 1000]"},
      {section + "horizon = true",
       "x.toml:3:1: icem.noise.horizon: found boolean true, expected an integer in [1, 1000]"},
      {section + "horizon = [3]",
       "x.toml:3:1: icem.noise.horizon: found array of 1 values, expected an integer in "
       "[1, 1000]"},
      {section + "horizon = {x = 3}",
       "x.toml:3:1: icem.noise.horizon: found a table, expected an integer in [1, 1000]"},
      {section + "beta = -0.5",
       "x.toml:3:1: icem.noise.beta: found float -0.5, expected a number of at least 0"},
      {section + "beta = 2020-01-01",
       "x.toml:3:1: icem.noise.beta: found a date or time, expected a number of at least 0"},
      {"weight = 6", "x.toml:1:1: weight: found integer 6, expected a number of at most 5"},
      {"any = 3000000000", "x.toml:1:1: any: found integer 3000000000, expected a 32-bit integer"},
      {"any = 1.5", "x.toml:1:1: any: found float 1.5, expected an integer"},
      {"seed = -9223372036854775808",
       "x.toml:1:1: seed: found integer -9223372036854775808, expected an integer of at least 0"},
      {section + "warm_start = 1",
       "x.toml:3:1: icem.noise.warm_start: found integer 1, expected true or false"},
      {section + "name = 3", "x.toml:3:1: icem.noise.name: found integer 3, expected a string"},
      {section + "propagation = 'ts2'",
       "x.toml:3:1: icem.noise.propagation: found \"ts2\", expected one of ts1, ts_infinity (did "
       "you mean 'ts1'?)"},
      {section + "propagation = 1",
       "x.toml:3:1: icem.noise.propagation: found integer 1, expected one of ts1, ts_infinity"},
      {section + "color = 'blue'",
       "x.toml:3:1: icem.noise.color: found \"blue\", expected one of red, green"},
      {section + "bounds = 1",
       "x.toml:3:1: icem.noise.bounds: found integer 1, expected an array of numbers"},
      {section + "bounds = [1, 2.5, 11]",
       "x.toml:3:1: icem.noise.bounds[2]: found integer 11, expected a number in [-10, 10]"},
      {section + "bounds = [1, 'a']",
       "x.toml:3:1: icem.noise.bounds[1]: found string \"a\", expected a number in [-10, 10]"},
      {section + "omit = 'x'",
       "x.toml:3:1: icem.noise.omit: found string \"x\", expected an array of strings"},
      {section + "omit = ['x', 1]",
       "x.toml:3:1: icem.noise.omit[1]: found integer 1, expected a string"},
      {"[icem]\nnoise = 3",
       "x.toml:2:1: icem.noise: found integer 3, expected a section [icem.noise]"},
      // What nobody asked for.
      {section + "horizn = 3",
       "x.toml:3:1: unknown key 'icem.noise.horizn' (did you mean 'icem.noise.horizon'?); known in "
       "[icem.noise]: horizon, beta, warm_start, name, propagation, color, bounds, omit"},
      {"sed = 3", "x.toml:1:1: unknown key 'sed' (did you mean 'seed'?); known: seed, weight, any"},
      {"horizon = 3",
       "x.toml:1:1: unknown key 'horizon' (did you mean 'icem.noise.horizon'?); known: seed, "
       "weight, any"},
      {"xyzzy = 3", "x.toml:1:1: unknown key 'xyzzy'; known: seed, weight, any"},
      {"\"vw.xyz\" = 3", "x.toml:1:1: unknown key '\"vw.xyz\"'; known: seed, weight, any"},
      {"[icem.nose]\nbeta = 1",
       "x.toml:2:1: unknown key 'icem.nose.beta' in unknown section 'icem.nose' (did you mean "
       "'icem.noise'?); known sections: icem.noise"},
      {"[icem]\nbeta = 1",
       "x.toml:2:1: unknown key 'icem.beta' in unknown section 'icem' (did you mean "
       "'icem.noise'?); known sections: icem.noise"},
      {"[zebra]", "x.toml:1:2: unknown section 'zebra'; known sections: icem.noise"},
      {"[[runs]]\nx = 1", "x.toml:1:3: unknown key 'runs'; known: seed, weight, any"},
      // The first in the file is reported, not the first in the alphabet.
      {"zzz = 1\naaa = 2", "x.toml:1:1: unknown key 'zzz'; known: seed, weight, any"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(MessageOf([&] { ReadAll(text); }), message) << text;
  }
}

TEST(Config, MalformedTextNamesFileLineAndColumn) {
  const std::pair<std::string, std::string> cases[] = {
      {"seed = 1\nhorizon = = 3\n", "x.toml:2:"},
      {"seed = 1\nseed = 2\n", "x.toml:2:"},
      {"seed = \"open\n", "x.toml:1:"},
      {"seed = 0x\n", "x.toml:1:"},
      {"seed = 99999999999999999999\n", "x.toml:1:"},
      {"weight = 1e999\n", "x.toml:1:"},
      {"\xff\xfe", "x.toml:1:"},
      {"seed = \xc3\xa9", "x.toml:1:"},
      {"\xc3\xa9 = 1", "x.toml:1:"},
      {"seed = 1\n\n[.icem]\nhorizon = 3\n[cem]\n", "x.toml:3:1: found a malformed line"},
      {"[\xc3\xa9]", "x.toml:1:1: found a malformed line"},
      {"[icem\n", "x.toml:1:"},
      {std::string("[[\r\0", 4), "x.toml:1:3: found a control character"},
      {std::string("a = 1\n[b]\n\0", 11), "x.toml:3:1: found a control character"},
      {"a = 1 \x1b[0m", "x.toml:1:7: found a control character"},
      {"a = 1\rb = 2", "x.toml:1:6: found a control character"},
      {"# \x7f", "x.toml:1:3: found a control character"},
      {"a = " + std::string(100000, '['), "x.toml:1:"},
      {[] {
         std::string text = "a";
         for (int i = 0; i < 100; ++i) text += ".a";
         return text + " = 1";
       }(),
       "x.toml:1:"},
      {std::string(1, 'a') + std::string(100000, '.'), "x.toml:1:2002: found too many dots"},
  };
  for (const auto& [text, message] : cases) {
    const std::string found = MessageOf([&] { Config::FromString(text, "x.toml"); });
    EXPECT_THAT(found, HasSubstr(message)) << text.substr(0, 40);
    EXPECT_EQ(found.find_first_of("\n\r"), std::string::npos) << found;
  }
}

TEST(Config, NoMutationOfAFileBreaksTheReader) {
  const std::string text =
      "seed = 1 # x\r\n[icem.noise]\nbounds = [1.5, -2e1,\n inf]\nomit=[\"a\\u00e9\", 'b']\n"
      "name = '''q'''\n[[a.\"b c\"]]\nd = {e = 1979-05-27T07:32:00Z, f = 0xff}\n";
  Random random(Key{1, 0});
  for (int i = 0; i < 20000; ++i) {
    std::string mutated = text;
    for (uint64_t edits = 1 + random.Below(3); edits > 0; --edits) {
      const size_t at = random.Below(mutated.size());
      const char byte = static_cast<char>(random.Below(256));
      if (random.Below(3) == 0) {
        mutated.erase(at, 1 + random.Below(5));
      } else if (random.Below(2) == 0) {
        mutated.insert(at, 1, byte);
      } else {
        mutated[at] = byte;
      }
      if (mutated.empty()) mutated = "\n";
    }
    const std::string message = MessageOf([&] { ReadAll(mutated); });  // throws nothing else
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(Config, AbsentSectionsAndKeysKeepDefaultsAndCountAsKnown) {
  Config config = Config::FromString("[icem]\nhorizon = 7\n", "x.toml");
  PlannerOptions icem;
  PlannerOptions absent;
  absent.horizon = 99;
  config.Read("icem", icem);
  config.Read("cem", absent);
  config.Read("icem", icem);
  EXPECT_EQ(icem.horizon, 7);
  EXPECT_EQ(icem.beta, 2);
  EXPECT_EQ(absent.horizon, 99);
  config.ThrowOnUnknownKeys();
  config.Set("cem.horizn=3");
  EXPECT_THAT(MessageOf([&] { config.ThrowOnUnknownKeys(); }),
              HasSubstr("--set cem.horizn: unknown key 'cem.horizn' (did you mean 'cem.horizon'"));
}

TEST(Config, KnowsWhichSectionsHoldValues) {
  const Config config = Config::FromString("[a.b]\nc = 1\n[empty]\n", "x.toml");
  EXPECT_TRUE(config.Has(""));
  EXPECT_TRUE(config.Has("a"));
  EXPECT_TRUE(config.Has("a.b"));
  EXPECT_FALSE(config.Has("a.b.c"));  // a value
  EXPECT_FALSE(config.Has("empty"));
  EXPECT_FALSE(config.Has("a."));
  EXPECT_FALSE(config.Has("b"));
  EXPECT_FALSE(Config().Has(""));
}

TEST(Config, SetOverridesWithTomlValuesAndBareWords) {
  Config config = Config::FromString("[icem]\nhorizon = 7\nbeta = 1\n", "x.toml");
  for (const char* assignment :
       {"icem.horizon=8", " icem.horizon = 9 ", "icem.beta=3", "icem.warm_start=false",
        "icem.name=runs/a-b.c", "icem.propagation=ts_infinity", "icem.color=\"green\"",
        "icem.bounds=[1, 2.5]", "icem.omit=['x=y', \"z\"]"}) {
    config.Set(assignment);
  }
  PlannerOptions options;
  config.Read("icem", options);
  config.ThrowOnUnknownKeys();
  EXPECT_EQ(options.horizon, 9);
  EXPECT_EQ(options.beta, 3);
  EXPECT_FALSE(options.warm_start);
  EXPECT_EQ(options.name, "runs/a-b.c");
  EXPECT_EQ(options.propagation, "ts_infinity");
  EXPECT_EQ(options.color, Color::kGreen);
  EXPECT_EQ(options.bounds, (std::vector<double>{1, 2.5}));
  EXPECT_EQ(options.omit, (std::vector<std::string>{"x=y", "z"}));
}

TEST(Config, SetTakesAnExpressionAsText) {
  for (const std::string expression :
       {"-square(u) + min(x[0], 3)", "exp(-2 * (1 - height)) - 0.02 * sum(square(u))"}) {
    Config config;
    config.Set("icem.name=" + expression);
    PlannerOptions options;
    config.Read("icem", options);
    EXPECT_EQ(options.name, expression);
  }
}

TEST(Config, SetNamesItselfInErrors) {
  const std::pair<std::string, std::string> cases[] = {
      {"horizon", "--set: found \"horizon\", expected section.key=value"},
      {"=3", "--set: found \"=3\", expected section.key=value"},
      {"[a]\nb=3", "--set: found \"[a]\\nb=3\", expected section.key=value"},
      {"#x=3", "--set: found \"#x=3\", expected section.key=value"},
      {"a b=3", "--set: found \"a b=3\", expected section.key=value"},
      {"icem.noise.horizon=", "--set icem.noise.horizon: found \"\", expected a value as in TOML"},
      {"icem..horizon=3", "--set icem..horizon:1:"},
      {"icem.noise.name=two words", ""},
      {"icem.noise.bounds=[1, 2", "--set icem.noise.bounds: found \"[1, 2\", expected a value as"},
      {"icem.noise.omit=[a, b]", "--set icem.noise.omit: found \"[a, b]\", expected a value as"},
      {"seed=3\nany=4", "--set: found \"seed=3\\nany=4\", expected section.key=value"},
      {"icem.noise.horizon=ten", "--set icem.noise.horizon: icem.noise.horizon: found string"},
      {"icem.noise.beta=-1", "--set icem.noise.beta: icem.noise.beta: found integer -1"},
      {"icem.noise={}", ""},
      {"icem.noise.beta={}", "--set icem.noise.beta: icem.noise.beta: found a table"},
      {"icem=3", "--set icem: unknown key 'icem'"},
      {"icem.noise=3", "--set icem.noise: icem.noise: found integer 3, expected a section"},
      {"tail.x=3", "--set tail.x: unknown key 'tail.x' in unknown section 'tail'"},
  };
  for (const auto& [assignment, message] : cases) {
    const std::string found =
        MessageOf([&, text = assignment] { ReadAll("[icem.noise]\nbeta = 1\n", {text}); });
    if (message.empty()) {
      EXPECT_EQ(found, "");
    } else {
      EXPECT_THAT(found, testing::StartsWith(message)) << assignment;
    }
  }
}

TEST(Config, FileErrorsNameTheFile) {
  const std::filesystem::path directory = testing::TempDir();
  EXPECT_EQ(MessageOf([&] { Config::FromFile("/nowhere/x.toml"); }),
            "/nowhere/x.toml: no such file, expected a TOML file");
  EXPECT_THAT(MessageOf([&] { Config::FromFile(directory); }), HasSubstr("found a directory"));
  const std::filesystem::path file = directory / "config_test.toml";
  std::ofstream(file) << "\nseed = 'a'\n";
  Config config = Config::FromFile(file);
  EXPECT_EQ(config.name(), file.string());
  RootOptions options;
  EXPECT_EQ(MessageOf([&] { config.Read("", options); }),
            file.string() + ":2:1: seed: found string \"a\", expected an integer of at least 0");
  std::filesystem::remove(file);
}

TEST(ConfigWriter, WritesFieldsWithHelpInOrder) {
  RootOptions root;
  PlannerOptions planner;
  planner.name = "tab\there \"quoted\"";
  planner.omit = {"a", "b"};
  ConfigWriter writer;
  writer.Write("", root);
  writer.Write("icem.noise", planner);
  EXPECT_EQ(writer.text(),
            "seed = 0  # of the run\n"
            "weight = 0.0\n"
            "any = 0\n"
            "\n"
            "[icem.noise]\n"
            "horizon = 30  # planned steps\n"
            "beta = 2.0  # exponent of the noise\n"
            "warm_start = true  # start from the last plan\n"
            "name = \"tab\\there \\\"quoted\\\"\"  # shown in reports\n"
            "propagation = \"ts1\"  # of particles\n"
            "color = \"red\"  # of the curve\n"
            "bounds = [-1.0, 1.0]  # of the action\n"
            "omit = [\"a\", \"b\"]  # components left out\n");
}

struct AnyOptions {
  bool flag = false;
  int integer = 0;
  double number = 0;
  std::string text;
  std::vector<double> numbers;
  std::vector<std::string> texts;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("flag", flag, "");
    visitor.Field("integer", integer, {}, "# not the end");
    visitor.Field("number", number, {}, "\"");
    visitor.Field("text", text, "x = 1");
    visitor.Field("numbers", numbers, {}, "");
    visitor.Field("texts", texts, "");
  }
};

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

double AnyNumber(Random& random) {
  constexpr std::array kSpecial = {0.0,  -0.0,    1.0,  -1.0,      0.1,    5e-324,
                                   1e16, 1e22,    1e-7, kInfinity, 2.5e15, 9007199254740993.0,
                                   -1e5, -5e-324, 1e23, -kInfinity};
  if (random.Below(3) == 0) return kSpecial[random.Below(kSpecial.size())];
  const auto number = std::bit_cast<double>(random.Bits64());  // every exponent equally often
  return number == number ? number : std::numeric_limits<double>::max();
}

std::string AnyText(Random& random) {
  static const std::vector<std::string> kPieces = {"a",
                                                   " ",
                                                   "\"",
                                                   "'",
                                                   "\\",
                                                   "\n",
                                                   "\r",
                                                   "\t",
                                                   std::string(1, '\0'),
                                                   "\x7f",
                                                   "\x1b",
                                                   "\xc3\xa9",
                                                   "\xf0\x9f\xa4\x96",
                                                   "#",
                                                   "=",
                                                   "[",
                                                   "]",
                                                   "'''",
                                                   "\"\"\"",
                                                   "\\u0041",
                                                   ".",
                                                   "{"};
  std::string text;
  for (uint64_t left = random.Below(12); left > 0; --left) {
    text += kPieces[random.Below(kPieces.size())];
  }
  return text;
}

AnyOptions RandomOptions(Random& random) {
  AnyOptions options;
  options.flag = random.Below(2) == 0;
  options.integer = static_cast<int>(random.Bits64());
  options.number = AnyNumber(random);
  options.text = AnyText(random);
  for (uint64_t left = random.Below(5); left > 0; --left) {
    options.numbers.push_back(AnyNumber(random));
    options.texts.push_back(AnyText(random));
  }
  return options;
}

TEST(ConfigWriter, EveryWrittenTextReadsBackToTheSameBits) {
  Random random(Key{2, 0});
  for (int i = 0; i < 3000; ++i) {
    AnyOptions written = RandomOptions(random);
    ConfigWriter writer;
    writer.Write("a.b", written);
    AnyOptions read;
    Config config = Config::FromString(writer.text(), "x.toml");
    config.Read("a.b", read);
    config.ThrowOnUnknownKeys();
    EXPECT_EQ(read.flag, written.flag);
    EXPECT_EQ(read.integer, written.integer);
    ASSERT_EQ(Bits(read.number), Bits(written.number)) << writer.text();
    ASSERT_EQ(read.text, written.text) << writer.text();
    ASSERT_EQ(read.texts, written.texts) << writer.text();
    ASSERT_EQ(read.numbers.size(), written.numbers.size());
    for (size_t k = 0; k < read.numbers.size(); ++k) {
      ASSERT_EQ(Bits(read.numbers[k]), Bits(written.numbers[k])) << writer.text();
    }
  }
}

TEST(ConfigWriter, RefusesTextThatNoConfigCanHold) {
  PlannerOptions options;
  options.name = "\xff";
  ConfigWriter writer;
  EXPECT_THAT(MessageOf([&] { writer.Write("icem", options); }), HasSubstr("options [icem]:4:"));
}

TEST(ValidateOptions, NamesSectionFieldValueAndRange) {
  PlannerOptions options;
  ValidateOptions("icem", options);
  options.beta = kInfinity;  // allowed by the range
  ValidateOptions("icem", options);
  const std::pair<std::function<void(PlannerOptions&)>, std::string> cases[] = {
      {[](PlannerOptions& o) { o.horizon = 0; },
       "icem.horizon: found 0, expected an integer in [1, 1000]"},
      {[](PlannerOptions& o) { o.beta = -0.5; },
       "icem.beta: found -0.5, expected a number of at least 0"},
      {[](PlannerOptions& o) { o.beta = std::numeric_limits<double>::quiet_NaN(); },
       "icem.beta: found nan, expected a number of at least 0"},
      {[](PlannerOptions& o) {
         o.bounds = {0, 11};
       },
       "icem.bounds[1]: found 11.0, expected a number in [-10, 10]"},
      {[](PlannerOptions& o) { o.propagation = "ts2"; },
       "icem.propagation: found \"ts2\", expected one of ts1, ts_infinity (did you mean 'ts1'?)"},
  };
  for (const auto& [change, message] : cases) {
    PlannerOptions changed;
    change(changed);
    EXPECT_EQ(MessageOf([&] { ValidateOptions("icem", changed); }), message);
  }
}

TEST(Config, AssignmentsRepeatASection) {
  const Config config = Config::FromString(
      "[model]\nwidth = 7\nname = \"a b\"\nrate = 0.1\n[model.part]\ntexts = [\n  \"x = 1\",\n  "
      "\"y\"\n]\n[other]\nwidth = 9\n",
      "test");
  Config repeated;
  for (const std::string& assignment : config.Assignments("model")) repeated.Set(assignment);
  EXPECT_EQ(repeated.Assignments("model"), config.Assignments("model"));
  EXPECT_EQ(repeated.Assignments("model").size(), 4U);
  EXPECT_FALSE(repeated.Has("other"));
}

}  // namespace
}  // namespace foreplan
