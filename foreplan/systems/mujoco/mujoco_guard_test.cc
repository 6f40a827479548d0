#include "foreplan/systems/mujoco/mujoco_guard.h"

#include <gtest/gtest.h>
#include <mujoco/mujoco.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {
namespace {

/// What a program that uses the same libmujoco does with its errors.
struct HostError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::atomic<int> warnings_of_host{0};

#if mjVERSION_HEADER >= 4000000
void HandleAsHost(const mjLogMessage* message) {
  if (message->level == mjLOG_ERROR) throw HostError(message->subject);
  warnings_of_host += message->level == mjLOG_WARNING ? 1 : 0;
}
#else
void HandleErrorAsHost(const char* message) { throw HostError(message); }
void HandleWarningAsHost(const char* /*message*/) { ++warnings_of_host; }
#endif

class HostOfMujoco : public testing::Test {
 protected:
  void SetUp() override {
    warnings_of_host = 0;
#if mjVERSION_HEADER >= 4000000
    before_ = mju_setLogHandler(HandleAsHost);
#else
    mju_user_error = HandleErrorAsHost;
    mju_user_warning = HandleWarningAsHost;
#endif
  }
  void TearDown() override {
#if mjVERSION_HEADER >= 4000000
    mju_setLogHandler(before_);
#else
    mju_user_error = nullptr;
    mju_user_warning = nullptr;
#endif
  }

  /// True when the process has the host's handlers.
  static bool HasItsHandlers() {
#if mjVERSION_HEADER >= 4000000
    const mjfLogHandler found = mju_setLogHandler(HandleAsHost);
    mju_setLogHandler(found);
    return found == HandleAsHost;
#else
    return mju_user_error == HandleErrorAsHost && mju_user_warning == HandleWarningAsHost;
#endif
  }

 private:
#if mjVERSION_HEADER >= 4000000
  mjfLogHandler before_ = nullptr;
#endif
};

TEST_F(HostOfMujoco, UnderAGuardErrorsThrowAndWarningsAreQuiet) {
  {
    const MujocoGuard guard;
    { const MujocoGuard nested; }
    EXPECT_THROW(mju_error("out of luck"), MujocoError);
    mju_warning("careful");
    EXPECT_FALSE(HasItsHandlers());
  }
  EXPECT_EQ(warnings_of_host, 0);
}

TEST_F(HostOfMujoco, HasItsHandlersBackBehindEveryGuard) {
  { const MujocoGuard guard; }
  EXPECT_TRUE(HasItsHandlers());
  EXPECT_THROW(mju_error("out of luck"), HostError);
  mju_warning("careful");
  EXPECT_EQ(warnings_of_host, 1);
}

TEST_F(HostOfMujoco, HearsOfItsOtherThreadsWhileOneIsGuarded) {
  const MujocoGuard guard;
  bool host_error = false;
  std::thread other([&] {
    mju_warning("careful");
    try {
      mju_error("out of luck");
    } catch (const HostError&) {
      host_error = true;
    }
  });
  other.join();
  EXPECT_TRUE(host_error);
  EXPECT_EQ(warnings_of_host, 1);
  EXPECT_THROW(mju_error("out of luck"), MujocoError);
}

TEST_F(HostOfMujoco, HasItsHandlersBackAfterManyThreads) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 300; ++k) {
        const MujocoGuard guard;
        try {
          mju_error("out of luck");
        } catch (const MujocoError&) {
          continue;
        } catch (...) {
        }
        ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(HasItsHandlers());
}

TEST_F(HostOfMujoco, KeepsItsHandlersWhateverASystemDoes) {
  MujocoOptions options;
  options.model = (TasksDirectory() / "pets_cartpole.xml").string();
  MujocoSystem system(options);
  EXPECT_TRUE(HasItsHandlers());
  system.Reset(Key{1, 0});
  EXPECT_TRUE(HasItsHandlers());
  // A velocity that MuJoCo warns of.
  system.SetState(std::vector<double>{0, 0, 0, 1e11, 0, 0, 0});
  EXPECT_EQ(system.Step(std::vector<double>{0}), StepStatus::kDiverged);
  EXPECT_EQ(warnings_of_host, 0);
  EXPECT_TRUE(HasItsHandlers());
  options.model = testing::TempDir() + "/no_such_model.xml";
  EXPECT_THROW(MujocoSystem{options}, InputError);
  EXPECT_TRUE(HasItsHandlers());
}

}  // namespace
}  // namespace foreplan
