#include "foreplan/models/fitted_physics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

std::vector<Unknown> ParseUnknowns(const std::vector<std::string>& texts) {
  if (texts.empty()) {
    throw InputError(
        "model.physics.unknowns: found none, expected the parameters to be fitted, e.g. "
        "\"cart_mass = 5 in [0.1, 100]\"");
  }
  std::vector<Unknown> unknowns;
  for (const std::string& text : texts) {
    unknowns.push_back(ParseUnknown("model.physics.unknowns", text));
  }
  return unknowns;
}

std::vector<double> Starts(const std::vector<Unknown>& unknowns) {
  std::vector<double> starts;
  for (const Unknown& unknown : unknowns) starts.push_back(unknown.start);
  return starts;
}

/// Standard deviation of every component's change in one step.
std::vector<double> ScaleOfChanges(const Dataset& data) {
  const auto no = static_cast<size_t>(data.observation_dim());
  std::vector<double> mean(no);
  std::vector<double> squares(no);
  const auto rows = static_cast<double>(data.size());
  for (const bool second : {false, true}) {
    for (int64_t row = 0; row < data.size(); ++row) {
      for (size_t i = 0; i < no; ++i) {
        const double change = data.next_observation(row)[i] - data.observation(row)[i];
        if (second) {
          squares[i] += (change - mean[i]) * (change - mean[i]) / rows;
        } else {
          mean[i] += change / rows;
        }
      }
    }
  }
  constexpr double kSmallestScale = 1e-12;  // of a component that is not constant
  for (double& scale : squares) scale = std::sqrt(scale) > kSmallestScale ? std::sqrt(scale) : 0;
  return squares;
}

struct MembersWorkspace final : Dynamics::Workspace {
  std::vector<std::unique_ptr<Dynamics::Workspace>> of_member;
};

}  // namespace

FittedPhysics::FittedPhysics(const Task& task, const PhysicsOptions& options)
    : options_(options),
      unknowns_(ParseUnknowns(options.unknowns)),
      family_(MakeTiedFamily(task, unknowns_, options.ties)),
      model_(*family_(Starts(unknowns_))),
      scale_(task.spec().observation.size()),
      noise_(scale_.size()) {
  for (const Component& component : task.spec().observation) observation_.push_back(component.name);
  fit_.values = Starts(unknowns_);
  for (int member = 0; member < kMembers; ++member) {
    values_.insert(values_.end(), fit_.values.begin(), fit_.values.end());
    if (member > 0) drawn_.push_back(std::make_unique<PhysicsModel>(*family_(fit_.values)));
  }
}

FitMetrics FittedPhysics::Fit(const Dataset& data, Key key) {
  std::vector<Unknown> unknowns = unknowns_;
  const size_t p = unknowns.size();
  for (size_t i = 0; i < p; ++i) unknowns[i].start = values_[i];
  fit_ = FitPhysics(family_, unknowns, data, options_.fit);
  noise_ = fit_.noise;
  scale_ = ScaleOfChanges(data);
  Random random(key);
  for (size_t member = 0; member < kMembers; ++member) {
    // theta ~ N(fit, covariance), within the bounds
    Eigen::VectorXd draw =
        Eigen::Map<const Eigen::VectorXd>(fit_.values.data(), static_cast<Eigen::Index>(p));
    for (Eigen::Index k = 0; member > 0 && k < fit_.draw.cols(); ++k) {
      draw += fit_.draw.col(k) * random.Normal();
    }
    for (size_t i = 0; i < p; ++i) {
      values_[member * p + i] =
          std::clamp(draw[static_cast<Eigen::Index>(i)], unknowns[i].low, unknowns[i].high);
    }
  }
  Replace();
  FitMetrics metrics = {{"iterations", fit_.iterations},
                        {"converged", fit_.status == PhysicsFitStatus::kConverged ? 1 : 0},
                        {"unidentified", static_cast<double>(fit_.unidentifiable.size())}};
  for (size_t i = 0; i < p; ++i) metrics.emplace_back(unknowns_[i].name, fit_.values[i]);
  return metrics;
}

void FittedPhysics::Replace() {
  const std::span<const double> values(values_);
  const size_t p = unknowns_.size();
  model_.Replace(*family_(values.first(p)));
  for (size_t i = 0; i < drawn_.size(); ++i) {
    drawn_[i]->Replace(*family_(values.subspan((i + 1) * p, p)));
  }
}

std::unique_ptr<Dynamics::Workspace> FittedPhysics::MakePredictionWorkspace() const {
  auto workspace = std::make_unique<MembersWorkspace>();
  workspace->of_member.push_back(model_.MakeWorkspace(1));
  for (const auto& member : drawn_) workspace->of_member.push_back(member->MakeWorkspace(1));
  return workspace;
}

void FittedPhysics::Predict(int member, const double* observation, const double* action,
                            double* mean, double* deviation, Dynamics::Workspace& workspace) const {
  const auto place = static_cast<size_t>(member);
  const PhysicsModel& model = member == 0 ? model_ : *drawn_[place - 1];
  model.Step({.rows = 1, .state = observation, .action = action, .next_state = mean, .key = {}},
             *static_cast<MembersWorkspace&>(workspace).of_member[place]);
  std::ranges::copy(noise_, deviation);
}

void FittedPhysics::Save(TensorFile& file) const {
  const auto p = static_cast<int64_t>(unknowns_.size());
  const auto no = static_cast<int64_t>(scale_.size());
  file.tensors["physics.values"] = {{kMembers, p}, values_};
  file.tensors["physics.scale"] = {{no}, scale_};
  file.tensors["physics.noise"] = {{no}, noise_};
  std::string names;
  for (const Unknown& unknown : unknowns_) names += unknown.name + "\n";
  file.metadata["physics.unknowns"] = names;
  file.metadata["physics.fit"] = Describe().dump();
}

void FittedPhysics::Restore(const TensorFile& file) {
  const auto p = static_cast<int64_t>(unknowns_.size());
  const std::array<int64_t, 2> members = {kMembers, p};
  const std::array<int64_t, 1> components = {static_cast<int64_t>(scale_.size())};
  std::vector<double> values = file.Doubles("physics.values", members);
  std::vector<double> scale = file.Doubles("physics.scale", components);
  noise_ = file.Doubles("physics.noise", components);
  values_ = std::move(values);
  scale_ = std::move(scale);
  fit_.values.assign(values_.begin(), values_.begin() + p);
  Replace();
}

nlohmann::ordered_json FittedPhysics::Describe() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < unknowns_.size(); ++i) {
    nlohmann::ordered_json row = {{"name", unknowns_[i].name}, {"value", fit_.values[i]}};
    if (i < fit_.standard_errors.size()) {
      row["standard_error"] = fit_.standard_errors[i];
      row["at_bound"] = static_cast<bool>(fit_.at_bound[i]);
    }
    rows.push_back(std::move(row));
  }
  nlohmann::ordered_json noise = nlohmann::ordered_json::object();
  for (size_t i = 0; i < noise_.size(); ++i) noise[observation_[i]] = noise_[i];
  return {{"status", Name(fit_.status)},
          {"iterations", fit_.iterations},
          {"parameters", std::move(rows)},
          {"not_identifiable", fit_.unidentifiable},
          {"noise", std::move(noise)}};
}

}  // namespace foreplan
