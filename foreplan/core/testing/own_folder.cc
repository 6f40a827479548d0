// Linked into every test program: gives the process a temporary folder of its own, so that tests
// that run beside each other never share a file and leave none behind.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace {

class OwnFolder {
 public:
  OwnFolder()
      : path_((std::filesystem::path(testing::TempDir()) / "foreplan_test_XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr || setenv("TEST_TMPDIR", path_.c_str(), 1) != 0) {
      perror(path_.c_str());
      _exit(1);
    }
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  ~OwnFolder() {
    if (getpid() != owner_) return;  // a death test's child
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

 private:
  pid_t owner_ = getpid();
  std::string path_;
};

const OwnFolder own_folder;

}  // namespace
