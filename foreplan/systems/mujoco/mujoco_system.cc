#include "foreplan/systems/mujoco/mujoco_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/expressions/text_scanner.h"
#include "foreplan/systems/mujoco/mujoco_components.h"
#include "foreplan/systems/mujoco/mujoco_observation.h"
#include "foreplan/systems/mujoco/mujoco_picture.h"

namespace foreplan {
namespace {

double ControlPeriod(const mjModel& model, const MujocoOptions& options) {
  return model.opt.timestep * options.frame_skip;
}

void AddActions(const mjModel& model, const std::string& file, SystemSpec& spec) {
  for (int i = 0; i < model.nu; ++i) {
    const std::string name = MujocoName(model, mjOBJ_ACTUATOR, i, "actuator");
    if (!model.actuator_ctrllimited[i]) {
      throw InputError(fmt::format(
          "{}: actuator '{}': found no ctrlrange, expected bounds: there, or in the task "
          "as system.control_range = [\"{} = (LOW, HIGH)\"]",
          file, name, TextScanner::Quoted(name)));
    }
    spec.action.push_back({name, ""});
    spec.action_low.push_back(model.actuator_ctrlrange[2 * i]);
    spec.action_high.push_back(model.actuator_ctrlrange[2 * i + 1]);
  }
}

SystemSpec MakeSpec(const mjModel& model, const MujocoOptions& options,
                    const MujocoObservation& observation, const MujocoReset& reset) {
  SystemSpec spec;
  spec.dt = ControlPeriod(model, options);
  AddActions(model, options.model, spec);
  spec.observation = observation.components();
  const StateComponents state = ComponentsOfState(model);
  for (const auto* components : {&state.positions, &state.velocities, &state.activations}) {
    spec.state.insert(spec.state.end(), components->begin(), components->end());
  }
  spec.state.push_back({"time", "s"});
  for (const Component& velocity : state.velocities) {
    spec.state.push_back({velocity.name + "_warmstart", velocity.unit + "^2"});
  }
  for (const std::string& field : reset.field_names()) spec.state.push_back({field, ""});
  spec.state.insert(spec.state.end(), observation.memory().begin(), observation.memory().end());
  return spec;
}

/// All of a state but the memory of the observation.
void SetPhysics(const mjModel& model, std::span<const double> state, mjData& data) {
  const double* in = state.data();
  const auto take = [&in](mjtNum* destination, auto count) {
    std::copy_n(in, count, destination);
    in += count;
  };
  take(data.qpos, model.nq);
  take(data.qvel, model.nv);
  take(data.act, model.na);
  take(&data.time, 1);
  take(data.qacc_warmstart, model.nv);
}

}  // namespace

struct MujocoSystem::Shared {
  MujocoModel model;
  MujocoOptions options;
  MujocoObservation observation;
  MujocoReset reset;
  SystemSpec spec;
};

MujocoSystem::MujocoSystem(const Options& options)
    : MujocoSystem(options, CompiledModel(options)) {}

MujocoSystem::MujocoSystem(const Options& options, MujocoModel model) {
  const std::string where = options.observation_where.empty()
                                ? options.model + ": system.observation"
                                : options.observation_where;
  const std::vector<ObservationPart> parts = ParseObservation(where, options.observation);
  auto shared = std::make_shared<Shared>();
  shared->model = std::move(model);
  shared->options = options;
  shared->observation =
      MujocoObservation(where, *shared->model, parts, options.constants,
                        ControlPeriod(*shared->model, options), options.observe_at);
  shared->reset = MujocoReset(options.model + ": system.reset", *shared->model, options.reset);
  shared->spec = MakeSpec(*shared->model, options, shared->observation, shared->reset);
  data_ = MakeMujocoData(*shared->model);
  shared->reset.Rest(*shared->model, *data_);
  memory_.resize(shared->observation.memory().size());
  kept_.resize(static_cast<size_t>(shared->model->nq + shared->model->nv));
  shared_ = std::move(shared);
  std::vector<double> fields;
  for (const MujocoParameter& field : shared_->reset.fields()) {
    fields.push_back(field.Get(*shared_->model));
  }
  fields_.resize(fields.size());
  SetFields(fields);
}

MujocoSystem::MujocoSystem(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}

MujocoSystem::~MujocoSystem() = default;

const SystemSpec& MujocoSystem::spec() const { return shared_->spec; }
const mjModel& MujocoSystem::model() const {
  return own_model_ != nullptr ? *own_model_ : *shared_->model;
}

std::unique_ptr<System> MujocoSystem::Clone() const {
  std::unique_ptr<MujocoSystem> clone(new MujocoSystem(shared_));
  if (own_model_ != nullptr) clone->own_model_ = CopyMujocoModel(*own_model_);
  clone->fields_ = fields_;
  clone->data_ = CopyMujocoData(model(), *data_);
  clone->memory_ = memory_;
  clone->kept_ = kept_;
  clone->fault_ = fault_;
  clone->fatal_error_ = fatal_error_;
  clone->fault_time_ = fault_time_;
  clone->is_evaluated_ = is_evaluated_;
  return clone;
}

void MujocoSystem::SetFields(std::span<const double> fields) {
  if (fields.empty() || (own_model_ != nullptr && std::ranges::equal(fields, fields_))) return;
  const std::vector<MujocoParameter>& parameters = shared_->reset.fields();
  own_model_ = CopyMujocoModel(*shared_->model);
  for (size_t i = 0; i < fields.size(); ++i) parameters[i].Set(fields[i], *own_model_);
  SetMujocoConstants(*own_model_);
  std::ranges::copy(fields, fields_.begin());
  // Mocap bodies, which no state holds, stand where the model has them.
  const MujocoData rest = MakeMujocoData(*own_model_);
  shared_->reset.Rest(*own_model_, *rest);
  std::copy_n(rest->mocap_pos, 3 * own_model_->nmocap, data_->mocap_pos);
}

void MujocoSystem::Reset(Key key) {
  const MujocoGuard guard;
  Random random(key);
  std::vector<double> fields(fields_.size());
  shared_->reset.Draw(model(), random, *data_, fields);
  SetFields(fields);
  const mjModel& m = model();
  fatal_error_.clear();
  fault_time_ = data_->time;
  fault_ = shared_->reset.Settle(m, *data_);
  mj_forward(&m, data_.get());
  is_evaluated_ = false;
  shared_->observation.Start(*data_, memory_);
}

StepOutcome MujocoSystem::Step(std::span<const double> action) {
  if (fault_ || !fatal_error_.empty()) return StepStatus::kDiverged;
  const mjModel& m = model();
  fault_time_ = data_->time;
  for (size_t i = 0; i < action.size(); ++i) {
    if (!std::isfinite(action[i])) {  // MuJoCo would set all controls to 0
      fault_ = MujocoFault{mjWARN_BADCTRL, static_cast<int>(i)};
      return StepStatus::kDiverged;
    }
    data_->ctrl[i] = std::clamp(action[i], spec().action_low[i], spec().action_high[i]);
  }
  const MujocoGuard guard;
  const bool reads_evaluation = shared_->observation.StepReadsEvaluation();
  try {
    if (reads_evaluation) Evaluate();
    shared_->observation.BeginStep(*data_, memory_);
    is_evaluated_ = false;
    for (int substep = 0; substep < shared_->options.frame_skip; ++substep) {
      fault_time_ = data_->time;  // a bad number resets the time, too
      mj_step(&m, data_.get());
      fault_ = FindMujocoFault(m, *data_);
      if (fault_) return StepStatus::kDiverged;
    }
    if (reads_evaluation) Evaluate();
    shared_->observation.EndStep(m, *data_, memory_);
  } catch (const MujocoError& error) {
    shared_->reset.Rest(m, *data_);  // releases what the interrupted step held
    fatal_error_ = error.what();
    return StepStatus::kDiverged;
  }
  return StepStatus::kOk;
}

void MujocoSystem::StepRows(const SystemRows& rows) {
  const MujocoGuard guard;  // once for all rows
  System::StepRows(rows);
}

void MujocoSystem::Evaluate() const {
  if (is_evaluated_ || !shared_->observation.NeedsEvaluation()) return;
  const mjModel& m = model();
  const MujocoGuard guard;
  if (const auto fault = FindMujocoFault(m, *data_)) {
    throw MujocoError(DescribeMujocoFault(m, *fault));
  }
  // What is observed must not change how it goes on.
  std::copy_n(data_->qacc_warmstart, m.nv, std::copy_n(data_->qpos, m.nq, kept_.begin()));
  shared_->observation.Evaluate(m, *data_);
  std::copy_n(kept_.begin(), m.nq, data_->qpos);
  std::copy_n(kept_.begin() + m.nq, m.nv, data_->qacc_warmstart);
  is_evaluated_ = true;
}

void MujocoSystem::Release() const {
  std::vector<double> state(spec().state.size());
  GetState(state);
  shared_->reset.Rest(model(), *data_);
  SetPhysics(model(), state, *data_);
  shared_->observation.SetControls(memory_, *data_);
}

void MujocoSystem::Observe(std::span<double> observation) const {
  try {
    Evaluate();
    shared_->observation.Observe(*data_, memory_, observation);
  } catch (const MujocoError&) {
    Release();
    std::ranges::fill(observation, std::numeric_limits<double>::quiet_NaN());
  }
}

void MujocoSystem::GetState(std::span<double> state) const {
  const mjModel& m = model();
  double* out = std::copy_n(data_->qpos, m.nq, state.data());
  out = std::copy_n(data_->qvel, m.nv, out);
  out = std::copy_n(data_->act, m.na, out);
  *out++ = data_->time;
  out = std::copy_n(data_->qacc_warmstart, m.nv, out);
  out = std::copy(fields_.begin(), fields_.end(), out);
  std::copy(memory_.begin(), memory_.end(), out);
}

void MujocoSystem::SetState(std::span<const double> state) {
  SetFields(state.subspan(MemoryOffset() - fields_.size(), fields_.size()));
  SetPhysics(model(), state, *data_);
  std::ranges::copy(state.subspan(MemoryOffset()), memory_.begin());
  shared_->observation.SetControls(memory_, *data_);
  is_evaluated_ = false;
  ClearMujocoWarnings(*data_);
  fault_.reset();
  fatal_error_.clear();
}

std::string MujocoSystem::Divergence() const {
  if (!fatal_error_.empty()) {
    return fmt::format("MuJoCo: {} at {:.6g} s", fatal_error_, fault_time_);
  }
  if (!fault_) return "";
  return fmt::format("{} at {:.6g} s", DescribeMujocoFault(model(), *fault_), fault_time_);
}

std::unique_ptr<Picture> MujocoSystem::MakePicture() const {
  if (own_model_ != nullptr) return MakeMujocoPicture(own_model_, *data_);
  return MakeMujocoPicture(shared_->model, *data_);
}

int MujocoSystem::tangent_dim() const {
  return static_cast<int>(2 * model().nv + model().na) + static_cast<int>(memory_.size());
}

size_t MujocoSystem::MemoryOffset() const { return spec().state.size() - memory_.size(); }

void MujocoSystem::Difference(std::span<const double> state, std::span<const double> reference,
                              std::span<double> tangent) const {
  const mjModel& m = model();
  mj_differentiatePos(&m, tangent.data(), 1.0, reference.data(), state.data());
  const auto nq = static_cast<size_t>(m.nq);
  const auto nv = static_cast<size_t>(m.nv);
  const auto rest = nv + static_cast<size_t>(m.na);  // velocities and activations
  for (size_t i = 0; i < rest; ++i) tangent[nv + i] = state[nq + i] - reference[nq + i];
  const std::span<double> memory = tangent.subspan(nv + rest);
  for (size_t i = 0; i < memory.size(); ++i) {
    memory[i] = state[MemoryOffset() + i] - reference[MemoryOffset() + i];
  }
}

void MujocoSystem::Displace(std::span<double> state, int index, double change) const {
  const mjModel& m = model();
  const int first_memory = static_cast<int>(2 * m.nv + m.na);
  if (index >= first_memory) {
    state[MemoryOffset() + static_cast<size_t>(index - first_memory)] += change;
    return;
  }
  if (index >= m.nv) {
    state[static_cast<size_t>(m.nq + index - m.nv)] += change;
    return;
  }
  // A free or ball joint turns and moves by its velocities.
  mjtNum* velocity = data_->qacc_warmstart;  // scratch of size nv; SetState fills it anew
  std::fill_n(velocity, m.nv, 0.0);
  velocity[index] = change;
  mj_integratePos(&m, state.data(), velocity, 1.0);
}

bool MujocoSystem::StepFrom(std::span<const double> state, std::span<const double> action,
                            std::span<double> next) {
  SetState(state);
  if (Step(action) != StepStatus::kOk) return false;
  GetState(next);
  return true;
}

void MujocoSystem::Linearize(const SystemDerivatives& d) {
  const MujocoGuard guard;  // once for all steps
  constexpr double kStep = 1e-6;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto ns = static_cast<size_t>(spec().state_dim());
  const auto nu = static_cast<size_t>(spec().action_dim());
  const auto nx = static_cast<size_t>(tangent_dim());
  for (std::vector<double>* row : {&moved_, &above_, &below_}) row->resize(ns);
  action_.resize(nu);
  tangent_.resize(nx);
  const std::span<const double> state(d.state, ns);
  const std::span<const double> action(d.action, nu);
  const auto write = [&](bool ok, double width, double* column, size_t stride) {
    if (ok) Difference(above_, below_, tangent_);
    for (size_t i = 0; i < nx; ++i) column[i * stride] = ok ? tangent_[i] / width : kNan;
  };
  const size_t first_memory = nx - memory_.size();
  for (size_t j = 0; j < nx; ++j) {
    if (j >= first_memory && !shared_->observation.StepReads(j - first_memory)) {
      for (size_t i = 0; i < nx; ++i) d.A[i * nx + j] = 0;
      continue;
    }
    bool ok = true;
    for (const double side : {1.0, -1.0}) {
      std::ranges::copy(state, moved_.begin());
      Displace(moved_, static_cast<int>(j), side * kStep);
      ok = ok && StepFrom(moved_, action, side > 0 ? above_ : below_);
    }
    write(ok, 2 * kStep, d.A + j, nx);
  }
  std::ranges::copy(action, action_.begin());
  for (size_t j = 0; j < nu; ++j) {
    const double low = spec().action_low[j];
    const double high = spec().action_high[j];
    const double up = std::clamp(action[j] + kStep, low, high);
    const double down = std::clamp(action[j] - kStep, low, high);
    if (!(up > down)) {
      for (size_t i = 0; i < nx; ++i) d.B[i * nu + j] = 0;
      continue;
    }
    action_[j] = up;
    bool ok = StepFrom(state, action_, above_);
    action_[j] = down;
    ok = ok && StepFrom(state, action_, below_);
    action_[j] = action[j];
    write(ok, up - down, d.B + j, nu);
  }
}

void MujocoSystem::ObservationJacobian(std::span<const double> state, std::span<double> jacobian) {
  // Observations are functions of qpos, qvel and the memory.
  constexpr double kStep = 1e-6;
  const auto no = static_cast<size_t>(spec().observation_dim());
  const auto nx = static_cast<size_t>(tangent_dim());
  moved_.resize(state.size());
  coordinate_.resize(no);
  for (size_t j = 0; j < nx; ++j) {
    for (const double side : {1.0, -1.0}) {
      std::ranges::copy(state, moved_.begin());
      Displace(moved_, static_cast<int>(j), side * kStep);
      SetState(moved_);
      Observe(coordinate_);
      for (size_t i = 0; i < no; ++i) {
        double& entry = jacobian[i * nx + j];
        entry = side > 0 ? coordinate_[i] : (entry - coordinate_[i]) / (2 * kStep);
      }
    }
  }
}

DependentComponents MujocoSystem::dependent_components() const {
  return shared_->observation.Dependent(model());
}

void MujocoSystem::DependentJacobian(std::span<double> jacobian) const {
  Evaluate();
  shared_->observation.DependentJacobian(model(), *data_, dependent_components(), jacobian);
}

}  // namespace foreplan
