// Rewards and systems that a program makes known, in task files.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/systems/closed_form/closed_form_factory.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"
#include "foreplan/systems/system_types.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

/// Pays a number for every step.
class Constant final : public Reward {
 public:
  explicit Constant(double reward) : reward_(reward) {}
  std::optional<TransitionSizes> sizes() const override { return TransitionSizes{2, 1}; }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    std::fill_n(reward, batch.rows, reward_);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }

 private:
  double reward_;
};

RewardMaker Pays(double reward) {
  return
      [reward](const std::string&, int, int) { return std::make_unique<const Constant>(reward); };
}

struct ShaftOptions {
  double inertia = 2;  // [kg m^2]
  ResetOptions reset;
  void Visit(OptionsVisitor& visitor) { visitor.Field("inertia", inertia, {0.1, 100}, "[kg m^2]"); }
};

/// A shaft that a motor turns.
struct ShaftFormula {
  using Options = ShaftOptions;
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kPositions = 1;
  static SystemSpec Spec(const Options& /*options*/) {
    SystemSpec spec;
    spec.dt = 0.1;
    spec.state = {{"angle", "rad"}, {"speed", "rad/s"}};
    spec.observation = spec.state;
    spec.action = {{"torque", "N m"}};
    spec.action_low = {-1};
    spec.action_high = {1};
    return spec;
  }
  static std::array<double, 2> Start(const Options& /*options*/) { return {0, 0}; }
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    next[0] = x[0] + 0.1 * x[1];
    next[1] = x[1] + 0.1 / options.inertia * u[0];
  }
};
using Shaft = FormulaSystem<ShaftFormula>;

/// All that this program makes known, once.
void MakeKnown() {
  static const bool once = [] {
    RegisterReward("pays_seven", Pays(7));
    RegisterReward("pays_eight", Pays(8));
    RegisterReward("makes_nothing", [](const std::string&, int, int) { return nullptr; });
    RegisterSystem("shaft", [](const std::string& type) {
      return std::make_unique<ClosedFormFactory<Shaft>>(type);
    });
    return true;
  }();
  (void)once;
}

Task TaskOf(const std::string& text) {
  Config config = Config::FromString("name = 't'\nepisode_length = 5\n" + text, "t.toml");
  Task task = Task::FromConfig(config, ".");
  config.ThrowOnUnknownKeys();
  return task;
}

double Paid(const Reward& reward) {
  const std::array<double, 2> observation = {};
  const double action = 0;
  double paid = 0;
  uint8_t terminated = 0;
  reward.Evaluate({1, observation.data(), &action, observation.data()}, &paid, &terminated);
  return paid;
}

TEST(RegisteredReward, IsNamedInATaskFile) {
  MakeKnown();
  const Task task =
      TaskOf("reward = 'pays_seven'\nplanning_reward = 'pays_eight'\n[system]\ntype = 'shaft'");
  EXPECT_EQ(Paid(task.reward()), 7);
  EXPECT_EQ(Paid(task.planning_reward()), 8);
  EXPECT_TRUE(std::ranges::count(RewardNames(), "pays_seven"));
}

TEST(RegisteredReward, IsSuggestedWhereItIsMisspelt) {
  MakeKnown();
  EXPECT_NE(MessageOf([] {
              TaskOf("reward = 'pays_sevn'\n[system]\ntype = 'shaft'");
            }).find("unknown reward or quantity 'pays_sevn' (did you mean 'pays_seven'?)"),
            std::string::npos);
}

TEST(RegisteredReward, OfOtherSizesIsRefused) {
  MakeKnown();
  EXPECT_EQ(MessageOf([] { TaskOf("reward = 'pays_seven'\n[system]\ntype = 'pendulum'"); }),
            "t.toml: reward 'pays_seven': found one for 2 observation and 1 action components, "
            "expected 3 and 1");
}

TEST(RegisteredReward, HasATerminationOfItsOwn) {
  MakeKnown();
  EXPECT_NE(MessageOf([] {
              TaskOf("reward = 'pays_seven'\ntermination = 'angle > 1'\n[system]\ntype = 'shaft'");
            }).find("termination: found one beside the reward 'pays_seven'"),
            std::string::npos);
}

TEST(RegisteredNames, MustBeFreeAndStandForSomething) {
  MakeKnown();
  EXPECT_EQ(MessageOf([] { RegisterReward("pendulum", Pays(1)); }),
            "reward: found the name 'pendulum' again, expected one that is free");
  EXPECT_EQ(MessageOf([] { RegisterReward("pays_seven", Pays(1)); }),
            "reward: found the name 'pays_seven' again, expected one that is free");
  EXPECT_EQ(MessageOf([] { RegisterReward("nothing", nullptr); }),
            "reward 'nothing': found no function that makes it");
  EXPECT_EQ(MessageOf([] { RegisterSystem("mujoco", [](const std::string&) { return nullptr; }); }),
            "system: found the name 'mujoco' again, expected one that is free");
  EXPECT_EQ(MessageOf([] { RegisterSystem("nothing", nullptr); }),
            "system 'nothing': found no function that makes it");
  EXPECT_EQ(MessageOf([] { TaskOf("reward = 'makes_nothing'\n[system]\ntype = 'shaft'"); }),
            "t.toml: reward 'makes_nothing': found null, expected what it makes");
}

TEST(RegisteredSystem, IsATypeInATaskFileAndItsOptionsAreWrittenBack) {
  MakeKnown();
  const Task task = TaskOf("reward = '-angle^2'\n[system]\ntype = 'shaft'\ninertia = 4");
  const auto system = task.MakeSystem();
  system->SetState(std::vector<double>{0, 1});
  ASSERT_EQ(system->Step(std::vector<double>{0.8}), StepStatus::kOk);
  std::vector<double> state(2);
  system->GetState(state);
  EXPECT_DOUBLE_EQ(state[0], 0.1);
  EXPECT_DOUBLE_EQ(state[1], 1 + 0.1 * 0.8 / 4);

  ConfigWriter writer;
  task.Save(writer, ".");
  EXPECT_NE(writer.text().find("type = \"shaft\""), std::string::npos) << writer.text();
  EXPECT_NE(writer.text().find("inertia = 4"), std::string::npos) << writer.text();
  Config again = Config::FromString(writer.text(), "again.toml");
  ConfigWriter rewritten;
  Task::FromConfig(again, ".").Save(rewritten, ".");
  EXPECT_EQ(rewritten.text(), writer.text());
}

TEST(RegisteredSystem, HasOptionsThatAreChecked) {
  MakeKnown();
  EXPECT_NE(MessageOf([] {
              TaskOf("reward = '0'\n[system]\ntype = 'shaft'\ninertia = 0");
            }).find("system.inertia"),
            std::string::npos);
  EXPECT_NE(MessageOf([] {
              TaskOf("reward = '0'\n[system]\ntype = 'shft'");
            }).find("did you mean 'shaft'?"),
            std::string::npos);
}

TEST(RegisteredSystem, ComesInFamilies) {
  MakeKnown();
  const Task task = TaskOf("reward = '0'\n[system]\ntype = 'shaft'");
  const SystemFamily family = task.MakeFamily("test", {"inertia"});
  const auto system = family(std::vector<double>{10});
  system->SetState(std::vector<double>{0, 0});
  ASSERT_EQ(system->Step(std::vector<double>{1}), StepStatus::kOk);
  std::vector<double> state(2);
  system->GetState(state);
  EXPECT_DOUBLE_EQ(state[1], 0.01);
}

}  // namespace
}  // namespace foreplan
