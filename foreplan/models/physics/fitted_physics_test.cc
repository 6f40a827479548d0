// Physics with unknown parameters as a learned model, alone and with networks beside it.
#include "foreplan/models/physics/fitted_physics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/model_error.h"
#include "foreplan/models/physics/residual_model.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kUnknowns = {
    "cart_mass = 5 in [0.5, 100]", "pole_inertia = 0.3 in [0.01, 10]",
    "cart_damping = 0.1 in [0, 20]", "hinge_damping = 0.1 in [0, 20]"};

/// Random actions on a task's system, with noise on every step.
Dataset Recorded(const Task& task, int steps, double noise, Key key) {
  const auto system = task.MakeSystem();
  const size_t no = task.spec().observation.size();
  Dataset data(task.spec().observation_dim(), task.spec().action_dim());
  Random random(key);
  system->Reset(key);
  std::vector<double> state(system->spec().state.size());
  std::vector<double> before(no);
  std::vector<double> after(no);
  for (int t = 0; t < steps; ++t) {
    system->Observe(before);
    const std::vector<double> action = {
        random.Uniform(task.spec().action_low[0], task.spec().action_high[0])};
    EXPECT_EQ(system->Step(action), StepStatus::kOk);
    system->GetState(state);
    for (size_t i = 0; i < no; ++i) state[i] += noise * random.Normal();
    system->SetState(state);
    system->Observe(after);
    data.Add(before, action, after, 1);
  }
  return data;
}

const Task& ClosedForm() {
  static const Task kTask = Task::Load("cartpole_closed_form").first;
  return kTask;
}

double Value(const LearnedModel& model, const std::string& name) {
  const nlohmann::ordered_json details = model.Describe();
  for (const auto& row : details["parameters"]) {
    if (row["name"] == name) return row["value"];
  }
  ADD_FAILURE() << name;
  return 0;
}

TEST(FittedPhysics, FindsTheParameters) {
  FittedPhysics model(ClosedForm(), {.unknowns = kUnknowns, .ties = {}, .fit = {}});
  const Dataset data = Recorded(ClosedForm(), 200, 1e-3, Key{1, 2});
  const FitMetrics metrics = model.Fit(data, Key{1, 3});
  EXPECT_EQ(metrics[1], (std::pair<std::string, double>("converged", 1)));
  // 200 steps, noise of 1e-3: errors of about one per cent.
  EXPECT_NEAR(Value(model, "cart_mass"), 10.47, 0.5);
  EXPECT_NEAR(Value(model, "pole_inertia"), 0.640, 0.03);
  EXPECT_NEAR(Value(model, "hinge_damping"), 1, 0.1);

  const auto workspace = model.snapshot()->MakeWorkspace(1);
  const auto predictions = model.MakePredictionWorkspace(1);
  std::vector<double> next(4);
  model.snapshot()->Step({.rows = 1,
                          .state = data.observation(7).data(),
                          .action = data.action(7).data(),
                          .next_state = next.data(),
                          .key = {}},
                         *workspace);
  std::vector<double> mean(4);
  std::vector<double> deviation(4);
  model.Predict(0, 1, data.observation(7).data(), data.action(7).data(), mean.data(),
                deviation.data(), *predictions);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(next[i], data.next_observation(7)[i], 5e-3);  // five deviations
    EXPECT_NEAR(mean[i], next[i], 1e-14);                     // rounding of rows and single steps
    EXPECT_NEAR(deviation[i], 1e-3, 3e-4);
  }
  ModelJudge judge(model);
  const ModelError error = judge.Judge(Recorded(ClosedForm(), 400, 1e-3, Key{2, 2}), 0, 400);
  EXPECT_NEAR(error.coverage_90, 0.9, 0.04);  // 1,600 numbers
  EXPECT_LT(error.epistemic_share, 0.1);
}

TEST(FittedPhysics, AFitBeginsWhereTheOneBeforeEnded) {
  FittedPhysics model(ClosedForm(), {.unknowns = kUnknowns, .ties = {}, .fit = {}});
  const Dataset data = Recorded(ClosedForm(), 100, 1e-3, Key{1, 2});
  EXPECT_GE(model.Fit(data, Key{1, 3})[0].second, 4);
  const double mass = Value(model, "cart_mass");
  EXPECT_LE(model.Fit(data, Key{1, 4})[0].second, 2);  // iterations, of two rounds
  EXPECT_NEAR(Value(model, "cart_mass"), mass, 1e-3 * mass);
}

TEST(FittedPhysics, MembersDifferByWhatTheFitLeavesOpen) {
  FittedPhysics model(ClosedForm(), {.unknowns = kUnknowns, .ties = {}, .fit = {}});
  const Dataset data = Recorded(ClosedForm(), 40, 0.05, Key{1, 2});
  model.Fit(data, Key{1, 3});
  const double error = model.Describe()["parameters"][0]["standard_error"];
  const double mass = Value(model, "cart_mass");
  TensorFile file;
  model.Save(file);
  const std::vector<double> values =
      std::get<std::vector<double>>(file.tensors["physics.values"].values);  // [8 x 4]
  EXPECT_EQ(values[0], mass);
  double squares = 0;
  for (size_t member = 1; member < 8; ++member) {
    squares += std::pow((values[4 * member] - mass) / error, 2) / 7;
    for (size_t i = 2; i < 4; ++i) EXPECT_GE(values[4 * member + i], 0);  // friction's bound
  }
  EXPECT_GT(squares, 0.15);  // chi^2 of 7 draws: 0.24 ... 2.3 in 95 % of all
  EXPECT_LT(squares, 3.5);
}

TEST(FittedPhysics, MembersStayWithinTheBounds) {
  FittedPhysics wide(ClosedForm(), {.unknowns = kUnknowns, .ties = {}, .fit = {}});
  const Dataset data = Recorded(ClosedForm(), 40, 0.05, Key{1, 2});
  wide.Fit(data, Key{1, 3});
  const double mass = Value(wide, "cart_mass");
  const double error = wide.Describe()["parameters"][0]["standard_error"];
  // Half a standard error each way: the fit ends where it did, most draws are beyond.
  std::vector<std::string> unknowns = kUnknowns;
  unknowns[0] = fmt::format("cart_mass = {} in [{}, {}]", mass, mass - error / 2, mass + error / 2);
  FittedPhysics narrow(ClosedForm(), {.unknowns = unknowns, .ties = {}, .fit = {}});
  narrow.Fit(data, Key{1, 3});
  TensorFile file;
  narrow.Save(file);
  const std::vector<double> values =
      std::get<std::vector<double>>(file.tensors["physics.values"].values);  // [8 x 4]
  int held = 0;
  for (size_t member = 0; member < 8; ++member) {
    EXPECT_GE(values[4 * member], mass - error / 2);
    EXPECT_LE(values[4 * member], mass + error / 2);
    held += std::abs(std::abs(values[4 * member] - mass) - error / 2) < 1e-9 * mass ? 1 : 0;
  }
  EXPECT_GE(held, 1) << "no draw was beyond the bounds";
}

TEST(FittedPhysics, AFailureIsToldInWords) {
  // The model is told that gravity is four hundred times what it is.
  FittedPhysics model(
      ClosedForm(),
      {.unknowns = {"hinge_damping = 0.1 in [0, 1]"}, .ties = {"gravity = 4000"}, .fit = {}});
  const FitMetrics metrics = model.Fit(Recorded(ClosedForm(), 40, 1e-3, Key{1, 2}), Key{1, 3});
  EXPECT_EQ(metrics[1], (std::pair<std::string, double>("converged", 0)));
  const auto details = model.Describe();
  EXPECT_EQ(details["status"], "unexplained");
  EXPECT_THAT(details["failure"].get<std::string>(), HasSubstr("above twice the data's spread"));
  EXPECT_TRUE(details["parameters"][0]["standard_error"].is_null());
  EXPECT_GT(details["noise"]["hinge_velocity"], details["spread"]["hinge_velocity"]);
}

TEST(FittedPhysics, SavesWhatItPredictsWith) {
  const PhysicsOptions options{.unknowns = kUnknowns, .ties = {}, .fit = {}};
  FittedPhysics fitted(ClosedForm(), options);
  const Dataset data = Recorded(ClosedForm(), 60, 1e-3, Key{1, 2});
  fitted.Fit(data, Key{1, 3});
  TensorFile file;
  fitted.Save(file);
  FittedPhysics restored(ClosedForm(), options);
  restored.Restore(file);
  const auto a = fitted.MakePredictionWorkspace(1);
  const auto b = restored.MakePredictionWorkspace(1);
  for (int member = 0; member < fitted.members(); ++member) {
    std::vector<double> mean(4), deviation(4), same_mean(4), same_deviation(4);
    fitted.Predict(member, 1, data.observation(3).data(), data.action(3).data(), mean.data(),
                   deviation.data(), *a);
    restored.Predict(member, 1, data.observation(3).data(), data.action(3).data(), same_mean.data(),
                     same_deviation.data(), *b);
    EXPECT_EQ(mean, same_mean);
    EXPECT_EQ(deviation, same_deviation);
  }
  PhysicsOptions others = options;
  others.unknowns.pop_back();
  FittedPhysics other(ClosedForm(), others);
  EXPECT_THROW(other.Restore(file), InputError);
}

TEST(FittedPhysics, ValuesGoToTheirOwnNames) {
  FittedPhysics fitted(ClosedForm(), {.unknowns = kUnknowns, .ties = {}, .fit = {}});
  TensorFile file;
  fitted.Save(file);
  file.source = "model.safetensors";
  std::vector<std::string> swapped = kUnknowns;
  std::swap(swapped[0], swapped[1]);
  FittedPhysics other(ClosedForm(), {.unknowns = swapped, .ties = {}, .fit = {}});
  TensorFile nameless = file;
  nameless.metadata.clear();
  for (const auto& [wrong, found] :
       {std::pair{&file, "cart_mass pole_inertia cart_damping hinge_damping"},
        std::pair{&nameless, ""}}) {
    try {
      other.Restore(*wrong);
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_EQ(error.what(),
                fmt::format("model.safetensors: metadata 'physics.unknowns': found '{}', expected "
                            "'pole_inertia cart_mass cart_damping hinge_damping'",
                            found));
    }
  }
}

TEST(FittedPhysics, TiesGiveParametersTheirValues) {
  const std::vector<Unknown> unknowns = {ParseUnknown("t", "pole_mass = 2 in [1, 9]"),
                                         ParseUnknown("t", "pole_center = 0.5 in [0.1, 2]")};
  const SystemFamily tied = MakeTiedFamily(
      ClosedForm(), unknowns, {"pole_inertia = pole_mass * pole_center^2", "gravity = 9.81"});
  const SystemFamily free =
      ClosedForm().MakeFamily("t", {"pole_mass", "pole_center", "pole_inertia", "gravity"});
  const std::vector<double> state = {0.1, 1, 0.3, -2};
  const std::vector<double> action = {1.5};
  std::vector<double> a(4), b(4);
  const auto step = [&](System& system, std::vector<double>& next) {
    system.SetState(state);
    EXPECT_EQ(system.Step(action), StepStatus::kOk);
    system.GetState(next);
  };
  step(*tied(std::vector<double>{3, 0.7}), a);
  step(*free(std::vector<double>{3, 0.7, 3 * 0.7 * 0.7, 9.81}), b);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(a[i], b[i], 1e-13);  // rounding of the product
}

TEST(FittedPhysics, RefusesWrongTexts) {
  struct Case {
    std::vector<std::string> unknowns;
    std::vector<std::string> ties;
    std::string fragment;
  };
  const std::string good = "cart_mass = 5 in [0.5, 100]";
  const std::vector<Case> cases = {
      {{}, {}, "found none"},
      {{"cart_mass"}, {}, "'='"},
      {{"cart_mass = five in [1, 2]"}, {}, "a number to start from"},
      {{"cart_mass = 5"}, {}, "'in'"},
      {{"cart_mass = 5 in [0.5, 100"}, {}, "']'"},
      {{"cart_mass = 5 in [6, 100]"}, {}, "low <= start <= high"},
      {{"cart_mass = 5 in [0.5, 100], prior 5"}, {}, "'+'"},
      {{"cart_mass = 5 in [0.5, 100], prior 5 +- 0"}, {}, "a positive deviation"},
      {{"cart_mass = 5 in [0.5, 100] kg"}, {}, "its end"},
      {{"cart_mas = 5 in [0.5, 100]"}, {}, "did you mean 'system.cart_mass'"},
      {{"cart_mass = 5 in [-1, 100]"}, {}, "cart_mass: found"},
      {{good, good}, {}, "'cart_mass' twice"},
      {{"dof_damping(hinge) = 1 in [0, 2]"}, {}, "model.physics.unknowns"},
      {{good}, {"pole_mass"}, "NAME = expression"},
      {{good}, {"pole_mass = 2 * cart_mas"}, "cart_mas"},
      {{good}, {"cart_mass = 2"}, "'cart_mass' twice"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(testing::PrintToString(test.unknowns) + testing::PrintToString(test.ties));
    try {
      const FittedPhysics model(ClosedForm(),
                                {.unknowns = test.unknowns, .ties = test.ties, .fit = {}});
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(test.fragment));
      EXPECT_THAT(error.what(), HasSubstr("model.physics"));
    }
  }
}

/// Physics whose pole is known to be balanced about its axis: the truth is skewed by 0.3 rad.
ResidualModel WrongPhysics(const Task& task) {
  EnsembleOptions ensemble;
  ensemble.members = 3;
  ensemble.hidden_layers = 2;
  ensemble.width = 32;
  FitOptions fit;
  fit.min_steps = fit.max_steps = 800;
  return {task,      {.unknowns = kUnknowns, .ties = {"pole_skew = 0"}, .fit = {}},
          ensemble,  fit,
          Key{1, 1}, std::make_shared<ThreadPool>(2)};
}

TEST(ResidualModel, LearnsWhatThePhysicsLacks) {
  const std::vector<std::string> skewed = {"system.pole_skew=0.3"};
  const Task task = Task::Load("cartpole_closed_form", skewed).first;
  const Dataset training = Recorded(task, 600, 0, Key{1, 2});
  const Dataset test = Recorded(task, 200, 0, Key{2, 2});
  FittedPhysics physics(task, {.unknowns = kUnknowns, .ties = {"pole_skew = 0"}, .fit = {}});
  physics.Fit(training, Key{1, 3});
  ResidualModel both = WrongPhysics(task);
  both.Fit(training, Key{1, 3});
  const double alone = ModelJudge(physics).Judge(test, 0, 200).one_step_rmse;
  const double together = ModelJudge(both).Judge(test, 0, 200).one_step_rmse;
  EXPECT_GT(alone, 0.03);
  EXPECT_LT(together, 0.5 * alone);
}

TEST(ResidualModel, DerivativesAreThoseOfTheSum) {
  ResidualModel model = WrongPhysics(ClosedForm());
  model.Fit(Recorded(ClosedForm(), 100, 1e-3, Key{1, 2}), Key{1, 3});
  const std::vector<double> state = {0.1, 0.8, -0.4, 1.1};
  const std::vector<double> action = {0.7};
  // The networks are of single precision: differences of 1e-2 carry 1e-5 of rounding and 1e-4 of
  // curvature.
  EXPECT_LT(CheckDerivatives(*model.snapshot(), state, action, 1e-2), 1e-3);
  const auto workspace = model.snapshot()->MakeWorkspace(1);
  const auto derivative_workspace = model.snapshot()->MakeDerivativeWorkspace(1);
  std::vector<double> a(4), b(4);
  for (auto [next, w] : {std::pair{&a, workspace.get()}, {&b, derivative_workspace.get()}}) {
    model.snapshot()->StepMean({.rows = 1,
                                .state = state.data(),
                                .action = action.data(),
                                .next_state = next->data(),
                                .key = {}},
                               *w);
  }
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace foreplan
