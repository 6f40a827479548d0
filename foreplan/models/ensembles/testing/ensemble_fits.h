// Fits of ensembles that tests look into.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"

namespace foreplan::testing {

inline const std::vector<float>& FloatsOf(const TensorFile& file, const std::string& name) {
  return std::get<std::vector<float>>(file.tensors.at(name).values);
}

inline std::vector<int32_t> AdamSteps(const EnsembleTrainer& trainer) {
  TensorFile file;
  trainer.Save(file);
  return std::get<std::vector<int32_t>>(file.tensors.at("trainer.adam_steps").values);
}

// A part of a flat parameter vector of all members.
inline std::vector<float> MemberPart(const std::vector<float>& all, int members, int member) {
  const auto size = static_cast<ptrdiff_t>(all.size()) / members;
  return {all.begin() + member * size, all.begin() + (member + 1) * size};
}

// Everything that a fit may change.
inline TensorFile Everything(const EnsembleTrainer& trainer) {
  TensorFile file;
  trainer.ensemble()->Save(file);
  trainer.Save(file);
  return file;
}

// As many components as rows.
inline constexpr int kOneHotRows = 24;
inline SystemSpec OneHotSpec() {
  SystemSpec spec;
  spec.dt = 0.1;
  for (int i = 0; i < kOneHotRows; ++i) spec.observation.push_back({"o" + std::to_string(i), ""});
  spec.state = spec.observation;
  spec.action = {{"u", ""}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

// Row r changes component r by 1 and no other.
inline Dataset OneHotData(int rows) {
  Dataset data(kOneHotRows, 1);
  const std::vector<double> zero(kOneHotRows);
  for (int row = 0; row < rows; ++row) {
    std::vector<double> next = zero;
    next[static_cast<size_t>(row)] = 1;
    data.Add(zero, std::vector<double>{0.0}, next, 1);
  }
  return data;
}

// How often each row is drawn by each member in the first pass over its rows: [members][rows].
//
// A network of zeros predicts 0, and row r has a target of 1 in component r alone. Its first
// gradient step, over a batch of all n rows that a member sees, has for the bias of output r the
// gradient 2 / (n no) sum (0 - 1) = -2 c_r / (n no) with c_r the times that row r was drawn; Adam's
// first moment is 0.1 of the gradient.
inline std::vector<std::vector<int>> DrawnRows(int rows, FitOptions fit, Key key, int members = 1) {
  EnsembleOptions options;
  options.members = members;
  options.hidden_layers = 1;
  options.width = 2;
  options.probabilistic = false;
  options.normalise_targets = false;
  const Dataset data = OneHotData(rows);
  const auto executor = std::make_shared<SerialExecutor>();
  fit.min_steps = fit.max_steps = 1;
  fit.batch = 1;
  TensorFile saved;
  for (const bool counting : {true, false}) {
    const auto ensemble = std::make_shared<Ensemble>(OneHotSpec(), Encoding{}, options, Key{1, 1});
    for (int member = 0; member < members; ++member) {
      std::ranges::fill(ensemble->parameters(member), 0.0F);
    }
    EnsembleTrainer trainer(ensemble, fit, executor);
    const auto n = static_cast<int>(trainer.Fit(data, key).training_rows);
    if (counting) fit.batch = n;
    trainer.Save(saved);
  }
  std::vector<std::vector<int>> drawn;
  for (int member = 0; member < members; ++member) {
    const std::vector<float> moment =
        MemberPart(FloatsOf(saved, "trainer.first_moment"), members, member);
    drawn.emplace_back();
    for (int row = 0; row < rows; ++row) {
      const double gradient = moment[moment.size() - kOneHotRows + static_cast<size_t>(row)] / 0.1;
      const double count = -gradient * fit.batch * kOneHotRows / 2;
      EXPECT_NEAR(count, std::round(count), 1e-4);  // float
      drawn.back().push_back(static_cast<int>(std::lround(count)));
    }
  }
  return drawn;
}

// Rows that a member trains on without a bootstrap: 1, and 0 for those that are held out.
inline std::vector<int> Sides(int rows, Key key) {
  FitOptions options;
  options.bootstrap = false;
  options.holdout_share = 0.4;
  return DrawnRows(rows, options, key)[0];
}

// A little to learn and much noise: soon the training rows are only learnt by heart.
inline Dataset NoiseData(int rows) {
  Dataset data(3, 1);
  Random random(Key{5, 3});
  for (int row = 0; row < rows; ++row) {
    const double x[3] = {random.Normal(), random.Normal(), 0.7};
    const double next[3] = {x[0] + 0.8 * x[1] + 0.6 * random.Normal(),
                            x[1] - 0.5 * x[0] + 0.6 * random.Normal(), 0.7};
    const double u = random.Normal();
    data.Add(x, std::span(&u, 1), next, 1);
  }
  return data;
}

inline FitOptions StoppingFit(int patience) {
  FitOptions options = QuickFit(200);
  options.holdout_share = 0.3;
  options.learning_rate = 1e-2;
  options.checks = 50;  // every 4 steps
  options.patience = patience;
  return options;
}

}  // namespace foreplan::testing
