#include "foreplan/runs/run_directory.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/segments.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

void MakeFolder(const fs::path& path) {
  if (const std::error_code error = MakeFolderDurably(path)) {
    throw InputError(
        fmt::format("{}: the folder cannot be made: {}", path.string(), error.message()));
  }
}

/// Its descriptor; null when it cannot be opened.
std::shared_ptr<const int> OpenFolder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  return {new int(descriptor), [](const int* held) {
            close(*held);
            delete held;
          }};
}

/// "process 1234", the one that holds the lock of an open folder, or "process" where nobody knows.
std::string OwnerOfLock(int folder) {
  // 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF
  struct stat status {};
  std::ifstream locks("/proc/locks");
  const std::string inode =
      fstat(folder, &status) == 0 ? fmt::format(":{}", status.st_ino) : std::string("none");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, owner, file;
    words >> number >> kind >> mode >> access >> owner >> file;
    if (kind == "FLOCK" && access == "WRITE" && file.ends_with(inode)) return "process " + owner;
  }
  return "process";
}

/// A lock of the folder that ends with the object, or with the process. Null where the file system
/// knows no locks. Throws InputError when another process has it.
std::shared_ptr<const void> LockFolder(const fs::path& folder) {
  const std::shared_ptr<const int> lock = OpenFolder(folder);
  if (lock == nullptr) return nullptr;
  // Who asks whether the folder is in use holds it for a moment.
  for (int tries = 0; tries < 10; ++tries) {
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw InputError(
      fmt::format("{}: another {} is working in this folder", folder.string(), OwnerOfLock(*lock)));
}

fs::path WithoutLastSlash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

fs::path IncompletePath(const fs::path& path) { return WithoutLastSlash(path) += ".incomplete"; }

}  // namespace

RunDirectory RunDirectory::Create(const fs::path& path) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error))) {
    throw InputError(fmt::format(
        "{}: exists already, expected a new folder; choose another name, or go on with a run by "
        "'foreplan run --resume'",
        path.string()));
  }
  RunDirectory directory(IncompletePath(path));
  directory.complete_path_ = WithoutLastSlash(path);
  if (fs::exists(directory.path(), error)) {
    directory.Lock();
    fs::remove_all(directory.path(), error);
  }
  MakeFolder(directory.path());
  directory.Lock();
  MakeFolder(directory.data_folder());
  MakeFolder(directory.model_file().parent_path());
  MakeFolder(directory.checkpoint_file().parent_path());
  return directory;
}

void RunDirectory::Complete() {
  RenameDurably(path_, complete_path_);
  path_ = complete_path_;
}

void RunDirectory::Lock() {
  lock_.reset();
  lock_ = LockFolder(path_);
}

bool RunDirectory::IsInUse() const {
  const std::shared_ptr<const int> folder = OpenFolder(path_);
  return folder != nullptr && flock(*folder, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

RunDirectory RunDirectory::OpenWith(const fs::path& path, std::string_view kind,
                                    std::initializer_list<fs::path> needed) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (fs::is_directory(IncompletePath(path), error)) {
      throw InputError(fmt::format(
          "{}: found only '{}', which a program left that was stopped before the folder "
          "was complete; start it again",
          path.string(), IncompletePath(path).string()));
    }
    throw InputError(
        fmt::format("{}: found no such folder, expected the folder of {}", path.string(), kind));
  }
  for (const fs::path& file : needed) {
    if (!fs::is_regular_file(file, error)) {
      throw InputError(fmt::format("{}: is no {}, its file '{}' is missing", path.string(),
                                   kind.substr(kind.find(' ') + 1),
                                   file.lexically_relative(path).string()));
    }
  }
  return RunDirectory(path);
}

RunDirectory RunDirectory::Open(const fs::path& path) {
  const RunDirectory directory(path);
  std::error_code error;
  const bool only_previous = !fs::exists(directory.checkpoint_file(), error) &&
                             fs::exists(directory.previous_checkpoint_file(), error);
  return OpenWith(path, "a run",
                  {directory.config_file(), only_previous ? directory.previous_checkpoint_file()
                                                          : directory.checkpoint_file()});
}

RunDirectory RunDirectory::OpenRemains(const fs::path& path) {
  return OpenWith(path, "a run", {RunDirectory(path).config_file()});
}

RunDirectory RunDirectory::OpenModel(const fs::path& path) {
  const RunDirectory directory(path);
  RunDirectory found =
      OpenWith(path, "a fit or run", {directory.config_file(), directory.model_file()});
  if (HasSegments(found.data_folder())) return found;
  throw InputError(
      fmt::format("{}: found no transitions in its folder 'data', expected the folder "
                  "of a fit, or of a run that has begun",
                  path.string()));
}

fs::path RunDirectory::FreshPath(const fs::path& parent, std::string_view task,
                                 std::string_view algorithm, int seed) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string name =
      fmt::format("{}-{}-{}-{:%Y%m%d-%H%M%S}", task, algorithm, seed, fmt::localtime(now));
  fs::path path = parent / name;
  std::error_code error;  // what cannot be looked up cannot be made either: Create says so
  for (int suffix = 2; fs::exists(path, error) || fs::exists(IncompletePath(path), error);
       ++suffix) {
    path = parent / fmt::format("{}-{}", name, suffix);
  }
  return path;
}

fs::path RunDirectory::model_file() const { return path_ / "model" / "model.safetensors"; }
fs::path RunDirectory::checkpoint_file() const {
  return path_ / "checkpoint" / "state.safetensors";
}
fs::path RunDirectory::previous_checkpoint_file() const {
  return path_ / "checkpoint" / "previous.safetensors";
}

}  // namespace foreplan
