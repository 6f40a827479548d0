#include "foreplan/core/own_folders.h"

#include <dlfcn.h>

#include <system_error>

namespace foreplan {

namespace fs = std::filesystem;

std::vector<fs::path> OwnFolders() {
  std::vector<fs::path> folders;
  std::error_code error;
  Dl_info info;
  static const int kHere = 0;
  if (dladdr(&kHere, &info) != 0 && info.dli_fname != nullptr) {
    const fs::path file = fs::canonical(info.dli_fname, error);
    if (!error) folders.push_back(file.parent_path());
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error || folders.empty()) folders.push_back(program.parent_path());
  return folders;
}

}  // namespace foreplan
