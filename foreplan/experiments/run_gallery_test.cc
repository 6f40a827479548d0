#include "foreplan/experiments/run_gallery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "foreplan/core/error.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kMarkup = "</script><img src=x onerror=alert(1)>";

/// A folder of its own per test, with runs that nobody ran.
class RunGalleryTest : public testing::Test {
 protected:
  RunGalleryTest() {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~RunGalleryTest() override { fs::remove_all(folder_); }

  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file, std::ios::binary) << text;
  }

  void WriteEpisodes(const std::string& run, int episodes) const {
    RunLog log;
    for (int i = 1; i <= episodes; ++i) {
      log.AddEpisode({i, "mpc", 10, 10 * i, 1.5 * i, EpisodeEnd::kLength, ""});
      log.AddMetric(i, 10 * i, kModelErrorMetric, 1.0 / i);
    }
    Write(run + "/episodes.csv", log.EpisodesCsv());
    Write(run + "/metrics.csv", log.MetricsCsv());
  }

  void WriteRun(const std::string& run, int episodes, const std::string& task = "pendulum") const {
    Write(run + "/config.toml",
          "name = \"" + task + "\"\n[run]\nalgorithm = \"mpc\"\nplanner = \"icem\"\nseed = 4\n");
    Write(run + "/machine.json", "{}");
    Write(run + "/checkpoint/state.safetensors", "");
    WriteEpisodes(run, episodes);
  }

  static Json All(RunGallery& gallery) {
    RunGallery::Seen seen;
    const Json changes = gallery.Changes(seen);
    return changes.is_null() ? Json::array() : changes["runs"];
  }

  /// What has changed a moment later; waits for it.
  static Json Next(RunGallery& gallery, RunGallery::Seen& seen) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    Json changes;
    while (changes.is_null() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      changes = gallery.Changes(seen);
    }
    return changes;
  }

  static std::string ErrorOf(const std::function<void()>& action) {
    try {
      action();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(RunGalleryTest, ListsRunsBelowAFolder) {
  WriteRun("b/deep/run", 3);
  WriteRun("a", 2);
  Write("c/notes.txt", "no run");
  RunGallery gallery(folder_);
  const Json runs = All(gallery);
  ASSERT_EQ(runs.size(), 2);
  EXPECT_EQ(runs[0]["name"], "a");
  EXPECT_EQ(runs[1]["name"], "b/deep/run");
  EXPECT_EQ(runs[1]["task"], "pendulum");
  EXPECT_EQ(runs[1]["method"], "mpc, icem");
  EXPECT_EQ(runs[1]["seed"], 4);
  EXPECT_EQ(runs[1]["state"], "stopped");
  EXPECT_EQ(runs[1]["episodes"], 3);
  EXPECT_EQ(runs[1]["last_return"], 4.5);
  EXPECT_EQ(runs[1]["error"], "");
  const Json charts = gallery.Charts(runs[1]["id"].get<int>());
  EXPECT_EQ(charts["episodes"]["return"], Json({1.5, 3.0, 4.5}));
  EXPECT_EQ(charts["model_error"]["value"], Json({1.0, 0.5, 1.0 / 3}));
}

TEST_F(RunGalleryTest, ShowsAFolderThatIsARun) {
  WriteRun("run", 1);
  RunGallery gallery(folder_ / "run" / "");
  EXPECT_EQ(All(gallery)[0]["name"], "run");
}

TEST_F(RunGalleryTest, SaysWhatHasChanged) {
  WriteRun("a", 2);
  WriteRun("b", 2);
  RunGallery gallery(folder_);
  RunGallery::Seen seen;
  EXPECT_EQ(gallery.Changes(seen)["runs"].size(), 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_TRUE(gallery.Changes(seen).is_null());
  WriteEpisodes("b", 3);
  const Json appended = Next(gallery, seen);
  ASSERT_EQ(appended["runs"].size(), 1);
  EXPECT_EQ(appended["runs"][0]["name"], "b");
  EXPECT_EQ(appended["runs"][0]["episodes"], 3);
  const Json id = appended["runs"][0]["id"];
  fs::remove_all(folder_ / "b");
  Json removed = Next(gallery, seen);
  while (removed["gone"].empty() && !removed.is_null()) removed = Next(gallery, seen);
  EXPECT_EQ(removed["gone"], Json({id}));
  WriteRun("c", 1);
  EXPECT_EQ(Next(gallery, seen)["runs"][0]["name"], "c");
}

TEST_F(RunGalleryTest, ReadsATableThatIsBeingWritten) {
  WriteRun("a", 2);
  std::ofstream(folder_ / "a/episodes.csv", std::ios::app) << "3,mpc,10,3";
  RunGallery gallery(folder_);
  EXPECT_EQ(All(gallery)[0]["episodes"], 2);
}

TEST_F(RunGalleryTest, DamagedRunsStandInTheListWithTheirError) {
  WriteRun("bytes", 2);
  Write("bytes/episodes.csv", std::string("\x00\xff\n\x01\n", 5));
  WriteRun("later", 2);
  Write("later/result.json", R"({"format": 99})");
  WriteRun("no_config", 2);
  Write("no_config/config.toml", "[[[");
  WriteRun("no_checkpoint", 2);
  fs::remove_all(folder_ / "no_checkpoint/checkpoint");
  WriteRun("whole", 2);
  RunGallery gallery(folder_);
  const Json runs = All(gallery);
  ASSERT_EQ(runs.size(), 5);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NE(runs[i]["error"], "") << runs[i].dump();
    EXPECT_THAT(runs[i]["error"].get<std::string>(), Not(HasSubstr(folder_.string())));
    EXPECT_NE(ErrorOf([&] { static_cast<void>(gallery.Charts(runs[i]["id"].get<int>())); }), "");
    EXPECT_NE(ErrorOf([&] { static_cast<void>(gallery.Report(runs[i]["id"].get<int>())); }), "");
  }
  EXPECT_EQ(runs[4]["error"], "");
}

TEST_F(RunGalleryTest, ARunIsMendedAndShown) {
  WriteRun("a", 2);
  Write("a/config.toml", "[[[");
  RunGallery gallery(folder_);
  RunGallery::Seen seen;
  EXPECT_NE(gallery.Changes(seen)["runs"][0]["error"], "");
  WriteRun("a", 2);
  EXPECT_EQ(Next(gallery, seen)["runs"][0]["error"], "");
}

TEST_F(RunGalleryTest, FollowsNoLinkOutOfTheFolder) {
  WriteRun("elsewhere/run", 2);
  WriteRun("shown/table", 2);
  fs::remove(folder_ / "shown/table/metrics.csv");
  fs::create_symlink("/etc/passwd", folder_ / "shown/table/metrics.csv");
  WriteRun("shown/model", 2);
  fs::create_symlink("/etc/passwd", folder_ / "shown/model/robot.xml");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "shown/linked");
  WriteRun("shown/..hidden..", 2);
  WriteRun("shown/a..b", 2);
  RunGallery gallery(folder_ / "shown");
  const Json runs = All(gallery);
  ASSERT_EQ(runs.size(), 3);
  EXPECT_EQ(runs[0]["name"], "a..b");
  EXPECT_EQ(runs[0]["error"], "");
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_THAT(runs[i]["error"].get<std::string>(), HasSubstr("a link that leads out"));
    EXPECT_THAT(runs[i].dump(), Not(HasSubstr("root:")));
  }
}

TEST_F(RunGalleryTest, ATaskIsReadFromTheRunsFolderAlone) {
  WriteRun("a", 2);
  Write("a/config.toml",
        "name = \"x\"\n[system]\ntype = \"mujoco\"\nmodel = \"../../../etc/passwd\"\n");
  Write("a/recordings/episode_000002.safetensors.gz", "no gzip");
  RunGallery gallery(folder_);
  const int id = All(gallery)[0]["id"].get<int>();
  EXPECT_THAT(ErrorOf([&] { static_cast<void>(gallery.AnimationBytes(id, {})); }),
              HasSubstr("expected a file in the run's folder"));
}

TEST_F(RunGalleryTest, SaysWhatIsWrongWithARecording) {
  WriteRun("a", 2);
  RunGallery gallery(folder_);
  RunGallery::Seen seen;
  const Json runs = gallery.Changes(seen)["runs"];
  EXPECT_TRUE(runs[0]["recording"].is_null());
  const int id = runs[0]["id"].get<int>();
  EXPECT_THAT(ErrorOf([&] { static_cast<void>(gallery.AnimationBytes(id, {})); }),
              HasSubstr("found no recorded episode"));
  Write("a/recordings/episode_000002.safetensors.gz", "no gzip");
  EXPECT_EQ(Next(gallery, seen)["runs"][0]["recording"]["episode"], 2);
  EXPECT_NE(ErrorOf([&] { static_cast<void>(gallery.AnimationBytes(id, {})); }), "");
  EXPECT_THAT(ErrorOf([&] { static_cast<void>(gallery.AnimationBytes(id, 7)); }),
              HasSubstr("episode 7"));
  std::ofstream(folder_ / "a/recordings/episode_000002.safetensors.gz").seekp(300000000) << "x";
  EXPECT_THAT(ErrorOf([&] { static_cast<void>(gallery.AnimationBytes(id, {})); }),
              HasSubstr("expected at most 256"));
}

TEST_F(RunGalleryTest, RefusesHugeTables) {
  WriteRun("a", 2);
  std::ofstream(folder_ / "a/metrics.csv").seekp(100000000) << "x";
  RunGallery gallery(folder_);
  EXPECT_THAT(All(gallery)[0]["error"].get<std::string>(), HasSubstr("expected at most 64"));
}

TEST_F(RunGalleryTest, MarkupIsText) {
  WriteRun("a", 2, kMarkup);
  RunGallery gallery(folder_);
  const Json runs = All(gallery);
  EXPECT_EQ(runs[0]["task"], kMarkup);
  EXPECT_THAT(gallery.Report(runs[0]["id"].get<int>()), Not(HasSubstr("<img src=x")));
  EXPECT_THAT(LivePage(kMarkup), Not(HasSubstr("<img src=x")));
}

TEST_F(RunGalleryTest, KnowsNoOtherNumbers) {
  WriteRun("a", 1);
  RunGallery gallery(folder_);
  EXPECT_THAT(ErrorOf([&] { static_cast<void>(gallery.Charts(2)); }), HasSubstr("run 2"));
}

TEST_F(RunGalleryTest, NeedsAFolder) {
  Write("file", "");
  for (const char* name : {"none", "file"}) {
    EXPECT_THAT(ErrorOf([&] { RunGallery gallery(folder_ / name); }),
                HasSubstr("found no such folder"));
  }
}

TEST_F(RunGalleryTest, WritesNothing) {
  WriteRun("a", 2);
  const auto entries = [&] { return std::distance(fs::recursive_directory_iterator(folder_), {}); };
  const auto before = entries();
  RunGallery gallery(folder_);
  static_cast<void>(gallery.Report(All(gallery)[0]["id"].get<int>()));
  EXPECT_EQ(entries(), before);
}

}  // namespace
}  // namespace foreplan
