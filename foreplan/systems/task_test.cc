#include "foreplan/systems/task.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

Numbers StateOf(const System& system) {
  Numbers state(system.spec().state.size());
  system.GetState(state);
  return state;
}

/// Uniform in twice the bounds, so that half of it must be clamped.
Numbers RandomAction(const SystemSpec& spec, Random& random) {
  Numbers action;
  for (size_t i = 0; i < spec.action.size(); ++i) {
    action.push_back(random.Uniform(2 * spec.action_low[i], 2 * spec.action_high[i]));
  }
  return action;
}

// --- what holds for every shipped task

class ShippedTask : public testing::TestWithParam<std::string> {
 protected:
  Task task_ = Task::Load(GetParam()).first;
  std::unique_ptr<System> system_ = task_.MakeSystem();
  const SystemSpec& spec_ = system_->spec();
};

TEST_P(ShippedTask, HasTheNameOfItsFileAndASummary) {
  EXPECT_EQ(task_.name(), GetParam());
  EXPECT_FALSE(task_.summary().empty());
  EXPECT_EQ(task_.summary().find('\n'), std::string::npos);
  EXPECT_GT(task_.episode_length(), 0);
  EXPECT_GT(spec_.dt, 0);
}

TEST_P(ShippedTask, HasBoundedActions) {
  ASSERT_EQ(spec_.action_low.size(), spec_.action.size());
  ASSERT_EQ(spec_.action_high.size(), spec_.action.size());
  for (size_t i = 0; i < spec_.action.size(); ++i) {
    EXPECT_TRUE(std::isfinite(spec_.action_low[i]));
    EXPECT_LT(spec_.action_low[i], spec_.action_high[i]);
    EXPECT_TRUE(std::isfinite(spec_.action_high[i]));
  }
}

TEST_P(ShippedTask, ResetIsAFunctionOfTheKey) {
  system_->Reset(Key{1, 0});
  const Numbers first = StateOf(*system_);
  ASSERT_EQ(system_->Step(spec_.action_high), StepStatus::kOk);
  system_->Reset(Key{2, 0});
  if (GetParam() == "peg_insertion" || GetParam() == "planar_arm") {
    EXPECT_EQ(StateOf(*system_), first);  // always start the same
  } else {
    EXPECT_NE(StateOf(*system_), first);
  }
  system_->Reset(Key{1, 0});
  EXPECT_EQ(StateOf(*system_), first);
}

TEST_P(ShippedTask, ContinuesBitForBitFromItsState) {
  system_->Reset(Key{1, 0});
  Random random(Key{1, 1});
  for (int step = 0; step < 30; ++step) {
    ASSERT_EQ(system_->Step(RandomAction(spec_, random)), StepStatus::kOk);
  }
  const auto other = task_.MakeSystem();
  other->Reset(Key{2, 0});
  other->SetState(StateOf(*system_));
  for (int step = 0; step < 30; ++step) {
    const Numbers action = RandomAction(spec_, random);
    ASSERT_EQ(system_->Step(action), StepStatus::kOk);
    ASSERT_EQ(other->Step(action), StepStatus::kOk);
    ASSERT_EQ(StateOf(*other), StateOf(*system_)) << "step " << step;
  }
}

TEST_P(ShippedTask, ClonesAreEqualAndIndependent) {
  system_->Reset(Key{1, 0});
  ASSERT_EQ(system_->Step(spec_.action_low), StepStatus::kOk);
  const auto clone = system_->Clone();
  const Numbers before = StateOf(*system_);
  ASSERT_EQ(StateOf(*clone), before);
  ASSERT_EQ(clone->Step(spec_.action_high), StepStatus::kOk);
  EXPECT_EQ(StateOf(*system_), before);
  EXPECT_NE(StateOf(*clone), before);
  ASSERT_EQ(system_->Step(spec_.action_high), StepStatus::kOk);
  EXPECT_EQ(StateOf(*system_), StateOf(*clone));
}

TEST_P(ShippedTask, ClampsActions) {
  system_->Reset(Key{1, 0});
  const auto clone = system_->Clone();
  Numbers beyond = spec_.action_high;
  for (double& entry : beyond) entry = 10 * entry + 1;
  ASSERT_EQ(system_->Step(spec_.action_high), StepStatus::kOk);
  ASSERT_EQ(clone->Step(beyond), StepStatus::kOk);
  EXPECT_EQ(StateOf(*system_), StateOf(*clone));
}

TEST_P(ShippedTask, ANanActionIsADivergenceThatNamesIt) {
  system_->Reset(Key{1, 0});
  EXPECT_EQ(system_->Divergence(), "");
  const Numbers action(spec_.action.size(), std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(system_->Step(action), StepStatus::kDiverged);
  EXPECT_NE(system_->Divergence().find("'" + spec_.action[0].name + "'"), std::string::npos);
}

TEST_P(ShippedTask, RunsAWholeRandomEpisodeWithFiniteRewards) {
  system_->Reset(Key{1, 0});
  Random random(Key{1, 1});
  Numbers observation(spec_.observation.size());
  Numbers next(spec_.observation.size());
  system_->Observe(observation);
  for (int step = 0; step < task_.episode_length(); ++step) {
    const Numbers action = RandomAction(spec_, random);
    ASSERT_EQ(system_->Step(action), StepStatus::kOk) << system_->Divergence();
    system_->Observe(next);
    double reward = 0;
    uint8_t terminated = 0;
    task_.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                            &terminated);
    ASSERT_TRUE(std::isfinite(reward));
    observation = next;
  }
}

TEST_P(ShippedTask, SavedAndLoadedIsTheSameTask) {
  const std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / ("saved_" + GetParam());
  std::filesystem::create_directories(directory);
  ConfigWriter writer;
  task_.Save(writer, directory);
  std::ofstream(directory / "config.toml") << writer.text();

  auto [loaded, config] = Task::Load((directory / "config.toml").string());
  config.ThrowOnUnknownKeys();
  EXPECT_EQ(loaded.name(), task_.name());
  EXPECT_EQ(loaded.summary(), task_.summary());
  EXPECT_EQ(loaded.episode_length(), task_.episode_length());
  EXPECT_EQ(loaded.encoding().sin_cos, task_.encoding().sin_cos);
  EXPECT_EQ(loaded.encoding().omit, task_.encoding().omit);
  EXPECT_EQ(loaded.encoding().integrate, task_.encoding().integrate);
  EXPECT_EQ(loaded.encoding().input_texts, task_.encoding().input_texts);
  const auto system = loaded.MakeSystem();
  system->Reset(Key{1, 0});
  system_->Reset(Key{1, 0});
  ASSERT_EQ(system->Step(spec_.action_high), StepStatus::kOk);
  ASSERT_EQ(system_->Step(spec_.action_high), StepStatus::kOk);
  EXPECT_EQ(StateOf(*system), StateOf(*system_));
  ConfigWriter again;
  loaded.Save(again, directory);
  EXPECT_EQ(again.text(), writer.text());
}

INSTANTIATE_TEST_SUITE_P(Tasks, ShippedTask, testing::ValuesIn(Task::ShippedNames()),
                         [](const auto& info) { return info.param; });

// --- the shipped tasks

TEST(Task, ShipsTheClosedFormsInEveryBuild) {
  const std::vector<std::string> names = Task::ShippedNames();
  const auto ships = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_TRUE(ships("cartpole_closed_form"));
  EXPECT_TRUE(ships("pendulum"));
#ifdef FOREPLAN_HAVE_MUJOCO
  EXPECT_TRUE(ships("pets_cartpole"));
  EXPECT_TRUE(ships("gymnasium_inverted_pendulum"));
#else
  EXPECT_FALSE(ships("pets_cartpole"));
#endif
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(Task, TheClosedFormStartsLikeTheSimulatedCartPole) {
  const auto simulated = Task::Load("pets_cartpole").first.MakeSystem();
  const auto formula = Task::Load("cartpole_closed_form").first.MakeSystem();
  Numbers a(4);
  Numbers b(4);
  simulated->Reset(Key{9, 0});
  formula->Reset(Key{9, 0});
  simulated->Observe(a);
  formula->Observe(b);
  EXPECT_EQ(a, b);
}
#endif

TEST(Task, PlansForItsRewardUnlessItNamesAnother) {
  const auto value = [](const Reward& reward) {
    const std::vector<double> next = {0.5, 0, 0, 0};
    const double action = 0;
    double result = 0;
    uint8_t terminated = 0;
    reward.Evaluate({1, next.data(), &action, next.data()}, &result, &terminated);
    return result;
  };
  const Task plain = Task::Load("cartpole_closed_form").first;
  EXPECT_EQ(value(plain.reward()), value(plain.planning_reward()));
  const std::vector<std::string> other = {"planning_reward=centered_inverted_pendulum"};
  const Task named = Task::Load("cartpole_closed_form", other).first;
  EXPECT_EQ(value(named.reward()), value(plain.reward()));
  EXPECT_NE(value(named.reward()), value(named.planning_reward()));
}

TEST(Task, PatternsInTheEncodingStandForNames) {
  const std::vector<std::string> overrides{"encoding.absolute=['*theta', 'theta*']"};
  const Task task = Task::Load("pendulum", overrides).first;
  EXPECT_EQ(task.encoding().absolute,
            (std::vector<std::string>{"cos_theta", "sin_theta", "theta_dot"}));
}

TEST(Task, OverridesReachTheSystem) {
  const std::vector<std::string> overrides{"episode_length=7", "system.max_torque=0.5"};
  const auto [task, config] = Task::Load("pendulum", overrides);
  EXPECT_EQ(task.episode_length(), 7);
  EXPECT_EQ(task.spec().action_high, Numbers{0.5});
}

TEST(Task, IsFoundInTheDirectoryOfTheEnvironment) {
  const std::filesystem::path directory = std::filesystem::path(testing::TempDir()) / "own_tasks";
  std::filesystem::create_directories(directory);
  std::filesystem::copy_file(TasksDirectory() / "pendulum.toml", directory / "my_pendulum.toml",
                             std::filesystem::copy_options::overwrite_existing);
  ::setenv("FOREPLAN_TASKS_DIR", directory.c_str(), 1);
  EXPECT_EQ(Task::ShippedNames(), std::vector<std::string>{"my_pendulum"});
  EXPECT_EQ(Task::Load("my_pendulum").first.episode_length(), 200);
  ::setenv("FOREPLAN_TASKS_DIR", "/no/such/place", 1);
  EXPECT_THROW(Task::ShippedNames(), InputError);
  ::unsetenv("FOREPLAN_TASKS_DIR");
}

// --- wrong input

struct WrongInput {
  std::string name;
  std::string text;  // of the task file
  std::string expected;
};

class WrongTaskFile : public testing::TestWithParam<WrongInput> {};

TEST_P(WrongTaskFile, GivesOneLineThatNamesFileFoundAndExpected) {
  const std::string file = testing::TempDir() + "/" + GetParam().name + ".toml";
  std::ofstream(file) << GetParam().text;
  try {
    auto [task, config] = Task::Load(file);
    config.ThrowOnUnknownKeys();
    FAIL() << "no error";
  } catch (const InputError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(GetParam().name), std::string::npos) << message;
    EXPECT_NE(message.find(GetParam().expected), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

const std::string kTop = "name = 't'\nreward = 'pendulum'\nepisode_length = 10\n";
const std::string kPendulum = kTop + "[system]\ntype = 'pendulum'\n";

std::vector<WrongInput> WrongInputs() {
  return {
      WrongInput{"NoName", "reward = 'pendulum'\nepisode_length = 10\n[system]\ntype = 'pendulum'",
                 "found no key 'name'"},
      WrongInput{"PathAsName", "name = '../t'\nreward = 'pendulum'\nepisode_length = 10\n",
                 "found '../t', expected letters"},
      WrongInput{"NoReward", "name = 't'\nepisode_length = 10\n", "found no key 'reward'"},
      WrongInput{"UnknownReward",
                 "name = 't'\nreward = 'pendulun'\nepisode_length = 10\n"
                 "[system]\ntype = 'pendulum'\n",
                 "2:1: reward: unknown reward or quantity 'pendulun' (did you mean 'pendulum'?)"},
      WrongInput{"NoLength", "name = 't'\nreward = 'pendulum'\n", "found no key 'episode_length'"},
      WrongInput{"WrongLength", "name = 't'\nreward = 'pendulum'\nepisode_length = -1\n",
                 "episode_length"},
      WrongInput{"NoSystem", kTop, "found no key 'system.type'"},
      WrongInput{"UnknownSystem", kTop + "[system]\ntype = 'cartpol'\n",
                 "did you mean 'cartpole'?"},
      WrongInput{"OtherSizes", kTop + "[system]\ntype = 'cartpole'\n",
                 "reward: 'pendulum' found 4 observation and 1 action components, expected 3"},
      WrongInput{"UnknownOption", kPendulum + "masss = 2\n", "did you mean 'system.mass'?"},
      WrongInput{"OutOfRange", kPendulum + "mass = -2\n", "system.mass"},
      WrongInput{"UnknownComponent", kPendulum + "[encoding]\nomit = ['theta_dor']\n",
                 "encoding.omit: unknown observation component 'theta_dor' (did you mean "
                 "'theta_dot'?)"},
      WrongInput{"UnmatchedPattern", kPendulum + "[encoding]\nabsolute = ['phi_*']\n",
                 "encoding.absolute: unknown observation component 'phi_*'"},
      WrongInput{"OmittedAngle",
                 kPendulum + "[encoding]\nomit = ['theta_dot']\nsin_cos = ['theta_dot']\n",
                 "found 'theta_dot' in omit and in sin_cos"},
      WrongInput{"UnknownDistribution", kPendulum + "[system.reset]\ndistribution = 'gauss'\n",
                 "expected one of normal, uniform"},
      WrongInput{"TerminationBesideAName",
                 kTop + "termination = 'theta_dot > 9'\n[system]\ntype = 'pendulum'\n",
                 "4:1: termination: found one beside the reward 'pendulum'"},
#ifdef FOREPLAN_HAVE_MUJOCO
      WrongInput{"NoModel", kTop + "[system]\ntype = 'mujoco'\n", "found no key 'system.model'"},
#else
      WrongInput{"NoMujoco", kTop + "[system]\ntype = 'mujoco'\nmodel = 'm.xml'\n",
                 "this build of foreplan has no MuJoCo"},
#endif
  };
}

INSTANTIATE_TEST_SUITE_P(Cases, WrongTaskFile, testing::ValuesIn(WrongInputs()),
                         [](const auto& info) { return info.param.name; });

// --- expressions

const std::string kWritten =
    "name = 't'\nepisode_length = 10\n"
    "reward = '-angle^2 - 0.1 * theta_dot^2 - cost'\n"
    "planning_reward = 'previous.angle - angle'\n"
    "termination = 'abs(theta_dot) > limit'\n"
    "[constants]\nlimit = 7.5\nweights = [1.0, 2.0]\n"
    "[quantities]\nangle = 'atan2(sin_theta, cos_theta)'\n"
    "cost = 'sum(weights * [torque, theta_dot]^2)'\n"
    "[system]\ntype = 'pendulum'\n";

Task LoadText(const std::string& name, const std::string& text) {
  const std::string file = testing::TempDir() + "/" + name + ".toml";
  std::ofstream(file) << text;
  auto [task, config] = Task::Load(file);
  config.ThrowOnUnknownKeys();
  return task;
}

struct Outcome {
  double reward = 0;
  uint8_t terminated = 0;
};
Outcome EvaluateOne(const Reward& reward, const Numbers& before, const Numbers& action,
                    const Numbers& after) {
  Outcome outcome;
  reward.Evaluate({1, before.data(), action.data(), after.data()}, &outcome.reward,
                  &outcome.terminated);
  return outcome;
}

TEST(TaskExpressions, GiveRewardPlanningRewardAndTermination) {
  const Task task = LoadText("written", kWritten);
  const Numbers before = {std::cos(0.5), std::sin(0.5), 1.0};
  const Numbers after = {std::cos(0.25), std::sin(0.25), 2.0};
  const Numbers fast = {1.0, 0.0, 8.0};
  const Outcome outcome = EvaluateOne(task.reward(), before, {1.5}, after);
  EXPECT_NEAR(outcome.reward, -0.0625 - 0.4 - (2.25 + 8.0), 1e-14);
  EXPECT_EQ(outcome.terminated, 0);
  EXPECT_NEAR(EvaluateOne(task.planning_reward(), before, {0.0}, after).reward, 0.25, 1e-15);
  EXPECT_EQ(EvaluateOne(task.reward(), before, {0.0}, fast).terminated, 1);
  EXPECT_EQ(EvaluateOne(task.planning_reward(), before, {0.0}, fast).terminated, 1);
}

TEST(TaskExpressions, AreSavedWithTheirDefinitions) {
  const Task task = LoadText("written", kWritten);
  ConfigWriter writer;
  task.Save(writer, testing::TempDir());
  const Task again = LoadText("written_again", writer.text());
  ConfigWriter second;
  again.Save(second, testing::TempDir());
  EXPECT_EQ(second.text(), writer.text());
  const Numbers state = {0.6, 0.8, -3.0};
  EXPECT_EQ(EvaluateOne(again.reward(), state, {0.1}, state).reward,
            EvaluateOne(task.reward(), state, {0.1}, state).reward);
}

TEST(TaskExpressions, MisspeltOverridesAreNotIgnored) {
  const std::string file = testing::TempDir() + "/overridden.toml";
  std::ofstream(file) << kWritten;
  const std::vector<std::string> right = {"constants.limit=1.5"};
  const Task task = Task::Load(file, right).first;
  const Numbers state = {1.0, 0.0, 2.0};
  EXPECT_EQ(EvaluateOne(task.reward(), state, {0.0}, state).terminated, 1);
  const std::vector<std::string> wrong = {"constants.limt=1.5"};
  try {
    Task::Load(file, wrong);
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what())
                  .find("--set constants.limt: constants.limt: unknown "
                        "constant 'limt' (did you mean 'limit'?)"),
              std::string::npos)
        << error.what();
  }
}

TEST(TaskExpressions, ForPlanningEndWhereTheShippedRewardDoes) {
  const Task task = LoadText("planning",
                             "name = 't'\nepisode_length = 10\nreward = 'inverted_pendulum'\n"
                             "planning_reward = '-slider^2'\n[system]\ntype = 'cartpole'\n");
  const Numbers up = {0.5, 0.1, 0, 0};
  const Numbers down = {0.5, 0.3, 0, 0};
  EXPECT_EQ(EvaluateOne(task.planning_reward(), up, {0}, up).reward, -0.25);
  EXPECT_EQ(EvaluateOne(task.planning_reward(), up, {0}, up).terminated, 0);
  EXPECT_EQ(EvaluateOne(task.planning_reward(), up, {0}, down).reward, -0.25);
  EXPECT_EQ(EvaluateOne(task.planning_reward(), up, {0}, down).terminated, 1);
}

TEST(TaskExpressions, ErrorsNameFileLineKeyAndColumn) {
  const auto error = [](const std::string& reward, const std::string& more = "") -> std::string {
    try {
      LoadText("wrong", "name = 't'\nepisode_length = 10\nreward = '" + reward + "'\n" + more +
                            "[system]\ntype = 'cartpole'\n"
                            "[system.reset]\nposition = 0\nvelocity = 0\n");
    } catch (const InputError& caught) {
      return caught.what();
    }
    return "";
  };
  const auto expect = [&](const std::string& message, const std::string& expected) {
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  };
  expect(error("1 - hing^2"),
         "wrong.toml:3:1: reward: column 5: unknown name 'hing' (did you mean 'hinge'?)");
  expect(error("1", "[quantities]\na = '2 *'\n"),
         "wrong.toml:5:1: quantities.a: column 4: found the end");
  expect(error("1", "[constants]\na = 'b'\n"),
         "wrong.toml:5:1: constants.a: found string \"b\", expected a number");
  expect(error("1", "[constants]\na = []\n"), "constants.a: found no numbers");
  expect(error("1", "[constants]\nslider = 2\n"),
         "constants.slider: found the name of an observation component");
  expect(error("1", "termination = 'slider'\n"), "4:1: termination: column 1: found a number");
  // Where an episode starts: hanging, at rest, in the middle of the rail.
  expect(error("2 + 1 / slider"),
         "reward: column 7: found a division by zero at the start of an episode, at slider = 0, "
         "expected a finite reward");
  expect(error("log(hinge) + slider"), "column 1: found the logarithm of 0 at the start");
  expect(error("speed / previous.speed", "[quantities]\nspeed = 'norm(slider_velocity)'\n"),
         "column 7: found a division by zero at the start of an episode, at slider_velocity = 0, "
         "previous.slider_velocity = 0");
  EXPECT_EQ(error("if(slider == 0, 1, 1 / slider)"), "");
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(TaskExpressions, ATaskNeedsAnActuator) {
  std::ofstream(testing::TempDir() + "/still.xml")
      << "<mujoco><worldbody><body><joint/><geom size='0.1'/></body></worldbody></mujoco>";
  try {
    LoadText("still",
             "name = 't'\nepisode_length = 10\nreward = '1'\n"
             "[system]\ntype = 'mujoco'\nmodel = 'still.xml'\n");
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("found no actuators"), std::string::npos);
  }
}
#endif

std::string LoadError(const std::string& name_or_file) {
  try {
    Task::Load(name_or_file);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Task, UnknownNamesSuggestTheNearest) {
  const std::string message = LoadError("pendulun");
  EXPECT_NE(message.find("unknown task 'pendulun' (did you mean 'pendulum'?)"), std::string::npos)
      << message;
}

TEST(Task, MissingFilesAreNamed) {
  const std::string file = testing::TempDir() + "/not_there.toml";
  EXPECT_NE(LoadError(file).find(file), std::string::npos);
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(Task, MissingModelsAreNamed) {
  const std::string file = testing::TempDir() + "/missing_model.toml";
  std::ofstream(file) << kTop << "[system]\ntype = 'mujoco'\nmodel = 'not_there.xml'\n";
  EXPECT_NE(LoadError(file).find("not_there.xml: no such file"), std::string::npos)
      << LoadError(file);
}
#endif

}  // namespace
}  // namespace foreplan
