#include "fuzz/input_file.h"

#include <unistd.h>

#include <fstream>
#include <string>
#include <system_error>

namespace foreplan::fuzz {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    path_ = fs::temp_directory_path() / ("foreplan_fuzz_" + std::to_string(getpid()));
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

const fs::path& OwnFolder() {
  static const Folder folder;
  return folder.path();
}

void Overwrite(const fs::path& file, std::string_view bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::system_error(errno, std::generic_category(), file.string());
}

fs::path InputFile(std::string_view name, std::string_view bytes) {
  fs::path file = OwnFolder() / name;
  Overwrite(file, bytes);
  return file;
}

}  // namespace foreplan::fuzz
