#include "foreplan/core/read_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

class ReadFileTest : public testing::Test {
 protected:
  ReadFileTest() : folder_(fs::path(testing::TempDir()) / ("files_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~ReadFileTest() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path Written(std::string_view text) const {
    std::ofstream(folder_ / "x", std::ios::binary) << text;
    return folder_ / "x";
  }
  [[nodiscard]] fs::path Pipe() const {
    mkfifo((folder_ / "pipe").c_str(), 0600);
    return folder_ / "pipe";
  }

  const fs::path folder_;
};

TEST_F(ReadFileTest, ReadsAllBytes) {
  const std::string bytes = std::string("a\r\n\0\xff", 5) + std::string(200000, 'b');
  EXPECT_EQ(ReadFile(Written(bytes)), bytes);
  EXPECT_EQ(ReadFile(Written("")), "");
}

TEST_F(ReadFileTest, RefusesMoreBytesThanAllowed) {
  const fs::path file = Written("12345");
  EXPECT_EQ(ReadFile(file, 5), "12345");
  EXPECT_EQ(MessageOf([&] { ReadFile(file, 4); }),
            file.string() + ": found 5 bytes, expected at most 4");
}

TEST_F(ReadFileTest, RefusesWhatIsNoRegularFileAtOnce) {
  const std::string pipe = Pipe().string();
  const std::string expected = ", expected a regular file";
  EXPECT_EQ(MessageOf([&] { ReadFile(pipe); }), pipe + ": found a pipe" + expected);
  EXPECT_EQ(MessageOf([&] { CheckRegularFile(pipe); }), pipe + ": found a pipe" + expected);
  EXPECT_EQ(MessageOf([] { ReadFile("/dev/zero"); }), "/dev/zero: found a device" + expected);
  EXPECT_EQ(MessageOf([&] { ReadFile(folder_); }),
            folder_.string() + ": cannot be read: Is a directory");
  EXPECT_EQ(MessageOf([&] { CheckRegularFile(folder_ / "absent"); }),
            (folder_ / "absent").string() + ": cannot be read: No such file or directory");
}

TEST_F(ReadFileTest, AConfigurationIsARegularFileOfLimitedSize) {
  EXPECT_EQ(MessageOf([] { Config::FromFile("/dev/zero"); }),
            "/dev/zero: found a device, expected a regular file");
  const std::string pipe = Pipe().string();
  EXPECT_EQ(MessageOf([&] { Config::FromFile(pipe); }),
            pipe + ": found a pipe, expected a regular file");
  const fs::path large = Written("");
  fs::resize_file(large, (uint64_t{64} << 20) + 1);  // sparse: takes no room on the disk
  EXPECT_EQ(MessageOf([&] { Config::FromFile(large); }),
            large.string() + ": found 67108865 bytes, expected at most 67108864");
}

}  // namespace
}  // namespace foreplan
