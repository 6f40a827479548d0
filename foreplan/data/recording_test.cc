// Logged data of others: every layout is read right, and whatever is wrong in a file is one clear
// line, never a crash.
#include "foreplan/data/recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/data/files.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/data/testing/log_file.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const fs::path kFiles = fs::path(FOREPLAN_SOURCE_DIR) / "testdata" / "recordings";

class RecordingTest : public testing::Test {
 protected:
  RecordingTest()
      : folder_(fs::path(testing::TempDir()) / ("recording_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~RecordingTest() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path Written(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  [[nodiscard]] Recording ReadText(std::string_view text,
                                   const RecordingColumns& columns = {}) const {
    return ReadRecording(Written("log.csv", text), columns);
  }

  fs::path folder_;
};

/// The message of the InputError that reading ends in; it must be one line that names the file.
std::string Refusal(const fs::path& file, const RecordingColumns& columns = {}) {
  try {
    ReadRecording(file, columns);
  } catch (const InputError& error) {
    std::string message = error.what();
    EXPECT_THAT(message, HasSubstr(file.string()));
    EXPECT_EQ(std::ranges::count(message, '\n'), 0) << message;
    EXPECT_LT(message.size(), 1000U);
    return message;
  }
  ADD_FAILURE() << file << " was read";
  return "";
}

TEST_F(RecordingTest, PairsTheRowsOfATableWithinEpisodes) {
  const Recording recording = ReadText(
      "time,x,v,action,reward,episode\n0,1,2,0.5,9,1\n0.1,3,4,0.6,9,1\n0.2,5,6,0.7,9,1\n"
      "0,10,20,1,9,2\n0.1,30,40,2,9,2\n5,0,0,0,0,3\n");
  EXPECT_THAT(recording.observation, ElementsAre("x", "v"));
  EXPECT_THAT(recording.action, ElementsAre("action"));
  EXPECT_EQ(recording.episodes, 2);  // the third has a single row
  EXPECT_NEAR(recording.dt, 0.1, 1e-12);
  EXPECT_THAT(LogRowsOf(recording.data),
              ElementsAre("1 2 | 0.5 | 3 4 | 1", "3 4 | 0.6 | 5 6 | 1", "10 20 | 1 | 30 40 | 2"));
}

TEST_F(RecordingTest, TakesColumnsByNameInTheOrderAskedFor) {
  const std::string text =
      "\xef\xbb\xbf# \"v\" ; x ; push ; comment ; next_x ; next_v\r\n"
      " +2 ; 1 ; 5e-1 ; \"a ; b\" ; 3 ; 4\r\n\r\n\r\n";
  const RecordingColumns columns{.observation = {"x", "v"}, .action = {"push"}};
  const Recording recording = ReadText(text, columns);
  EXPECT_THAT(LogRowsOf(recording.data), ElementsAre("1 2 | 0.5 | 3 4 | 1"));
}

TEST_F(RecordingTest, RefusesBrokenTablesNamingRowAndColumn) {
  const RecordingColumns columns{.observation = {"x"}, .action = {"u"}, .dt = 0.1};
  const std::string long_line(10 * 1024 * 1024, '7');
  struct Case {
    std::string text;
    std::vector<std::string> fragments;
  };
  const std::vector<Case> cases = {
      {"", {":1:", "no header"}},
      {"\n1,2\n", {":1:", "no header"}},
      {"x,u\n", {"found no transitions"}},
      {"x,u\n1,2\n", {"found no transitions"}},
      {"x,u\n1,2\n3\n", {":3:", "found 1 cells, expected 2"}},
      {"x,u\n1,2\n3,4,5\n", {":3:", "found 3 cells, expected 2"}},
      {"x,u\n1,2\n\n3,4\n", {":3:", "found 1 cells, expected 2"}},
      {"x,u\n1,2\nnan,4\n", {":3:", "column 1 ('x')", "found 'nan'", "expected a number"}},
      {"x,u\n1,2\n3,-inf\n", {":3:", "column 2 ('u')", "found '-inf'"}},
      {"x,u\n1,2\n,4\n", {":3:", "column 1 ('x')", "an empty cell"}},
      {"x,u\n1,2\n3,four\n", {":3:", "column 2 ('u')", "found 'four'"}},
      {"x,u\n1,2\n3,4 m\n", {":3:", "column 2 ('u')", "found '4 m'"}},
      {"x,u\n1,2\n1e300,4\n", {":3:", "column 1 ('x')", "1e300", "up to 1e+15 in size"}},
      {"x,u\n1,2\n1e999,4\n", {":3:", "column 1 ('x')", "1e999", "up to 1e+15 in size"}},
      {"x,x,u\n1,2,3\n", {":1:", "column 2", "'x' again"}},
      {"x,,u\n1,2,3\n4,5\n", {":3:", "found 2 cells, expected 3"}},
      {"x,u,done\n1,2,0\n3,4,maybe\n", {":3:", "column 3 ('done')", "'maybe'", "true or false"}},
      {"x,u,done\n1,2,0\n3,4,\n", {":3:", "column 3 ('done')", "an empty cell"}},
      {"x,u,done\n1,2,0\n3,4,2\n", {":3:", "column 3 ('done')", "found '2'"}},
      {"x,u,done\n1,2,0\n3,4,nan\n", {":3:", "column 3 ('done')", "found 'nan'"}},
      {"x,u,episode\n1,2,\n3,4,1\n", {":2:", "column 3 ('episode')", "an empty cell"}},
      {"x,u,episode,Episode\n1,2,1,1\n", {":1:", "'episode' and 'Episode'"}},
      {"X,u\n1,2\n3,4\n", {":1", "unknown column 'x'", "did you mean 'X'"}},
      {"x,v\n1,2\n3,4\n", {":1", "unknown column 'u'"}},
      {"time,x,u,episode\n0,1,1,1\n0.1,2,2,1\n0.5,3,3,1\n",
       {":4:", "column 1 ('time')", "0.4 s", "0.1 s"}},
      {"time,x,u\n0,1,1\n0.2,2,2\n0.4,3,3\n", {":3:", "('time')", "0.2 s", "expected 0.1 s"}},
      {"time,x,u\n0,1,1\n0,2,2\n", {":3:", "('time')"}},
      {"x,u\n\"1,2\n", {":2:", "without its partner"}},
      {std::string("x,u\n1,2\n3,\0\n", 12), {":3:", "control character"}},
      {std::string("PK\x03\x04 is no text"), {":1:", "control character"}},
      {long_line, {":1:", "found a line of 10485760 characters"}},
      {"x,u\n" + long_line, {":2:", "found a line of 10485760 characters"}},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.text.substr(0, 60));
    const std::string message = Refusal(Written("log.csv", test.text), columns);
    for (const std::string& fragment : test.fragments) EXPECT_THAT(message, HasSubstr(fragment));
  }
  EXPECT_THAT(Refusal(Written("log.csv", "a,b\n1,2\n3,4\n")), HasSubstr("some with actions"));
  EXPECT_THAT(Refusal(Written("log.csv", "u,action\n1,2\n3,4\n")), HasSubstr("observations"));
}

// The same three episodes, however their ends are said: 1 -> 2 -> 3 | 10 -> 20 | 5 -> 6.
TEST_F(RecordingTest, FlagsEndEpisodesOfTables) {
  const auto rows =
      ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1", "10 | 0.4 | 20 | 2", "5 | 0.6 | 6 | 3");
  const std::vector<std::string> tables = {
      "x,u,done\n1,.1,0\n2,.2,0\n3,.3,1\n10,.4,0\n20,.5,1\n5,.6,0\n6,.7,0\n",
      "done;x;u\r\nFalse;1;.1\r\nFalse;2;.2\r\nTrue;3;.3\r\nFALSE;10;.4\r\nTRUE;20;.5\r\n"
      "false;5;.6\r\ntrue;6;.7\r\n",
      "x\tu\tterminated\ttruncated\n1\t.1\t0\t0\n2\t.2\t0\t0\n3\t.3\t1\t0\n10\t.4\t0\t0\n"
      "20\t.5\t0\t1\n5\t.6\t0\t0\n6\t.7\t1\t1\n",
      "x,u,Done\n1,.1,0.0\n2,.2,0.0\n3,.3,1.0\n10,.4,0\n20,.5,\"1\"\n5,.6,0\n6,.7,0e0\n",
      // An episode that ends with its first row, and a flag beside numbers of episodes.
      "x,u,timeouts,episode\n99,9,1,a\n1,.1,0,a\n2,.2,0,a\n3,.3,1,a\n10,.4,0,a\n20,.5,0,a\n"
      "5,.6,0,b\n6,.7,0,b\n",
      "x,u,is_last,is_terminal\n1,.1,0,0\n2,.2,0,0\n3,.3,1,1\n10,.4,0,0\n20,.5,1,0\n5,.6,0,0\n"
      "6,.7,1,0\n",
      // Times begin anew behind a flag.
      "time,x,u,terminal\n0,1,.1,0\n.1,2,.2,0\n.2,3,.3,1\n0,10,.4,0\n.1,20,.5,1\n0,5,.6,0\n"
      ".1,6,.7,0\n"};
  for (const std::string& table : tables) {
    SCOPED_TRACE(table);
    const Recording recording = ReadText(table);
    EXPECT_THAT(recording.observation, ElementsAre("x"));
    EXPECT_THAT(LogRowsOf(recording.data), rows);
    EXPECT_EQ(recording.episodes, 3);
  }
  // With the next observation beside, the flagged step counts as well.
  EXPECT_THAT(
      LogRowsOf(ReadText("x,u,next_x,done\n1,.1,2,0\n2,.2,3,1\n10,.4,20,1\n5,.6,6,0\n").data),
      rows);
  // Asked for by name, it is an observation.
  const RecordingColumns named{.observation = {"x", "done"}, .action = {"u"}};
  EXPECT_THAT(LogRowsOf(ReadText("x,u,done\n1,.1,0\n2,.2,1\n3,.3,7\n", named).data),
              ElementsAre("1 0 | 0.1 | 2 1 | 1", "2 1 | 0.2 | 3 7 | 1"));
}

std::vector<std::string> Outcomes(const Dataset& data) {
  std::vector<std::string> outcomes;
  for (int64_t row = 0; row < data.size(); ++row) {
    constexpr std::array kEnds = {"goes on", "terminated", "truncated"};
    outcomes.push_back(
        fmt::format("{} {}", data.reward(row), kEnds[static_cast<size_t>(data.end(row))]));
  }
  return outcomes;
}

TEST_F(RecordingTest, RewardsAndKindsOfEndsAreReadFromTables) {
  // With the next observation every row is a step.
  const std::string rows = "x,u,next_x,Reward,";
  EXPECT_THAT(Outcomes(ReadText(rows + "terminated,truncated\n1,.1,2,5,0,0\n2,.2,3,-6.5,1,0\n"
                                       "1,.1,2,7,0,1\n1,.1,2,8,1,1\n1,.1,2,9,0,0\n")
                           .data),
              ElementsAre("5 goes on", "-6.5 terminated", "7 truncated", "8 terminated",
                          "9 truncated"));  // the file's end is no termination
  EXPECT_THAT(Outcomes(ReadText(rows + "done,timeout\n1,.1,2,5,1,0\n1,.1,2,6,1,1\n").data),
              ElementsAre("5 terminated", "6 truncated"));
  // Without it the flagged row is no step, and the one before it ends in what was seen.
  EXPECT_THAT(Outcomes(ReadText("x,u,reward,done\n1,.1,5,0\n2,.2,6,0\n3,.3,7,1\n1,.1,8,0\n"
                                "2,.2,9,0\n")
                           .data),
              ElementsAre("5 goes on", "6 truncated", "8 truncated"));
  // What is no number is not known, and of two columns none is taken.
  EXPECT_THAT(Outcomes(ReadText("x,u,rewards\n1,.1,\n2,.2,n/a\n3,.3,1e999\n4,.4,2\n5,.5,0\n").data),
              ElementsAre("nan goes on", "nan goes on", "nan goes on", "2 truncated"));
  const RecordingColumns named{.observation = {"x"}, .action = {"u"}};
  EXPECT_THAT(Outcomes(ReadText("x,u,reward,rewards\n1,.1,3,4\n2,.2,3,4\n", named).data),
              ElementsAre("nan truncated"));
}

TEST_F(RecordingTest, ColumnsThatNobodyAsksForNeedNoNameAndMayHoldAnything) {
  const auto rows = ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1");
  const RecordingColumns named{.observation = {"x"}, .action = {"u"}};
  const std::vector<std::string> tables = {
      ",x,u\n0,1,.1\n1,2,.2\n2,3,.3\n",          // the index of pandas
      "\tx\tu\n0\t1\t.1\n1\t2\t.2\n2\t3\t.3\n",  // and with tabs
      "\"u\",\"x\",\n.1,1,\n.2,2,\n.3,3,\n",     // a comma at the end of every line
      "u,x\n.1,1,\n.2,2,,\n.3,3\n",              // of some rows
      "u,x,,\n.1,1\n.2,2,\n.3,3,,\n",            // of the header
      "u,x,Ts,\n.1,1,4,\n.2,2,,\n.3,3,,\n",      // a column that is said once
      ",,x,u\na,b,1,.1\nc,d,2,.2\n,,3,.3\n",
      "reward,reward,x,u\n1,2,1,.1\n1,2,2,.2\n1,2,3,.3\n",  // two of one name
      "x,note,u\n1,5\" pipe,.1\n2,\"a\"\"b, c\",.2\n3,\"two\nlines\",.3\n",
      "x,note,u\n1,\x01\x1b,.1\n2,nan,.2\n3,1e999,.3\n",
      "\"a, b, c, d\";x;u\n9;1;.1\n9;2;.2\n9;3;.3\n"};
  for (const std::string& table : tables) {
    SCOPED_TRACE(table);
    EXPECT_THAT(LogRowsOf(ReadText(table, named).data), rows);
  }
  EXPECT_THAT(Refusal(Written("log.csv", "x,x,u\n1,2,3\n"), named), HasSubstr("'x' again"));
  // Lines count as an editor shows them.
  EXPECT_THAT(Refusal(Written("log.csv", "x,note,u\n1,\"two\nlines\",.1\n2,,?\n"), named),
              HasSubstr("log.csv:4: column 3 ('u')"));
}

TEST_F(RecordingTest, WithoutNamesWhatIsLeftOutIsSaid) {
  const Recording recording = ReadText(
      ",timestamp,Time,t,idx,Index,x,reward,u,\n0,1,1,1,1,1,5,9,.1,\n1,2,2,2,2,2,6,9,.2,\n");
  EXPECT_THAT(recording.observation, ElementsAre("x"));
  ASSERT_EQ(recording.notes.size(), 2U);
  for (const char* name : {"timestamp", "Time", "t", "idx", "Index"}) {
    EXPECT_THAT(recording.notes[0], HasSubstr(name));
  }
  EXPECT_THAT(recording.notes[0], testing::Not(HasSubstr("reward")));  // it is read
  EXPECT_THAT(recording.notes[1], HasSubstr("2 columns without a name"));
  // What is used or named needs no note.
  EXPECT_TRUE(ReadText("time,x,u,done\n0,5,.1,0\n.1,6,.2,0\n").notes.empty());
  const RecordingColumns named{.observation = {"t"}, .action = {"u"}};
  EXPECT_TRUE(ReadText("t,x,u\n0,5,.1\n.1,6,.2\n", named).notes.empty());
}

TEST_F(RecordingTest, TransitionsKnowTheirLine) {
  const Recording recording =
      ReadText("x,u,note,done\n1,1,,0\n2,2,\"a\nb\",0\n3,3,,1\n4,4,,0\n5,5,,0\n",
               {.observation = {"x"}, .action = {"u"}});
  ASSERT_EQ(recording.data.size(), 3);
  EXPECT_EQ(recording.PlaceOf(0), "line 2");
  EXPECT_EQ(recording.PlaceOf(1), "line 3");
  EXPECT_EQ(recording.PlaceOf(2), "line 6");
}

TEST_F(RecordingTest, ReadsTheLastRowWithAndWithoutAnEndOfLine) {
  const auto rows = ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1");
  for (const char* end : {"", "\n", "\r\n", "\n\n \n"}) {
    EXPECT_THAT(LogRowsOf(ReadText(std::string("x,u\n1,.1\n2,.2\n3,.3") + end).data), rows) << end;
  }
}

TEST_F(RecordingTest, RunsAreReadFromTheirFileOrTheFolderOfTheirSegments) {
  Dataset data(1, 1);
  for (int row = 0; row < 5; ++row) {
    data.Add(std::vector{row + 0.0}, std::vector{0.5}, std::vector{row + 1.0}, row < 3 ? 4 : 7);
  }
  TensorFile file;
  data.Save(file);
  WriteTensors(folder_ / "a.safetensors", file);
  fs::create_directories(folder_ / "run" / "data");
  WriteSegments(folder_ / "run" / "data", data, 0);
  data.Add(std::vector{5.0}, std::vector{0.5}, std::vector{6.0}, 9);
  WriteSegments(folder_ / "run" / "data", data, 5);
  const Recording whole = ReadRecording(folder_ / "a.safetensors", {});
  EXPECT_EQ(whole.episodes, 2);  // counted anew
  EXPECT_THAT(LogRowsOf(whole.data),
              ElementsAre("0 | 0.5 | 1 | 1", "1 | 0.5 | 2 | 1", "2 | 0.5 | 3 | 1",
                          "3 | 0.5 | 4 | 2", "4 | 0.5 | 5 | 2"));
  for (const fs::path& path : {folder_ / "run", folder_ / "run" / "data"}) {
    const Recording grown = ReadRecording(path, {});
    EXPECT_EQ(grown.data.size(), 6);
    EXPECT_EQ(grown.episodes, 3);
  }
}

TEST_F(RecordingTest, RefusesRunsWithWrongNumbersNamingFileArrayAndRow) {
  const auto refusal = [&](double wrong) {
    Dataset data(2, 1);
    data.Add(std::vector{1.0, 2.0}, std::vector{3.0}, std::vector{4.0, 5.0}, 1);
    data.Add(std::vector{1.0, 2.0}, std::vector{3.0}, std::vector{4.0, 6.0}, 1);
    TensorFile file;
    data.Save(file);
    std::get<std::vector<double>>(file.tensors["data.next_observation"].values).back() = wrong;
    WriteTensors(folder_ / "a.safetensors", file);
    return Refusal(folder_ / "a.safetensors");
  };
  EXPECT_THAT(refusal(std::numeric_limits<double>::quiet_NaN()),
              HasSubstr("a.safetensors: data.next_observation: row 1, column 1: found nan"));
  EXPECT_THAT(refusal(-std::numeric_limits<double>::infinity()), HasSubstr("found -inf"));
  EXPECT_THAT(refusal(1e16), HasSubstr("data.next_observation: row 1, column 1: found 1e+16"));
  // Sizes of an array without rows are anything.
  TensorFile wide;
  Dataset(1, 1).Save(wide);
  wide.tensors["data.observation"].shape = {0, int64_t{1} << 60};
  WriteTensors(folder_ / "a.safetensors", wide);
  EXPECT_THAT(Refusal(folder_ / "a.safetensors"), HasSubstr("no tensor 'data.observation'"));
}

TEST_F(RecordingTest, RefusesWhatIsNoFileOfData) {
  for (const char* suffix : {".csv", ".npz", ".hdf5", ".safetensors"}) {
    const fs::path pipe = folder_ / (std::string("pipe") + suffix);
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_THAT(Refusal(pipe), HasSubstr("found a pipe, expected a regular file"));
    const fs::path device = folder_ / (std::string("zero") + suffix);
    fs::create_symlink("/dev/zero", device);
    EXPECT_THAT(Refusal(device), HasSubstr("found a device, expected a regular file"));
  }
  EXPECT_THAT(Refusal(folder_ / "absent.csv"), HasSubstr("no such file"));
  EXPECT_THAT(Refusal(Written("log.parquet", "x")), HasSubstr("expected .csv"));
  EXPECT_THAT(Refusal(folder_), HasSubstr("main_data.hdf5"));
  EXPECT_THAT(Refusal(Written("a.safetensors", "short")), HasSubstr("a.safetensors"));
  for (const char* name : {"a.npz", "a.hdf5"}) {
    EXPECT_THAT(Refusal(Written(name, "")), HasSubstr("found"));
    EXPECT_THAT(Refusal(Written(name, "no archive")), HasSubstr("found"));
    EXPECT_THAT(Refusal(Written(name, std::string(100000, '\n'))), HasSubstr("found"));
  }
}

/// Every prefix of a file of some lengths: an error, or, where only closing bytes are missing, the
/// data.
void ExpectNoCrashWhenCutOff(const fs::path& whole, const fs::path& cut) {
  const std::string bytes = ReadFile(whole);
  for (size_t i = 0; i <= 64; ++i) {
    const size_t length = bytes.size() * i / 65;
    std::ofstream(cut, std::ios::binary) << bytes.substr(0, length);
    EXPECT_THAT(Refusal(cut), HasSubstr("expected")) << length;
  }
}

/// Damaged files may be read (a number is another) or refused; never is this process hurt. Bytes
/// are changed at some positions, evenly spread.
void ExpectNoCrashWhenDamaged(const fs::path& whole, const fs::path& damaged, size_t positions) {
  const std::string bytes = ReadFile(whole);
  ASSERT_GE(bytes.size(), positions);
  for (size_t position = 0; position < positions; ++position) {
    const size_t i = position * bytes.size() / positions;
    for (const int flip : {0x55, 0xff}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      std::ofstream(damaged, std::ios::binary) << changed;
      try {
        ReadRecording(damaged, {});
      } catch (const InputError& error) {
        EXPECT_THAT(error.what(), HasSubstr(damaged.string()));
        EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
      }
    }
  }
}

#ifdef FOREPLAN_HAVE_LIBZIP
TEST_F(RecordingTest, ReadsTheLayoutsOfNpz) {
  const auto rows = [](const char* name) {
    return LogRowsOf(ReadRecording(kFiles / name, {}).data);
  };
  EXPECT_THAT(rows("one_trajectory.npz"),
              ElementsAre("0 -0 | 0.5 | 1 -1 | 1", "1 -1 | 1.5 | 2 -2 | 1", "2 -2 | 2.5 | 3 -3 | 1",
                          "3 -3 | 3.5 | 4 -4 | 1"));
  // Compressed, in Fortran's order, big-endian floats, integers of two bytes, a text beside.
  EXPECT_THAT(rows("transitions.npz"),
              ElementsAre("0 -0 | 0.5 | 1 -1 | 1", "1 -1 | 1.5 | 2 -2 | 1", "2 -2 | 2.5 | 3 -3 | 2",
                          "3 -3 | 3.5 | 4 -4 | 2"));
  EXPECT_THAT(rows("flags.npz"), ElementsAre("0 0 | 0.5 | 1 -1 | 1", "1 -1 | 1.5 | 2 -2 | 1",
                                             "3 -3 | 3.5 | 4 -4 | 2"));
  EXPECT_THAT(rows("episodes.npz"),
              ElementsAre("0 -0 | 0.5 | 1 -1 | 1", "1 -1 | 1.5 | 2 -2 | 1", "2 -2 | 2.5 | 3 -3 | 1",
                          "10 -10 | 10.5 | 11 -11 | 2", "11 -11 | 11.5 | 12 -12 | 2",
                          "12 -12 | 12.5 | 13 -13 | 2"));
  const Recording recording = ReadRecording(kFiles / "flags.npz", {});
  EXPECT_THAT(recording.observation, ElementsAre("observation_0", "observation_1"));
  EXPECT_EQ(recording.episodes, 2);
}

TEST_F(RecordingTest, RefusesBrokenNpz) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"nan.npz", {"observations: row 3, column 1: found nan"}},
      {"huge.npz", {"observations: row 3, column 1: found 1e+300", "up to 1e+15"}},
      {"ragged.npz", {"actions: found shape [3 x 1], expected 5 rows"}},
      {"no_actions.npz", {"found no array 'actions'"}},
      {"empty.npz", {"found no transitions"}},
      {"no_columns.npz", {"observations: found shape [5 x 0]"}},
      {"objects.npz", {"observations: found elements of type '|O'"}},
      {"text.npz", {"observations: found elements of type '<U"}},
      {"twice.npz", {"found 'observations' and 'obs'"}},
      {"four_dimensions.npz", {"observations: found shape [1 x 1 x 5 x 2]"}},
  };
  for (const auto& [name, fragments] : cases) {
    SCOPED_TRACE(name);
    const std::string message = Refusal(kFiles / name);
    for (const std::string& fragment : fragments) EXPECT_THAT(message, HasSubstr(fragment));
  }
  const RecordingColumns three{.observation = {"x", "v", "w"}, .action = {}};
  EXPECT_THAT(Refusal(kFiles / "one_trajectory.npz", three), HasSubstr("expected 3"));
  ExpectNoCrashWhenCutOff(kFiles / "transitions.npz", folder_ / "cut.npz");
  ExpectNoCrashWhenDamaged(kFiles / "transitions.npz", folder_ / "damaged.npz", 300);
}
#else
TEST_F(RecordingTest, SaysThatThisBuildReadsNoNpz) {
  EXPECT_THAT(Refusal(kFiles / "one_trajectory.npz"), HasSubstr("no libzip"));
}
#endif

#ifdef FOREPLAN_HAVE_HDF5
TEST_F(RecordingTest, ReadsEpisodesOfMinariInTheirOrder) {
  const Recording recording = ReadRecording(kFiles / "minari.hdf5", {});
  EXPECT_EQ(recording.episodes, 12);
  EXPECT_EQ(recording.data.size(), 36);
  EXPECT_EQ(LogRowsOf(recording.data)[0], "0 -0 | 0.5 | 1 -1 | 1");
  EXPECT_EQ(LogRowsOf(recording.data)[35], "1102 -1102 | 1102.5 | 1103 -1103 | 12");
  EXPECT_THAT(ReadRecording(kFiles / "dictionary.hdf5", {}).observation,
              ElementsAre("camera_0", "camera_1"));
  // The folder that Minari makes.
  fs::create_directories(folder_ / "set" / "data");
  fs::copy_file(kFiles / "minari.hdf5", folder_ / "set" / "data" / "main_data.hdf5");
  EXPECT_EQ(ReadRecording(folder_ / "set", {}).data.size(), 36);
  EXPECT_THAT(
      LogRowsOf(ReadRecording(kFiles / "flat.h5", {}).data),
      ElementsAre("0 -0 | 0.5 | 1 -1 | 1", "1 -1 | 1.5 | 2 -2 | 1", "3 -3 | 3.5 | 4 -4 | 2"));
}

TEST_F(RecordingTest, RefusesBrokenHdf5) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"minari_nan.hdf5", {"episode_3/observations: row 2, column 1: found nan"}},
      {"minari_ragged.hdf5", {"episode_11/observations: found shape [3 x 2], expected [4 x"}},
      {"no_actions.hdf5", {"found no array 'episode_0/actions'"}},
      {"text.hdf5", {"actions: found elements that are no numbers"}},
      {"nothing.hdf5", {"found no array 'observations'"}},
  };
  for (const auto& [name, fragments] : cases) {
    SCOPED_TRACE(name);
    const std::string message = Refusal(kFiles / name);
    for (const std::string& fragment : fragments) EXPECT_THAT(message, HasSubstr(fragment));
  }
  ExpectNoCrashWhenCutOff(kFiles / "minari.hdf5", folder_ / "cut.hdf5");
  // Each is a process.
  ExpectNoCrashWhenDamaged(kFiles / "flat.h5", folder_ / "damaged.h5", 60);
  ExpectNoCrashWhenDamaged(kFiles / "minari.hdf5", folder_ / "damaged.hdf5", 60);
}
#else
TEST_F(RecordingTest, SaysThatThisBuildReadsNoHdf5) {
  EXPECT_THAT(Refusal(kFiles / "minari.hdf5"), HasSubstr("no HDF5"));
}
#endif

}  // namespace
}  // namespace foreplan
