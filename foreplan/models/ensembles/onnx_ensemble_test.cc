#include "foreplan/models/ensembles/onnx_ensemble.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/data/testing/onnx_evaluation.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

constexpr int kRows = 12;

Task TaskWith(const std::string& encoding, const std::string& more = "") {
  Config config =
      Config::FromString("name = 't'\nepisode_length = 20\nreward = '-slider^2'\n" + more +
                             "[system]\ntype = 'cartpole'\n[encoding]\n" + encoding,
                         "t.toml");
  return Task::FromConfig(config, ".");
}

/// With normalisers that matter: networks as they are made, no fit.
Ensemble MakeEnsemble(const Task& task, const EnsembleOptions& options) {
  Ensemble ensemble(task.spec(), task.encoding(), options, Key{4, 4});
  Random random(Key{5, 5});
  for (Normaliser* normaliser : {&ensemble.input_normaliser(), &ensemble.target_normaliser()}) {
    for (double& mean : normaliser->mean) mean = random.Uniform(-1, 1);
    for (double& scale : normaliser->scale) scale = random.Uniform(0.2, 3);
  }
  for (int member = 0; member < ensemble.members() && ensemble.has_constant_noise(); ++member) {
    for (float& log_variance : ensemble.NoiseIn(ensemble.parameters(member))) {
      log_variance = static_cast<float>(random.Uniform(-2, 1));
    }
  }
  return ensemble;
}

Numbers Draw(int columns, uint64_t stream) {
  Numbers rows;
  Random random(Key{6, stream});
  for (int i = 0; i < kRows * columns; ++i) rows.push_back(random.Uniform(-3, 3));
  return rows;
}

/// What the ensemble itself says: of every member, [members x rows x no].
struct Expected {
  Numbers mean, deviation;
};

Expected Predictions(const Ensemble& ensemble, const Numbers& observation, const Numbers& action) {
  const int no = ensemble.observation_dim();
  const int nu = ensemble.action_dim();
  Expected expected;
  const auto workspace = ensemble.MakeWorkspace(kRows);
  Numbers mean(observation.size());
  Numbers deviation(observation.size());
  for (int member = 0; member < ensemble.members(); ++member) {
    ensemble.PredictTarget(member, kRows, observation.data(), action.data(), mean.data(),
                           deviation.data(), *workspace);
    for (int row = 0; row < kRows; ++row) {
      ensemble.features().Apply(observation.data() + row * no, action.data() + row * nu,
                                mean.data() + row * no, mean.data() + row * no);
    }
    expected.mean.insert(expected.mean.end(), mean.begin(), mean.end());
    expected.deviation.insert(expected.deviation.end(), deviation.begin(), deviation.end());
  }
  return expected;
}

void ExpectAgreement(const Task& task, const EnsembleOptions& options) {
  const Ensemble ensemble = MakeEnsemble(task, options);
  const int no = ensemble.observation_dim();
  const Numbers observation = Draw(no, 1);
  const Numbers action = Draw(ensemble.action_dim(), 2);
  const Expected expected = Predictions(ensemble, observation, action);
  const auto values = OnnxEvaluation(EnsembleGraph(ensemble).Model({}))
                          .Run({{"observation", {11, {kRows, no}, observation}},
                                {"action", {11, {kRows, ensemble.action_dim()}, action}}});
  // Networks compute in floats, in another order of sums: 1e-6 of numbers near 1.
  constexpr double kTolerance = 1e-5;
  const auto near = [&](const char* name, const Numbers& numbers) {
    const OnnxTensor& found = values.at(name);
    ASSERT_EQ(found.values.size(), numbers.size()) << name;
    for (size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_NEAR(found.values[i], numbers[i], kTolerance) << name << " " << i;
    }
  };
  near("member_means", expected.mean);
  near("member_standard_deviations", expected.deviation);
  const size_t count = observation.size();
  const auto members = static_cast<double>(ensemble.members());
  Numbers mean(count);
  Numbers deviation(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = i; k < expected.mean.size(); k += count) mean[i] += expected.mean[k] / members;
    double variance = 0;
    for (size_t k = i; k < expected.mean.size(); k += count) {
      variance +=
          (std::pow(expected.deviation[k], 2) + std::pow(expected.mean[k] - mean[i], 2)) / members;
    }
    deviation[i] = std::sqrt(variance);
  }
  near("mean", mean);
  near("standard_deviation", deviation);
}

TEST(OnnxEnsemble, PredictsWhatTheEnsembleDoesWhateverTheEncoding) {
  const EnsembleOptions options = testing::SmallOptions();
  ExpectAgreement(TaskWith(""), options);
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
  ExpectAgreement(TaskWith("sin_cos = ['hinge', 'slider']\nomit = ['slider_velocity']"), options);
  ExpectAgreement(TaskWith("absolute = ['hinge_velocity']\nomit = ['slider', 'hinge']"), options);
  ExpectAgreement(TaskWith("integrate = ['slider', 'hinge']\nsin_cos = ['hinge']"), options);
  ExpectAgreement(
      TaskWith("sin_cos = ['hinge']\ninputs = ['slider * sin(hinge)', '[u[0], slider^2]']"),
      options);
}

TEST(OnnxEnsemble, MovesWhatIsKnownAsItIsKnown) {
  ExpectAgreement(TaskWith("sin_cos = ['hinge']", "action_repeat = 2\naction_filter = 0.1\n"),
                  testing::SmallOptions());
}

TEST(OnnxEnsemble, OfConstantNoise) {
  EnsembleOptions options = testing::SmallOptions();
  options.noise = MemberNoise::kConstant;
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
}

TEST(OnnxEnsemble, OfNetworksOfOtherKinds) {
  EnsembleOptions options = testing::SmallOptions();
  options.activation = Activation::kRelu;
  options.layer_norm = true;
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
  options.activation = Activation::kElu;
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
}

TEST(OnnxEnsemble, OfDeterministicMembersAndOfOne) {
  EnsembleOptions options = testing::SmallOptions();
  options.probabilistic = false;
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
  options.members = 1;
  options.hidden_layers = 1;
  ExpectAgreement(TaskWith("sin_cos = ['hinge']"), options);
}

TEST(OnnxEnsemble, SaysItsVersionsInputsOutputsAndMetadata) {
  const Ensemble ensemble = MakeEnsemble(TaskWith(""), testing::SmallOptions());
  const OnnxEvaluation file(EnsembleGraph(ensemble).Model({{"subject", "{}"}}));
  EXPECT_EQ(file.model().Number(1), 8U) << "version of the format";
  EXPECT_EQ(ProtobufFields(file.model().Text(8)).Number(2), 17U) << "set of operators";
  const ProtobufFields entry(file.model().Text(14));
  EXPECT_EQ(entry.Text(1), "subject");
  EXPECT_EQ(entry.Text(2), "{}");
  EXPECT_EQ(file.Names(11), (std::vector<std::string>{"observation", "action"}));
  EXPECT_EQ(file.Names(12), (std::vector<std::string>{"mean", "standard_deviation", "member_means",
                                                      "member_standard_deviations"}));
}

}  // namespace
}  // namespace foreplan
