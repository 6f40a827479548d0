#include "foreplan/models/ensembles/ensemble.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/ensembles/ensemble_tape.h"
#include "foreplan/models/member_network.h"
#include "foreplan/nets/mlp_jacobian.h"
#include "foreplan/nets/mlp_widths.h"

namespace foreplan {
namespace {

constexpr float kInitialMaxLogVariance = 0.5F;
constexpr float kInitialMinLogVariance = -10.0F;
constexpr int kMaxPlaces = 1024;  // that TS1 shuffles; more particles share them

enum Stream : uint64_t { kWeights, kNoise, kMembers };

EnsembleOptions Checked(const EnsembleOptions& options) {
  if (options.noise == MemberNoise::kConstant && !options.probabilistic) {
    throw InputError(
        "model.noise: found constant with model.probabilistic = false, expected "
        "model.probabilistic = true: other members have no noise");
  }
  return Validated("model", options);
}

int Outputs(const EnsembleOptions& options, const FeatureMap& features) {
  const bool predicted = options.probabilistic && options.noise == MemberNoise::kPredicted;
  return predicted ? 2 * features.targets() : features.targets();
}

constexpr const char* kNetworks = "model.networks";  // metadata

/// What sizes do not tell of networks that are not those of the defaults.
std::string KindOf(const EnsembleOptions& options) {
  std::vector<std::string> kind;
  if (options.activation == Activation::kRelu) kind.emplace_back("relu");
  if (options.activation == Activation::kElu) kind.emplace_back("elu");
  if (options.layer_norm) kind.emplace_back("layer norm");
  if (options.noise == MemberNoise::kConstant) kind.emplace_back("constant noise");
  return fmt::format("{}", fmt::join(kind, ", "));
}

/// Throws InputError unless the file's networks are of that kind.
void CheckKind(const TensorFile& file, const std::string& expected) {
  const auto entry = file.metadata.find(kNetworks);
  const std::string found = entry == file.metadata.end() ? "" : entry->second;
  if (found == expected) return;
  const auto name = [](const std::string& kind) { return kind.empty() ? "nothing" : kind; };
  throw InputError(fmt::format("{}: metadata '{}': found {}, expected {}", file.source, kNetworks,
                               name(found), name(expected)));
}

}  // namespace

void EnsembleOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, Propagation>> kPropagations = {
      {"ts_inf", Propagation::kTsInf},
      {"ts_1", Propagation::kTs1},
      {"expectation", Propagation::kExpectation}};
  static const std::vector<std::pair<std::string, Activation>> kActivations = {
      {"swish", Activation::kSwish}, {"relu", Activation::kRelu}, {"elu", Activation::kElu}};
  static const std::vector<std::pair<std::string, MemberNoise>> kNoises = {
      {"predicted", MemberNoise::kPredicted}, {"constant", MemberNoise::kConstant}};
  static const std::vector<std::pair<std::string, Precision>> kPrecisions = {
      {"f32", Precision::kF32}, {"bf16", Precision::kBf16}, {"auto", Precision::kAuto}};
  visitor.Field("members", members, {1, 64}, "networks in the ensemble");
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers per network");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Choice("activation", activation, std::span(kActivations),
                 "of hidden units; others than swish predict more slowly");
  visitor.Field("layer_norm", layer_norm,
                "hidden layers have mean 0 and variance 1 in every row; predicts more slowly");
  visitor.Field("probabilistic", probabilistic, "predict mean and variance, else the mean only");
  visitor.Choice("noise", noise, std::span(kNoises),
                 "variances are predicted for every input, or one per component is learned");
  visitor.Field("normalise_targets", normalise_targets, "scale targets by the data's deviation");
  visitor.Choice("propagation", propagation, std::span(kPropagations),
                 "which member predicts a particle's next step");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
  visitor.Choice("precision", precision, std::span(kPrecisions),
                 "of predictions; bf16 needs a processor with AMX or AVX512-BF16");
}

// What one worker needs to predict up to max_rows rows.
struct Ensemble::Buffers : Dynamics::Workspace {
  Buffers(const Ensemble& ensemble, int max_rows)
      : work(ensemble.prediction_kernel_.work_bytes(ensemble.mlp_, max_rows)),
        noise(static_cast<size_t>(ensemble.observation_dim())),
        input(static_cast<size_t>(max_rows) * static_cast<size_t>(ensemble.features_.inputs())),
        network_deviation(static_cast<size_t>(max_rows) * noise.size()),
        mean(network_deviation.size()),
        deviation(network_deviation.size()),
        sum(network_deviation.size()) {}

  AlignedVector<std::byte> work;         // the prediction kernel's
  std::vector<double> noise;             // [no]
  std::vector<float> input;              // [max_rows x inputs], normalised
  std::vector<float> network_deviation;  // [max_rows x no], of normalised targets
  std::vector<double> mean;              // [max_rows x no]
  std::vector<double> deviation;         // [max_rows x no]
  std::vector<double> sum;               // [max_rows x no]
};

Ensemble::Ensemble(const EnvironmentSpec& spec, const Encoding& encoding,
                   const EnsembleOptions& options, Key key)
    : options_(Checked(options)),
      features_(spec, encoding),
      mlp_(AffordableMlp("model", options_.members,
                         MlpWidths(features_.inputs(), options_.hidden_layers, options_.width,
                                   Outputs(options_, features_)),
                         {.activation = options_.activation, .layer_norm = options_.layer_norm})),
      training_kernel_(GetDenseKernel(options_.kernel)),
      prediction_kernel_(GetPredictionKernel(options_.kernel, options_.precision, mlp_.options())),
      input_normaliser_(features_.inputs()),
      target_normaliser_(features_.targets()),
      parameters_(static_cast<size_t>(options_.members) * static_cast<size_t>(member_parameters())),
      packed_bytes_(WholeCacheLines(prediction_kernel_.packed_bytes(mlp_))),
      packed_(static_cast<size_t>(options_.members) * packed_bytes_) {
  for (int member = 0; member < members(); ++member) {
    mlp_.Initialise(key.Fold(kWeights).Fold(static_cast<uint64_t>(member)), parameters(member));
    if (predicts_noise()) {
      float* bounds = NoiseIn(parameters(member)).data();
      std::fill_n(bounds, observation_dim(), kInitialMaxLogVariance);
      std::fill_n(bounds + observation_dim(), observation_dim(), kInitialMinLogVariance);
    }
    Pack(member);
  }
}

void Ensemble::Pack(int member) {
  prediction_kernel_.Pack(mlp_, parameters(member), packed(member));
}

std::span<std::byte> Ensemble::packed(int member) {
  return std::span(packed_).subspan(static_cast<size_t>(member) * packed_bytes_, packed_bytes_);
}

std::span<const std::byte> Ensemble::packed(int member) const {
  return std::span(packed_).subspan(static_cast<size_t>(member) * packed_bytes_, packed_bytes_);
}

int Ensemble::member_parameters() const {
  if (predicts_noise()) return mlp_.parameters() + 2 * observation_dim();
  return mlp_.parameters() + (has_constant_noise() ? observation_dim() : 0);
}

std::span<float> Ensemble::parameters(int member) {
  const auto size = static_cast<size_t>(member_parameters());
  return std::span(parameters_).subspan(static_cast<size_t>(member) * size, size);
}

std::span<const float> Ensemble::parameters(int member) const {
  const auto size = static_cast<size_t>(member_parameters());
  return std::span(parameters_).subspan(static_cast<size_t>(member) * size, size);
}

LogVarianceBounds Ensemble::bounds(int member) const { return BoundsIn(parameters(member)); }

LogVarianceBounds Ensemble::BoundsIn(std::span<const float> parameters) const {
  const float* bounds = NoiseIn(parameters).data();
  return {.max = bounds, .min = bounds + observation_dim()};
}

void Ensemble::ConstantDeviations(int member, std::span<float> deviation) const {
  const std::span<const float> log_variance = NoiseIn(parameters(member));
  for (size_t i = 0; i < deviation.size(); ++i) deviation[i] = std::exp(0.5F * log_variance[i]);
}

void Ensemble::Replace(std::vector<float> parameters, Normaliser input,
                       Normaliser target) noexcept {
  parameters_ = std::move(parameters);
  input_normaliser_ = std::move(input);
  target_normaliser_ = std::move(target);
  for (int member = 0; member < members(); ++member) Pack(member);
}

bool Ensemble::is_stochastic() const {
  if (options_.propagation == Propagation::kExpectation) return false;
  return options_.members > 1 || options_.probabilistic;
}

std::unique_ptr<Dynamics::Workspace> Ensemble::MakeWorkspace(int max_rows) const {
  return std::make_unique<Buffers>(*this, max_rows);
}

// What one worker needs for derivatives at up to max_rows knots.
struct Ensemble::DerivativeBuffers final : Buffers {
  DerivativeBuffers(const Ensemble& ensemble, int rows)
      : Buffers(ensemble, rows),
        max_rows(rows),
        network(ensemble.mlp_, ensemble.training_kernel_, rows),
        by_input(static_cast<size_t>(ensemble.features_.inputs())),
        by_observation(noise.size()),
        by_action(static_cast<size_t>(ensemble.action_dim())),
        expression_jacobian(Size(rows) * ensemble.features_.expression_jacobian_size()) {}

  [[nodiscard]] double* ExpressionJacobian(int row) {
    return expression_jacobian.data() + Size(row) * (expression_jacobian.size() / Size(max_rows));
  }

  int max_rows;
  MlpJacobian network;
  std::vector<double> by_input;             // [inputs]
  std::vector<double> by_observation;       // [no]
  std::vector<double> by_action;            // [nu]
  std::vector<double> expression_jacobian;  // [rows x expression_jacobian_size]
};

std::unique_ptr<Dynamics::Workspace> Ensemble::MakeDerivativeWorkspace(int max_rows) const {
  return std::make_unique<DerivativeBuffers>(*this, max_rows);
}

void Ensemble::StepMean(const StepBatch& batch, Workspace& workspace) const {
  StepExpectation(batch, static_cast<Buffers&>(workspace));
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, batch.rows * observation_dim(), batch.next_observation);
  }
}

void Ensemble::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  auto& buffers = static_cast<DerivativeBuffers&>(workspace);
  const int no = observation_dim();
  const int nu = action_dim();
  std::fill_n(batch.A, batch.rows * no * no, 0.0);
  std::fill_n(batch.B, batch.rows * no * nu, 0.0);
  for (int first = 0; first < batch.rows; first += buffers.max_rows) {
    LinearizeBatch part = batch;
    part.rows = std::min(buffers.max_rows, batch.rows - first);
    part.state += first * no;
    part.action += first * nu;
    part.A += first * no * no;
    part.B += first * no * nu;
    features_.Inputs(part.rows, part.state, part.action, input_normaliser_, buffers.input.data());
    for (int row = 0; row < part.rows; ++row) {
      features_.ExpressionJacobian(part.state + row * no, part.action + row * nu,
                                   buffers.ExpressionJacobian(row));
    }
    for (int member = 0; member < members(); ++member) AddJacobian(member, part, buffers);
  }
  // x' = x + target, for components that are not predicted as such, + dt rate.
  const std::span<const double> kept = features_.kept();
  for (int row = 0; row < batch.rows; ++row) {
    double* A = batch.A + row * no * no;
    for (int i = 0; i < no; ++i) A[i * no + i] += kept[static_cast<size_t>(i)];
    for (const auto [component, rate] : features_.integrated()) {
      A[component * no + rate] += features_.dt();
    }
    double* B = batch.B + row * no * nu;
    for (const KnownMotion& motion : features_.known()) {
      std::fill_n(A + motion.component * no, no, 0.0);
      std::fill_n(B + motion.component * nu, nu, 0.0);
      A[motion.component * no + motion.component] = motion.keep;
      if (motion.action >= 0) B[motion.component * nu + motion.action] = motion.gain;
    }
  }
}

// The member's share of the mean: d target_i / d feature_j = scale_i J_ij / scale_j, pulled back to
// observation and action.
void Ensemble::AddJacobian(int member, const LinearizeBatch& batch,
                           DerivativeBuffers& buffers) const {
  const int no = observation_dim();
  const int nu = action_dim();
  const int inputs = features_.inputs();
  buffers.network.Evaluate(parameters(member), batch.rows, buffers.input.data());
  for (int row = 0; row < batch.rows; ++row) {
    const float* jacobian = buffers.network.jacobian() + row * mlp_.outputs() * inputs;
    for (int i = 0; i < no; ++i) {
      const double scale = target_normaliser_.scale[static_cast<size_t>(i)] / members();
      for (int j = 0; j < inputs; ++j) {
        buffers.by_input[static_cast<size_t>(j)] =
            scale * jacobian[i * inputs + j] / input_normaliser_.scale[static_cast<size_t>(j)];
      }
      features_.PullBack(batch.state + row * no, buffers.ExpressionJacobian(row),
                         buffers.by_input.data(), buffers.by_observation.data(),
                         buffers.by_action.data());
      double* A = batch.A + (row * no + i) * no;
      double* B = batch.B + (row * no + i) * nu;
      for (int j = 0; j < no; ++j) A[j] += buffers.by_observation[static_cast<size_t>(j)];
      for (int j = 0; j < nu; ++j) B[j] += buffers.by_action[static_cast<size_t>(j)];
    }
  }
}

std::unique_ptr<RolloutTape> Ensemble::MakeTape(int max_rows, int steps) const {
  return std::make_unique<EnsembleTape>(*this, max_rows, steps);
}

void Ensemble::Observe(std::span<const double> state, std::span<double> observation,
                       Workspace& /*workspace*/) const {
  std::ranges::copy(state, observation.begin());
}

void Ensemble::PredictTarget(int member, int rows, const double* observation, const double* action,
                             double* mean, double* deviation, Workspace& workspace) const {
  auto& buffers = static_cast<Buffers&>(workspace);
  const size_t targets = buffers.noise.size();
  auto [output, stride] = PredictNormalised(member, rows, observation, action, buffers);
  const float* network_deviation = buffers.network_deviation.data();
  for (int row = 0; row < rows; ++row, output += stride) {
    for (size_t i = 0; i < targets; ++i) {
      *mean++ = target_normaliser_.mean[i] + target_normaliser_.scale[i] * output[i];
      *deviation++ = target_normaliser_.scale[i] * *network_deviation++;
    }
  }
}

Prediction Ensemble::PredictNormalised(int member, int rows, const double* observation,
                                       const double* action, Buffers& buffers) const {
  features_.Inputs(rows, observation, action, input_normaliser_, buffers.input.data());
  const Prediction prediction =
      prediction_kernel_.Predict(mlp_, packed(member), rows, buffers.input.data(), buffers.work);
  const int targets = features_.targets();
  float* deviation = buffers.network_deviation.data();
  if (predicts_noise()) {
    prediction_kernel_.Deviation(rows, targets, prediction.y + targets, prediction.stride,
                                 bounds(member), deviation);
  } else if (has_constant_noise()) {
    ConstantDeviations(member, {deviation, static_cast<size_t>(targets)});
    for (int row = 1; row < rows; ++row) {
      std::copy_n(deviation, targets, deviation + row * targets);
    }
  }
  return prediction;
}

// The places are whole decks of the members, enough for all particles; place k is member k mod B.
int Ensemble::MemberOf(const StepBatch& batch) const {
  const int decks = (batch.particles + members() - 1) / members();
  const int places = std::min(decks, kMaxPlaces / members()) * members();
  int place = batch.particle % places;
  if (options_.propagation == Propagation::kTs1) {
    // TS1: the places are dealt out anew at each step, in the same way for all candidates.
    std::array<int, kMaxPlaces> order;
    const std::span<int> dealt(order.data(), static_cast<size_t>(places));
    std::iota(dealt.begin(), dealt.end(), 0);
    Random(batch.key.Fold(kMembers).Fold(static_cast<uint64_t>(batch.time))).Shuffle(dealt);
    place = dealt[static_cast<size_t>(place)];
  } else if (batch.particles % members() != 0) {
    // TS-infinity: the first particle's place is drawn for the whole evaluation, the others follow.
    place +=
        static_cast<int>(Random(batch.key.Fold(kMembers)).Below(static_cast<uint64_t>(members())));
  }
  return place % members();
}

void Ensemble::Step(const StepBatch& batch, Workspace& workspace) const {
  auto& buffers = static_cast<Buffers&>(workspace);
  if (options_.propagation == Propagation::kExpectation) {
    StepExpectation(batch, buffers);
  } else {
    StepMember(MemberOf(batch), batch, buffers);
  }
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, batch.rows * observation_dim(), batch.next_observation);
  }
}

void Ensemble::StepMember(int member, const StepBatch& batch, Buffers& buffers) const {
  auto [output, stride] = PredictNormalised(member, batch.rows, batch.state, batch.action, buffers);
  const size_t dim = buffers.noise.size();
  if (options_.probabilistic && batch.noise == nullptr) {
    // The same noise for every candidate (common random numbers): a key per particle and step.
    Random(batch.key.Fold(kNoise)
               .Fold(static_cast<uint64_t>(batch.particle))
               .Fold(static_cast<uint64_t>(batch.time)))
        .FillNormal(buffers.noise);
  }
  // x' = x + mean + scale (y + deviation noise), without x where targets are absolute; + dt rate;
  // what is known of z
  const double* mean = target_normaliser_.mean.data();
  const double* scale = target_normaliser_.scale.data();
  const double* kept = features_.kept().data();
  const double* noise = batch.noise != nullptr ? batch.noise : buffers.noise.data();
  const size_t to_next_noise = batch.noise != nullptr ? dim : 0;
  const float* deviation = buffers.network_deviation.data();
  const double* x = batch.state;
  double* next = batch.next_state;
  for (int row = 0; row < batch.rows; ++row) {
    for (size_t i = 0; i < dim; ++i) {
      next[i] =
          kept[i] * x[i] + (mean[i] + scale[i] * output[i] + deviation[i] * (scale[i] * noise[i]));
    }
    for (const auto [component, rate] : features_.integrated()) {
      next[component] += features_.dt() * x[rate];
    }
    features_.Move(x, batch.action + row * action_dim(), next);
    x += dim;
    next += dim;
    output += stride;
    deviation += dim;
    noise += to_next_noise;
  }
}

void Ensemble::StepExpectation(const StepBatch& batch, Buffers& buffers) const {
  const size_t dim = buffers.noise.size();
  const size_t count = static_cast<size_t>(batch.rows) * dim;
  std::fill_n(buffers.sum.begin(), count, 0.0);
  for (int member = 0; member < members(); ++member) {
    PredictTarget(member, batch.rows, batch.state, batch.action, buffers.mean.data(),
                  buffers.deviation.data(), buffers);
    for (size_t i = 0; i < count; ++i) buffers.sum[i] += buffers.mean[i];
  }
  for (size_t i = 0; i < count; ++i) buffers.sum[i] /= members();
  const double* action = batch.action;
  for (size_t i = 0; i < count; i += dim, action += action_dim()) {
    features_.Apply(batch.state + i, action, buffers.sum.data() + i, batch.next_state + i);
  }
}

void Ensemble::Save(TensorFile& file) const {
  if (const std::string kind = KindOf(options_); !kind.empty()) file.metadata[kNetworks] = kind;
  file.tensors["model.parameters"] = {{members(), member_parameters()}, parameters_};
  input_normaliser_.Save("model.input", file);
  target_normaliser_.Save("model.target", file);
}

void Ensemble::Restore(const TensorFile& file) {
  CheckKind(file, KindOf(options_));
  const std::array<int64_t, 2> shape = {members(), member_parameters()};
  std::vector<float> parameters = file.Floats("model.parameters", shape);
  CheckFinite(file, "model.parameters");
  Normaliser input = input_normaliser_;
  Normaliser target = target_normaliser_;
  input.Restore("model.input", file);
  target.Restore("model.target", file);
  Replace(std::move(parameters), std::move(input), std::move(target));
}

}  // namespace foreplan
