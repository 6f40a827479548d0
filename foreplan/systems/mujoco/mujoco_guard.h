// MuJoCo keeps its handlers of errors and warnings once per process; foreplan shares them.
#pragma once

#include <string>
#include <string_view>

#include "foreplan/core/error.h"

namespace foreplan {

/// What MuJoCo calls a fatal error; without a guard it would end the process.
class MujocoError : public Error {
 public:
  using Error::Error;
};

/// While one lives, MuJoCo's fatal errors on THIS thread throw MujocoError, and its warnings are
/// neither printed nor logged (FindMujocoFault reports them). Other threads of the process, and
/// this one afterwards, get the handlers that they had. Guards may be nested; one beside another
/// thread's costs two atomic operations, a lone one two locks and the exchange of the handlers.
class MujocoGuard {
 public:
  MujocoGuard();
  ~MujocoGuard();
  MujocoGuard(const MujocoGuard&) = delete;
  MujocoGuard& operator=(const MujocoGuard&) = delete;
};

/// A message of MuJoCo's on one line.
std::string MujocoMessage(std::string_view text);

}  // namespace foreplan
