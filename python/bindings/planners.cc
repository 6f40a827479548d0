#include "python/bindings/planners.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/action_bounds.h"
#include "python/bindings/arrays.h"
#include "python/bindings/callbacks.h"
#include "python/bindings/models.h"
#include "python/bindings/tasks.h"

namespace foreplan::python {
namespace {

class PythonPlanner {
 public:
  /// `model`: a Model, a function of rows, or None for the true dynamics.
  PythonPlanner(const PythonTask& task, const std::string& name, nb::object model,
                std::vector<std::string> assignments, int threads)
      : raised_(task.raised()), model_(model), held_{Shared(std::move(model))} {
    RunFlags flags;
    flags.planner = name;
    flags.assignments = std::move(assignments);
    Experiment experiment = task.MakeExperimentWith(flags);
    const EnvironmentSpec& spec = experiment.task.spec();
    PlanningProblem problem{.dynamics = DynamicsOf(experiment.task),
                            .reward = experiment.task.shared_planning_reward(),
                            .bounds = experiment.task.spec(),
                            .executor = std::make_shared<PythonExecutor>(threads)};
    state_dim_ = problem.dynamics->state_dim();
    action_dim_ = spec.action_dim();
    planner_ = MakePlanner(name, experiment.config, problem);
  }

  nb::tuple Plan(nb::handle state, std::optional<int64_t> step, uint64_t seed, double deadline_ms) {
    const GivenRows given = VectorOf(state, "state", state_dim_);
    if (nb::isinstance<PythonModel>(model_)) {
      const ModelVersion version = nb::cast<const PythonModel&>(model_).version();
      if (version.dynamics != planned_with_) {
        planner_->set_model(version);
        planned_with_ = version.dynamics;
      }
    }
    const int64_t at = step.value_or(next_step_);
    const std::stop_source stop;
    const foreplan::Plan& plan = raised_->Run(stop, [&]() -> const foreplan::Plan& {
      const Key key{.seed = seed, .stream = 0};
      PlanRequest request{.state = given.row(0),
                          .step = at,
                          .key = key.Fold(static_cast<uint64_t>(at)),
                          .budget = {}};
      if (deadline_ms > 0)
        request.budget.deadline = std::chrono::steady_clock::now() +
                                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                      std::chrono::duration<double, std::milli>(deadline_ms));
      request.stop = stop.get_token();
      return planner_->MakePlan(request);
    });
    next_step_ = at + 1;
    return nb::make_tuple(ToArray(plan.actions, planner_->horizon(), action_dim_),
                          plan.expected_return, plan.best_return, std::string(NameOf(plan.status)),
                          plan.iterations, plan.rollouts, plan.seconds);
  }

  void Reset() {
    planner_->Reset();
    next_step_ = 0;
  }
  [[nodiscard]] int horizon() const { return planner_->horizon(); }
  [[nodiscard]] std::vector<Shared>& held() { return held_; }

 private:
  std::shared_ptr<const Dynamics> DynamicsOf(const Task& task) {
    const int no = task.spec().observation_dim();
    const int nu = task.spec().action_dim();
    if (model_.is_none()) {
      system_ = task.MakeSystem();
      return std::make_shared<const TrueDynamics>(*system_);
    }
    if (nb::isinstance<PythonModel>(model_)) {
      const auto& model = nb::cast<const PythonModel&>(model_);
      if (model.observation_dim() != no || model.action_dim() != nu) {
        throw InputError(fmt::format(
            "model: found one of {} observed numbers and {} actions, expected the task's {} and {}",
            model.observation_dim(), model.action_dim(), no, nu));
      }
      planned_with_ = model.version().dynamics;
      return planned_with_;
    }
    if (PyCallable_Check(model_.ptr()) == 0) {
      throw nb::type_error("model: expected a Model, a function of (states, actions), or None");
    }
    return std::make_shared<const PythonDynamics>(held_.front(), no, nu, raised_);
  }

  std::shared_ptr<Raised> raised_;
  nb::handle model_;  // of held_
  std::vector<Shared> held_;
  std::unique_ptr<System> system_;
  std::shared_ptr<const Dynamics> planned_with_;
  std::unique_ptr<Planner> planner_;
  int state_dim_ = 0;
  int action_dim_ = 0;
  int64_t next_step_ = 0;
};

}  // namespace

void BindPlanners(nb::module_& module) {
  nb::class_<PythonPlanner>(module, "Planner", nb::type_slots(CycleSlots<PythonPlanner>()))
      .def(nb::init<const PythonTask&, const std::string&, nb::object, std::vector<std::string>,
                    int>(),
           nb::arg("task"), nb::arg("name"), nb::arg("model").none(), nb::arg("assignments"),
           nb::arg("threads"))
      .def("plan", &PythonPlanner::Plan, nb::arg("state"), nb::arg("step").none(), nb::arg("seed"),
           nb::arg("deadline_ms"))
      .def("reset", &PythonPlanner::Reset)
      .def_prop_ro("horizon", &PythonPlanner::horizon);
  module.def("planner_names", &PlannerNames);
}

}  // namespace foreplan::python
