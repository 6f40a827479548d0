#include "foreplan/models/physics/fitted_physics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/systems/component_names.h"

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

struct MembersWorkspace final : Dynamics::Workspace {
  std::vector<std::shared_ptr<const PhysicsModel>> members;
  std::vector<std::unique_ptr<Dynamics::Workspace>> of_member;
};

}  // namespace

FittedPhysics::FittedPhysics(const Task& task, const PhysicsOptions& options)
    : options_(options),
      unknowns_(ParseUnknowns(options.unknowns)),
      observation_(Names(task.spec().observation)),
      difference_(task.spec(), task.encoding()),
      family_(MakeTiedFamily(task, unknowns_, options.ties)) {
  if (!task.encoding().known.empty()) {
    throw InputError(fmt::format(
        "model.kind: found physics in a task that adds '{}' to the observation, for action_filter "
        "or "
        "an expression that names time, phase or previous.u; expected model.kind = \"ensemble\"",
        observation_[static_cast<size_t>(task.encoding().known[0].component)]));
  }
  const std::vector<double> starts = Starts(unknowns_);
  Found guessed;
  for (int member = 0; member < kMembers; ++member) {
    guessed.values.insert(guessed.values.end(), starts.begin(), starts.end());
  }
  guessed.scale = guessed.noise = std::vector<double>(observation_.size());
  guessed.members = ModelsOf(guessed.values);
  Take(std::move(guessed));
}

FitMetrics FittedPhysics::FitVersion(const Dataset& data, Key key, const FitControl& control) {
  auto [found, metrics] = Find(data, key, control);
  Take(std::move(found));
  return metrics;
}

std::pair<FittedPhysics::Found, FitMetrics> FittedPhysics::Find(const Dataset& recorded, Key key,
                                                                const FitControl& control) const {
  const Dataset data = difference_.Unwrapped(recorded);  // as the system moves
  std::vector<Unknown> unknowns = unknowns_;
  const size_t p = unknowns.size();
  for (size_t i = 0; i < p; ++i) unknowns[i].start = found_.values[i];
  constexpr uint64_t kGuesses = 1;
  const PhysicsFit fit =
      FitPhysics(family_, unknowns, data, options_.fit, key.Fold(kGuesses), control);
  Found found{.values = std::vector<double>(found_.values.size()),
              .scale = MeasureChanges(data, difference_).deviation,
              .noise = fit.noise,
              .description = Description(fit).dump(),
              .members = {}};
  Random random(key);
  for (size_t member = 0; member < kMembers; ++member) {
    // theta ~ N(fit, covariance), within the bounds
    Eigen::VectorXd draw =
        Eigen::Map<const Eigen::VectorXd>(fit.values.data(), static_cast<Eigen::Index>(p));
    for (Eigen::Index k = 0; member > 0 && k < fit.draw.cols(); ++k) {
      draw += fit.draw.col(k) * random.Normal();
    }
    for (size_t i = 0; i < p; ++i) {
      found.values[member * p + i] =
          std::clamp(draw[static_cast<Eigen::Index>(i)], unknowns[i].low, unknowns[i].high);
    }
  }
  found.members = ModelsOf(found.values);
  FitMetrics metrics = {{"iterations", fit.iterations},
                        {"converged", fit.status == PhysicsFitStatus::kConverged ? 1 : 0},
                        {"unidentified", static_cast<double>(fit.unidentifiable.size())},
                        {"guesses", fit.guesses}};
  for (size_t i = 0; i < p; ++i) metrics.emplace_back(unknowns_[i].name, fit.values[i]);
  return {std::move(found), std::move(metrics)};
}

std::vector<std::shared_ptr<const PhysicsModel>> FittedPhysics::ModelsOf(
    std::span<const double> values) const {
  const size_t p = unknowns_.size();
  std::vector<std::shared_ptr<const PhysicsModel>> models;
  for (size_t first = 0; first < values.size(); first += p) {
    models.push_back(std::make_shared<const PhysicsModel>(*family_(values.subspan(first, p))));
  }
  return models;
}

void FittedPhysics::Take(Found found) noexcept {
  found_ = std::move(found);
  Publish(found_.members[0]);
}

std::unique_ptr<Dynamics::Workspace> FittedPhysics::MakePredictionWorkspace(int max_rows) const {
  auto workspace = std::make_unique<MembersWorkspace>();
  workspace->members = found_.members;
  for (const auto& member : found_.members) {
    workspace->of_member.push_back(member->MakeWorkspace(max_rows));
  }
  return workspace;
}

void FittedPhysics::Predict(int member, int rows, const double* observation, const double* action,
                            double* mean, double* deviation, Dynamics::Workspace& workspace) const {
  const auto place = static_cast<size_t>(member);
  auto& w = static_cast<MembersWorkspace&>(workspace);
  w.members[place]->Step(
      {.rows = rows, .state = observation, .action = action, .next_state = mean, .key = {}},
      *w.of_member[place]);
  for (int row = 0; row < rows; ++row) {
    deviation = std::ranges::copy(found_.noise, deviation).out;
  }
}

std::string FittedPhysics::NamesOfUnknowns() const {
  std::string names;
  for (const Unknown& unknown : unknowns_) names += unknown.name + "\n";
  return names;
}

/// Values of other unknowns, or in another order, would be taken for these.
void FittedPhysics::CheckNames(const TensorFile& file) const {
  const auto names = file.metadata.find("physics.unknowns");
  const std::string found = names == file.metadata.end() ? "" : names->second;
  if (found == NamesOfUnknowns()) return;
  const auto listed = [](std::string lines) {
    if (!lines.empty()) lines.pop_back();
    std::ranges::replace(lines, '\n', ' ');
    return lines;
  };
  throw InputError(fmt::format("{}: metadata 'physics.unknowns': found '{}', expected '{}'",
                               file.source, listed(found), listed(NamesOfUnknowns())));
}

void FittedPhysics::Save(TensorFile& file) const {
  const auto p = static_cast<int64_t>(unknowns_.size());
  const auto no = static_cast<int64_t>(found_.scale.size());
  file.tensors["physics.values"] = {{kMembers, p}, found_.values};
  file.tensors["physics.scale"] = {{no}, found_.scale};
  file.tensors["physics.noise"] = {{no}, found_.noise};
  file.metadata["physics.unknowns"] = NamesOfUnknowns();
  file.metadata["physics.fit"] = found_.description;
}

void FittedPhysics::Restore(const TensorFile& file) {
  CheckNames(file);
  const auto p = static_cast<int64_t>(unknowns_.size());
  const std::array<int64_t, 2> members = {kMembers, p};
  const std::array<int64_t, 1> components = {static_cast<int64_t>(found_.scale.size())};
  Found found{.values = file.Doubles("physics.values", members),
              .scale = file.Doubles("physics.scale", components),
              .noise = file.Doubles("physics.noise", components),
              .description = found_.description,
              .members = {}};
  CheckFinite(file, "physics.values");
  CheckAtLeast(file, "physics.scale", 0);
  CheckAtLeast(file, "physics.noise", 0);
  const auto description = file.metadata.find("physics.fit");
  if (description != file.metadata.end()) found.description = description->second;
  found.members = ModelsOf(found.values);
  Take(std::move(found));
}

nlohmann::ordered_json FittedPhysics::Describe() const {
  return nlohmann::ordered_json::parse(found_.description, nullptr, false);
}

nlohmann::ordered_json FittedPhysics::Description(const PhysicsFit& fit) const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < unknowns_.size(); ++i) {
    rows.push_back({{"name", unknowns_[i].name},
                    {"value", fit.values[i]},
                    {"standard_error", fit.standard_errors[i]},
                    {"at_bound", static_cast<bool>(fit.at_bound[i])}});
  }
  nlohmann::ordered_json noise = nlohmann::ordered_json::object();
  nlohmann::ordered_json spread = nlohmann::ordered_json::object();
  for (size_t i = 0; i < fit.noise.size(); ++i) {
    noise[observation_[i]] = fit.noise[i];
    spread[observation_[i]] = fit.spread[i];
  }
  return {{"status", Name(fit.status)},    {"failure", fit.failure},
          {"iterations", fit.iterations},  {"guesses", fit.guesses},
          {"parameters", std::move(rows)}, {"not_identifiable", fit.unidentifiable},
          {"noise", std::move(noise)},     {"spread", std::move(spread)}};
}

}  // namespace foreplan
