// Logs as other programs write them (testdata/logs): each is read, value by value, or refused with
// what to do.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/data/recording.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

const fs::path kLogs = fs::path(FOREPLAN_SOURCE_DIR) / "testdata" / "logs";

/// One transition.
struct Step {
  std::vector<double> observation;
  std::vector<double> action;
  std::vector<double> next;
  int episode = 1;
};

/// What all logs hold: row t has x = t^2 / 2, v = 3 - t, u = 1 - t / 4.
std::vector<double> Observed(int t) { return {0.5 * t * t, 3.0 - t}; }
std::vector<double> Done(int t) { return {1 - 0.25 * t}; }

/// Transitions from each of these rows to the next.
std::vector<Step> Steps(const std::vector<int>& rows, int episode = 1) {
  std::vector<Step> steps;
  for (const int t : rows) steps.push_back({Observed(t), Done(t), Observed(t + 1), episode});
  return steps;
}

std::vector<Step> Whole() { return Steps({0, 1, 2, 3, 4}); }

std::vector<Step> Joined(std::vector<Step> first, const std::vector<Step>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<Step> WholeTwice() { return Joined(Whole(), Steps({0, 1, 2, 3, 4}, 2)); }

/// Of every second row of h5py_fast.h5.
std::vector<Step> EverySecond() {
  return {{Observed(0), Done(0), Observed(2)}, {Observed(2), Done(2), Observed(4)}};
}

/// x and v of rows at 0, 0.25, 0.5, 0.875, 1, 1.25 s, in steps of 0.25 s.
std::vector<Step> Evened() {
  const std::vector<double> between = {2 + 2.5 * 2 / 3, 1 - 2.0 / 3};  // at 0.75 s
  return {{Observed(0), Done(0), Observed(1)},
          {Observed(1), Done(1), Observed(2)},
          {Observed(2), Done(2), between},
          {between, Done(2), Observed(4)},
          {Observed(4), Done(4), Observed(5)}};
}

/// Of numpy_uneven.npz: at 0, 1, 2, 4, 5, 6 quarters of a second, x alone.
std::vector<Step> EvenedX() {
  return {{{0}, {1}, {0.5}},      {{0.5}, {0.75}, {2}}, {{2}, {0.5}, {3.25}},
          {{3.25}, {0.5}, {4.5}}, {{4.5}, {0.25}, {8}}, {{8}, {0}, {12.5}}};
}

/// Observed as a matrix (x, -v; v, x).
std::vector<Step> Matrices() {
  std::vector<Step> steps = Whole();
  for (Step& step : steps) {
    for (auto* observation : {&step.observation, &step.next}) {
      const double x = (*observation)[0];
      const double v = (*observation)[1];
      *observation = {x, -v, v, x};
    }
  }
  return steps;
}

/// Of two episodes of Minari, the goal of the second one higher by 1, and the arm's angle.
std::vector<Step> Goals() {
  std::vector<Step> steps = WholeTwice();
  for (size_t i = 0; i < steps.size(); ++i) {
    const int t = static_cast<int>(i) % 5;
    for (auto* observation : {&steps[i].observation, &steps[i].next}) {
      for (double& entry : *observation) entry += steps[i].episode - 1;
    }
    steps[i].observation.push_back(Done(t)[0]);
    steps[i].next.push_back(Done(t + 1)[0]);
  }
  return steps;
}

struct LogCase {
  const char* file;  // named after the program that wrote it
  std::vector<Step> expected;
  std::vector<std::string> observation = {"x", "v"};
  double dt = 0;
  LogOptions options = {};
  RecordingColumns columns = {};
  const char* note = "";  // among those of the recording
};

/// Of a task with its units.
RecordingColumns OfTask(const char* x_unit, const char* v_unit, const char* u_unit) {
  return {.observation = {"x", "v"},
          .action = {"u"},
          .observation_units = {x_unit, v_unit},
          .action_units = {u_unit}};
}

std::vector<LogCase> Tables() {
  const std::vector<std::string> xv = {"x", "v"};
  return {
      {"pandas_index.csv", Whole(), xv, 0.25, {}, {}, "1 column without a name left out"},
      {"pandas_dates.csv", Whole(), xv, 0.05},
      {"pandas_last_action.csv", Whole()},
      {"pandas_decimal_commas.csv", Whole()},
      {"pandas_all_quoted.csv", WholeTwice()},
      {"pandas_units_row.csv", Whole()},
      {"pandas_tabs.tsv", Joined(Steps({0, 1}), Steps({3, 4}, 2))},
      {"pandas_two_runs.csv", WholeTwice(), xv, 0.25, {}, {}, "where 'time' falls (1 time"},
      {"pandas_lost_rows.csv",
       Joined(Steps({0}), Steps({3, 4}, 2)),
       xv,
       0,
       {},
       {},
       "'frame' leaves a gap"},
      {"pandas_next.csv", Steps({0, 1, 2, 3, 4, 5})},
      {"pandas_bare_clock.csv", Whole(), xv, 0, {}, {}, "the unit of 't' is not known"},
      {"pandas_bare_clock.csv", Whole(), xv, 0.25, {.time_unit = "ms"}},
      {"pandas_uneven.csv", Evened(), xv, 0.25, {.period = 0.25}, {}, "interpolated"},
      {"polars_nulls.csv", Whole(), xv, 0.02},
      {"polars_steps.csv", WholeTwice(), xv, 0, {}, {}, "where 'step' falls"},
      {"numpy_blanks.txt", Whole()},
      {"numpy_units.csv",
       Whole(),
       xv,
       0.02,
       {},
       OfTask("m", "m/s", "N"),
       "x was converted from mm to m"},
      {"csv_module_excel.csv",
       Whole(),
       {"x", "Winkel"},
       0.1005,
       {.renames = {{"time", "Zeit"}},
        .scales = {{"x", 1e-3}, {"Winkel", 2 / std::numbers::pi}},
        .degrees = {"Winkel"}}},
      {"sqlite3_quotes.csv", Whole(), xv, 0, {}, {.observation = xv, .action = {"u"}}},
      {"sqlite3_semicolons.csv", Whole(), xv, 0, {.renames = {{"next_note", "note"}}}},
      {"awk_blanks.txt", Whole(), xv, 0.1, {}, OfTask("m", "m/s", "N")},
      {"perl_ros.csv",
       Whole(),
       {"field.pose.x", "field.twist.x"},
       0.02,
       {.renames = {{"action", "field.force"}}}},
      {"perl_matlab.csv",
       Whole(),
       {"pos(1)", "pos(2)"},
       0.1,
       {.time_unit = "s"},
       {.observation = {}, .action = {"motor"}}},
      {"node_iso.csv", Whole(), xv, 0.04},
  };
}

std::vector<LogCase> Arrays() {
  const std::vector<std::string> numbered = {"observation_0", "observation_1"};
  std::vector<LogCase> cases;
#ifdef FOREPLAN_HAVE_LIBZIP
  cases = {{"numpy_times.npz", Whole(), numbered, 0.25},
           {"numpy_dictionary.npz", Whole(), {"cart/x", "v"}},
           {"numpy_own_names.npz",
            Whole(),
            {"x", "observation_1"},
            0,
            {.renames = {{"observations", "q"}, {"actions", "tau"}, {"x", "observation_0"}}}},
           {"numpy_uneven.npz", EvenedX(), {"observation_0"}, 0.25, {.period = 0.25}}};
#endif
#ifdef FOREPLAN_HAVE_HDF5
  const std::vector<LogCase> hdf5 = {
      {"h5py_minari.hdf5", Goals(), {"achieved_goal_0", "achieved_goal_1", "arm/angle"}},
      {"h5py_matrices.hdf5", Matrices(), {"rotation_0", "rotation_1", "rotation_2", "rotation_3"}},
      {"h5py_matrices.hdf5",
       Whole(),
       {"rotation_0", "rotation_2"},
       0,
       {},
       {.observation = {"rotation_0", "rotation_2"}, .action = {}}},
      {"h5py_fast.h5", EverySecond(), numbered, 0.5, {.period = 0.5}, {}, "every 2. row"}};
  cases.insert(cases.end(), hdf5.begin(), hdf5.end());
#endif
  return cases;
}

void ExpectNumbers(std::span<const double> found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    // Exact but for a factor of units or an interpolation.
    EXPECT_NEAR(found[i], expected[i], 1e-15 * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

void ExpectRead(const LogCase& log) {
  SCOPED_TRACE(log.file);
  const Recording recording = ReadRecording(kLogs / log.file, log.columns, log.options);
  EXPECT_EQ(recording.observation, log.observation);
  EXPECT_NEAR(recording.dt, log.dt, 1e-12);
  ASSERT_EQ(recording.data.size(), std::ssize(log.expected));
  for (int64_t row = 0; row < recording.data.size(); ++row) {
    SCOPED_TRACE(fmt::format("row {}", row));
    const Step& step = log.expected[static_cast<size_t>(row)];
    ExpectNumbers(recording.data.observation(row), step.observation);
    ExpectNumbers(recording.data.action(row), step.action);
    ExpectNumbers(recording.data.next_observation(row), step.next);
    EXPECT_EQ(recording.data.episode(row), step.episode);
  }
  EXPECT_THAT(fmt::format("{}", fmt::join(recording.notes, "\n")), HasSubstr(log.note));
}

TEST(Logs, OfOtherProgramsAreReadValueByValue) {
  for (const LogCase& log : Tables()) ExpectRead(log);
  for (const LogCase& log : Arrays()) ExpectRead(log);
}

struct RefusedLog {
  const char* file;
  std::vector<std::string> fragments;  // the place, what was found, what to do
  LogOptions options = {};
  RecordingColumns columns = {};
};

TEST(Logs, OfOtherProgramsAreRefusedWithThePlaceAndTheRemedy) {
  std::vector<RefusedLog> logs = {
      {"pandas_commas_twice.csv", {":2: column 1 ('x'): found '0,0'", "cells separated by ';'"}},
      {"pandas_utf16.csv", {":1: found text in UTF-16", "save it as such"}},
      {"pandas_uneven.csv", {":5: column 1 ('time'): found a step of 0.375 s", "--period 0.25"}},
      {"pandas_same_time.csv", {":4: column 1 ('time'): found a step of 0 s", "--period 0.25"}},
      {"pandas_same_time.csv", {":4: column 1", "leave out one of the two rows"}, {.period = 0.25}},
      {"pandas_hole.csv", {":5: column 2 ('v'): found an empty cell", "expected a number"}},
      {"pandas_decimal_commas.csv",
       {"--period: found no times", "--rename time=NAME"},
       {.period = 0.1}},
      {"openpyxl_sheet.xlsx", {"found a file of kind '.xlsx'", "saves its sheet as CSV"}},
      {"numpy_single.npy", {"found a file of kind '.npy'", "np.savez("}},
      {"numpy_units.csv",
       {"'x': found the unit mm, expected rad", "--scale x=FACTOR"},
       {},
       OfTask("rad", "m/s", "N")},
      {"perl_matlab.csv", {":1: found the columns Time, pos(1)", "some with actions"}},
      {"perl_ros.csv",
       {":1: --rename action=force: unknown column 'force'", "field.force"},
       {.renames = {{"action", "force"}}}}};
#ifdef FOREPLAN_HAVE_LIBZIP
  logs.push_back({"numpy_own_names.npz", {"found no array 'observations'"}});
#endif
#ifdef FOREPLAN_HAVE_HDF5
  logs.push_back({"h5py_text.h5", {"observations/mission: found elements that are no numbers"}});
#endif
  for (const RefusedLog& log : logs) {
    SCOPED_TRACE(log.file);
    try {
      ReadRecording(kLogs / log.file, log.columns, log.options);
      ADD_FAILURE() << "was read";
    } catch (const InputError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos);
      for (const std::string& fragment : log.fragments) EXPECT_THAT(message, HasSubstr(fragment));
    }
  }
}

}  // namespace
}  // namespace foreplan
