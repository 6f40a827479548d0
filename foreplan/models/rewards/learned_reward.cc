#include "foreplan/models/rewards/learned_reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/member_network.h"
#include "foreplan/nets/activation.h"
#include "foreplan/nets/mlp_tape.h"
#include "foreplan/nets/mlp_widths.h"
#include "foreplan/nets/prediction_kernel.h"

namespace foreplan {
namespace {

constexpr int kBlockRows = 128;           // that are evaluated together
constexpr int kGradientRows = 64;         // that are differentiated together
constexpr int kOutputs = 3;               // y, w, q
constexpr double kDifference = 1.0 / 50;  // of the Hessian, in deviations

TransitionBatch Rows(const TransitionBatch& batch, const TransitionFeatures& features, int first,
                     int rows) {
  return {.rows = rows,
          .observation = batch.observation + Size(first, features.observation_dim()),
          .action = batch.action + Size(first, features.action_dim()),
          .next_observation = batch.next_observation + Size(first, features.observation_dim())};
}

}  // namespace

void LearnedRewardOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("members", members, {1, 64}, "networks of reward and termination");
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers per network");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
  visitor.Field("epochs", epochs, {0, 1e4}, "passes over the training rows");
  visitor.Field("min_steps", min_steps, {1, 1e7}, "fewest gradient steps of a fit");
  visitor.Field("batch", batch, {2, 65536}, "rows per gradient step and member");
  visitor.Field("learning_rate", learning_rate, {1e-8, 1}, "Adam's learning rate");
  visitor.Field("weight_decay", weight_decay, {0, 1e3}, "L2 coefficient");
}

struct LearnedReward::Workspace {
  explicit Workspace(const Design& design);

  AlignedVector<std::byte> work;  // the prediction kernel's
  std::vector<double> features;   // of a row: [inputs]
  std::vector<float> input;       // [kBlockRows x inputs]
  std::vector<uint8_t> finite;    // [kBlockRows]
  std::vector<double> outputs;    // means over members of (y, w, sigmoid(q)): [kBlockRows x 3]
  MlpTape tape;
  std::vector<float> member_outputs;  // [members x kGradientRows x kOutputs]
  std::vector<float> d_output;        // [kGradientRows x kOutputs]
  std::vector<float> d_input;         // of a member: [kGradientRows x inputs]
  std::vector<double> by_input;       // [kGradientRows x inputs]
  std::vector<double> expression_jacobian;
  std::vector<double> observation;       // z +- h e_j: [2 nz x no]
  std::vector<double> action;            // [2 nz x nu]
  std::vector<double> next_observation;  // [2 nz x no]
  std::vector<double> gradients;         // [2 nz x nz]
};

// What stays the same from fit to fit, and the workspaces that wait for calls.
struct LearnedReward::Design {
  Design(const EnvironmentSpec& spec, const Encoding& encoding, const LearnedRewardOptions& given)
      : options(Validated("model.reward", given)),
        features(spec, encoding),
        mlp(AffordableMlp(
            "model.reward", options.members,
            MlpWidths(features.inputs(), options.hidden_layers, options.width, kOutputs))),
        training_kernel(GetDenseKernel(options.kernel)),
        prediction_kernel(GetPredictionKernel(options.kernel, Precision::kF32)),
        packed_bytes(WholeCacheLines(prediction_kernel.packed_bytes(mlp))) {}

  LearnedRewardOptions options;
  TransitionFeatures features;
  Mlp mlp;
  const DenseKernel& training_kernel;
  const PredictionKernel& prediction_kernel;
  size_t packed_bytes;  // of one member, a multiple of a cache line

  std::mutex mutex;  // of what follows
  std::vector<std::unique_ptr<Workspace>> waiting;
  size_t made = 0;
};

LearnedReward::Workspace::Workspace(const Design& design)
    : work(design.prediction_kernel.work_bytes(design.mlp, kBlockRows)),
      features(Size(design.mlp.inputs())),
      input(Size(kBlockRows, design.mlp.inputs())),
      finite(Size(kBlockRows)),
      outputs(Size(kBlockRows, kOutputs)),
      tape(design.mlp, design.training_kernel, kGradientRows, design.options.members,
           MlpTape::Keep::kInputGradients),
      member_outputs(Size(design.options.members, kGradientRows, kOutputs)),
      d_output(Size(kGradientRows, kOutputs)),
      d_input(Size(kGradientRows, design.mlp.inputs())),
      by_input(d_input.size()),
      expression_jacobian(design.features.expression_jacobian_size()),
      observation(Size(2 * design.features.variables(), design.features.observation_dim())),
      action(Size(2 * design.features.variables(), design.features.action_dim())),
      next_observation(observation.size()),
      gradients(Size(2 * design.features.variables(), design.features.variables())) {}

// A workspace for the length of a call.
class LearnedReward::Borrowed {
 public:
  explicit Borrowed(Design& design) : design_(design) {
    const std::lock_guard lock(design.mutex);
    if (design.waiting.empty()) {
      design.waiting.reserve(++design.made);
      design.waiting.push_back(std::make_unique<Workspace>(design));
    }
    workspace_ = std::move(design.waiting.back());
    design.waiting.pop_back();
  }
  ~Borrowed() {
    const std::lock_guard lock(design_.mutex);
    design_.waiting.push_back(std::move(workspace_));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  [[nodiscard]] Workspace& operator*() const { return *workspace_; }

 private:
  Design& design_;
  std::unique_ptr<Workspace> workspace_;
};

LearnedReward::LearnedReward(const EnvironmentSpec& spec, const Encoding& encoding,
                             const LearnedRewardOptions& options, Key key)
    : design_(std::make_shared<Design>(spec, encoding, options)),
      fitted_{.parameters = std::vector<float>(Size(options.members, mlp().parameters())),
              .input = Normaliser(mlp().inputs()),
              .reward = Normaliser(2)} {
  for (int member = 0; member < options.members; ++member) {
    mlp().Initialise(key.Fold(static_cast<uint64_t>(member)),
                     std::span(fitted_.parameters)
                         .subspan(Size(member, mlp().parameters()), Size(mlp().parameters())));
  }
}

const LearnedRewardOptions& LearnedReward::options() const { return design_->options; }
const TransitionFeatures& LearnedReward::features() const { return design_->features; }
std::optional<TransitionSizes> LearnedReward::sizes() const {
  return TransitionSizes{features().observation_dim(), features().action_dim()};
}
const Mlp& LearnedReward::mlp() const { return design_->mlp; }
const DenseKernel& LearnedReward::training_kernel() const { return design_->training_kernel; }

std::span<const float> LearnedReward::parameters(int member) const {
  return std::span(fitted_.parameters)
      .subspan(Size(member, mlp().parameters()), Size(mlp().parameters()));
}

std::shared_ptr<const LearnedReward> LearnedReward::With(Fitted fitted) const {
  auto next = std::make_shared<LearnedReward>(*this);
  next->fitted_ = std::move(fitted);
  next->is_fitted_ = true;
  next->Prepare();
  return next;
}

void LearnedReward::Prepare() {
  const size_t bytes = design_->packed_bytes;
  packed_.resize(Size(options().members) * bytes);
  for (int member = 0; member < options().members; ++member) {
    design_->prediction_kernel.Pack(mlp(), parameters(member),
                                    std::span(packed_).subspan(Size(member) * bytes, bytes));
  }
  difference_ = features().Deviations(fitted_.input.scale);
  for (double& h : difference_) h *= kDifference;
}

void LearnedReward::FillInputs(const TransitionBatch& batch, Workspace& workspace) const {
  const TransitionFeatures& features = design_->features;
  const size_t no = Size(features.observation_dim());
  const size_t nu = Size(features.action_dim());
  for (int row = 0; row < batch.rows; ++row) {
    const double* observation = batch.observation + Size(row) * no;
    const double* action = batch.action + Size(row) * nu;
    const double* next = batch.next_observation + Size(row) * no;
    float* input = &workspace.input[Size(row, mlp().inputs())];
    const bool finite = AllFinite(std::span(observation, no)) && AllFinite(std::span(action, nu)) &&
                        AllFinite(std::span(next, no));
    workspace.finite[Size(row)] = finite ? 1 : 0;
    if (finite) {
      features.Input(observation, action, next, workspace.features.data());
      fitted_.input.Apply(workspace.features.data(), input);
    } else {
      std::fill_n(input, mlp().inputs(), 0.0F);
    }
  }
}

void LearnedReward::AddOutputs(int rows, const float* y, int stride, Workspace& workspace) const {
  double* sum = workspace.outputs.data();
  for (int row = 0; row < rows; ++row, y += stride, sum += kOutputs) {
    sum[0] += y[0];
    sum[1] += y[1];
    if (fitted_.ends_episodes) sum[2] += Sigmoid(y[2]);
  }
}

LearnedReward::Expected LearnedReward::ExpectedOf(int row, const Workspace& workspace) const {
  const double* sum = &workspace.outputs[Size(row, kOutputs)];
  const int members = options().members;
  const Normaliser& reward = fitted_.reward;
  return {.continued = reward.mean[0] + reward.scale[0] / members * sum[0],
          .terminated = reward.mean[1] + reward.scale[1] / members * sum[1],
          .probability = sum[2] / members};
}

void LearnedReward::EvaluateBlock(const TransitionBatch& batch, double* reward, uint8_t* terminated,
                                  Workspace& workspace) const {
  FillInputs(batch, workspace);
  std::ranges::fill(workspace.outputs, 0.0);
  const int members = is_fitted_ ? options().members : 0;
  const size_t bytes = design_->packed_bytes;
  for (int member = 0; member < members; ++member) {
    const Prediction predicted = design_->prediction_kernel.Predict(
        mlp(), std::span(packed_).subspan(Size(member) * bytes, bytes), batch.rows,
        workspace.input.data(), workspace.work);
    AddOutputs(batch.rows, predicted.y, predicted.stride, workspace);
  }
  for (int row = 0; row < batch.rows; ++row) {
    const Expected expected = ExpectedOf(row, workspace);
    const bool finite = workspace.finite[Size(row)] != 0;
    reward[row] = finite ? expected.reward() : std::numeric_limits<double>::quiet_NaN();
    terminated[row] = finite && expected.probability > 0.5 ? 1 : 0;
  }
}

void LearnedReward::Evaluate(const TransitionBatch& batch, double* reward,
                             uint8_t* terminated) const {
  const Borrowed workspace(*design_);
  for (int first = 0; first < batch.rows; first += kBlockRows) {
    const int rows = std::min(kBlockRows, batch.rows - first);
    EvaluateBlock(Rows(batch, features(), first, rows), reward + first, terminated + first,
                  *workspace);
  }
}

// dr/dinput = 1/K sum_k ((1 - p) s_c dy_k + p s_t dw_k + (r_t - r_c) sigmoid'(q_k) dq_k) / dinput.
void LearnedReward::GradientOfBlock(const TransitionBatch& batch, double* gradient,
                                    Workspace& workspace) const {
  FillInputs(batch, workspace);
  const size_t inputs = Size(mlp().inputs());
  const size_t numbers = Size(batch.rows) * inputs;
  std::fill_n(workspace.by_input.begin(), numbers, 0.0);
  std::ranges::fill(workspace.outputs, 0.0);
  const int members = options().members;
  for (int member = 0; member < members; ++member) {
    float* y = &workspace.member_outputs[Size(member, kGradientRows, kOutputs)];
    std::copy_n(
        workspace.tape.Forward(parameters(member), member, batch.rows, workspace.input.data()),
        Size(batch.rows, kOutputs), y);
    AddOutputs(batch.rows, y, kOutputs, workspace);
  }
  for (int member = 0; member < members; ++member) {
    const float* y = &workspace.member_outputs[Size(member, kGradientRows, kOutputs)];
    float* d_y = workspace.d_output.data();
    for (int row = 0; row < batch.rows; ++row, y += kOutputs, d_y += kOutputs) {
      const Expected expected = ExpectedOf(row, workspace);
      const double s = Sigmoid(y[2]);
      d_y[0] = static_cast<float>((1 - expected.probability) * fitted_.reward.scale[0]);
      d_y[1] = static_cast<float>(expected.probability * fitted_.reward.scale[1]);
      d_y[2] = fitted_.ends_episodes
                   ? static_cast<float>((expected.terminated - expected.continued) * s * (1 - s))
                   : 0.0F;
    }
    workspace.tape.PullBack(parameters(member), member, workspace.d_output.data(),
                            workspace.d_input.data());
    for (size_t i = 0; i < numbers; ++i) workspace.by_input[i] += workspace.d_input[i] / members;
  }
  const size_t no = Size(features().observation_dim());
  const size_t nz = Size(features().variables());
  for (int row = 0; row < batch.rows; ++row) {
    double* of_row = gradient + Size(row) * nz;
    double* by_input = &workspace.by_input[Size(row) * inputs];
    for (size_t i = 0; i < inputs; ++i) by_input[i] /= fitted_.input.scale[i];
    features().PullBack(batch.observation + Size(row) * no,
                        batch.action + Size(row, features().action_dim()),
                        batch.next_observation + Size(row) * no, by_input, of_row,
                        workspace.expression_jacobian.data());
    if (workspace.finite[Size(row)] == 0) {
      std::fill_n(of_row, nz, std::numeric_limits<double>::quiet_NaN());
    }
  }
}

void LearnedReward::GradientOf(const TransitionBatch& batch, double* gradient,
                               Workspace& workspace) const {
  for (int first = 0; first < batch.rows; first += kGradientRows) {
    const int rows = std::min(kGradientRows, batch.rows - first);
    GradientOfBlock(Rows(batch, features(), first, rows),
                    gradient + Size(first, features().variables()), workspace);
  }
}

void LearnedReward::Gradient(const TransitionBatch& batch, double* gradient) const {
  if (!is_fitted_) {
    std::fill_n(gradient, Size(batch.rows, features().variables()), 0.0);
    return;
  }
  const Borrowed workspace(*design_);
  GradientOf(batch, gradient, *workspace);
}

double LearnedReward::Expand(const double* observation, const double* action,
                             const double* next_observation, double* gradient,
                             double* hessian) const {
  const TransitionBatch transition{.rows = 1,
                                   .observation = observation,
                                   .action = action,
                                   .next_observation = next_observation};
  double reward = 0;
  uint8_t terminated = 0;
  Evaluate(transition, &reward, &terminated);
  Gradient(transition, gradient);
  const size_t nz = Size(features().variables());
  if (!is_fitted_) {
    std::fill_n(hessian, nz * nz, 0.0);
    return reward;
  }
  const Borrowed borrowed(*design_);
  Workspace& workspace = *borrowed;
  FillNeighbours(transition, workspace);
  GradientOf({.rows = static_cast<int>(2 * nz),
              .observation = workspace.observation.data(),
              .action = workspace.action.data(),
              .next_observation = workspace.next_observation.data()},
             workspace.gradients.data(), workspace);
  // D_ij = (g_i(z + h_j e_j) - g_i(z - h_j e_j)) / (2 h_j), H = (D + D') / 2
  const auto D = [&](size_t i, size_t j) {
    const double* up = &workspace.gradients[2 * j * nz];
    return (up[i] - up[nz + i]) / (2 * difference_[j]);
  };
  for (size_t i = 0; i < nz; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      hessian[i * nz + j] = hessian[j * nz + i] = 0.5 * (D(i, j) + D(j, i));
    }
  }
  return reward;
}

// Rows z + h_j e_j, z - h_j e_j, j = 0 ... nz - 1.
void LearnedReward::FillNeighbours(const TransitionBatch& transition, Workspace& workspace) const {
  const size_t no = Size(features().observation_dim());
  const size_t nu = Size(features().action_dim());
  const size_t nz = 2 * no + nu;
  for (size_t row = 0; row < 2 * nz; ++row) {
    double* observation = &workspace.observation[row * no];
    double* action = &workspace.action[row * nu];
    double* next = &workspace.next_observation[row * no];
    std::copy_n(transition.observation, no, observation);
    std::copy_n(transition.action, nu, action);
    std::copy_n(transition.next_observation, no, next);
    const size_t j = row / 2;
    const double h = row % 2 == 0 ? difference_[j] : -difference_[j];
    (j < no ? observation[j] : j < no + nu ? action[j - no] : next[j - no - nu]) += h;
  }
}

void LearnedReward::Save(TensorFile& file) const {
  file.tensors["reward.parameters"] = {{options().members, mlp().parameters()}, fitted_.parameters};
  fitted_.input.Save("reward.input", file);
  fitted_.reward.Save("reward.output", file);
  file.tensors["reward.state"] = {
      {2}, std::vector<int32_t>{is_fitted_ ? 1 : 0, fitted_.ends_episodes ? 1 : 0}};
}

std::shared_ptr<const LearnedReward> LearnedReward::Restored(const TensorFile& file) const {
  if (!file.tensors.contains("reward.parameters")) {
    throw InputError(
        fmt::format("{}: found a model without a learned reward, expected one with it, as the "
                    "task's planning reward is learned",
                    file.source));
  }
  const std::array<int64_t, 2> shape = {options().members, mlp().parameters()};
  const std::array<int64_t, 1> two = {2};
  Fitted fitted{.parameters = file.Floats("reward.parameters", shape),
                .input = Normaliser(mlp().inputs()),
                .reward = Normaliser(2)};
  CheckFinite(file, "reward.parameters");
  fitted.input.Restore("reward.input", file);
  fitted.reward.Restore("reward.output", file);
  const std::vector<int32_t>& state = file.Ints("reward.state", two);
  CheckFlags(file, "reward.state");
  fitted.ends_episodes = state[1] != 0;
  if (state[0] != 0) return With(std::move(fitted));
  auto fresh = std::make_shared<LearnedReward>(*this);
  fresh->fitted_ = std::move(fitted);
  fresh->is_fitted_ = false;
  return fresh;
}

}  // namespace foreplan
