// What stands between two products of a network: bias, activation, where asked for the norm of a
// row, and gradients back through them.
#pragma once

#include "foreplan/nets/mlp.h"

namespace foreplan {

/// What the gradient through a hidden layer needs of its forward pass.
struct HiddenLayerSlopes {
  float* slope = nullptr;              // a'(z): [rows x columns]
  float* inverse_deviation = nullptr;  // 1 / sqrt(var + epsilon): [rows]; null without the norm
};

/// y = a(y + bias), and each row of that normed where the options say so. y: [rows x columns],
/// bias: [columns].
void ActivateHidden(const MlpOptions& options, int rows, int columns, const float* bias, float* y);

/// The same, and what PullBackHidden needs.
void ActivateHidden(const MlpOptions& options, int rows, int columns, const float* bias, float* y,
                    const HiddenLayerSlopes& slopes);

/// In place: from gradients by what a hidden layer gave, y, to those by its sums z. A row of y has
/// `copies` rows of d. y: [rows x columns], d: [rows x copies x columns].
void PullBackHidden(const MlpOptions& options, int rows, int copies, int columns, const float* y,
                    const HiddenLayerSlopes& slopes, float* d);

}  // namespace foreplan
