// Losses of dynamics networks and their gradients.
#pragma once

namespace foreplan {

/// Mean over rows and dimensions of (mean - target)^2.
/// mean, target, d_mean: [rows x dim]; returns the loss, writes its gradient.
double SquaredError(int rows, int dim, const float* mean, const float* target, float* d_mean);

/// Softly bounded log-variance, per dimension (Chua et al. 2018, appendix A.1):
/// lv1 = max - softplus(max - raw), lv = min + softplus(lv1 - min).
struct LogVarianceBounds {
  const float* max = nullptr;  // [dim]
  const float* min = nullptr;  // [dim]
};

/// Gaussian negative log-likelihood without constants: mean over rows and dimensions of
/// (mean - target)^2 exp(-lv) + lv, plus penalty * sum(max - min).
/// output: [rows x 2 dim], per row means then raw log-variances; target: [rows x dim];
/// writes d_output: [rows x 2 dim], d_max, d_min: [dim]; returns the loss without the penalty.
///
/// beta > 0: d_output of each row and dimension is multiplied by its variance^beta, as if that were
/// a constant (Seitzer et al. 2022); the bounds keep the gradient of the likelihood. The likelihood
/// divides errors by the variance, so that what is predicted badly counts little and stays so; with
/// beta = 1 the mean learns as by least squares.
double GaussianNll(int rows, int dim, const float* output, const float* target,
                   LogVarianceBounds bounds, double penalty, double beta, float* d_output,
                   float* d_max, float* d_min);

/// The same without bounds, of log-variances lv that are the same for all rows, [dim]: writes
/// d_mean: [rows x dim], d_log_variance: [dim]. beta > 0 weighs d_mean alone.
double ConstantNoiseNll(int rows, int dim, const float* mean, const float* target,
                        const float* log_variance, double beta, float* d_mean,
                        float* d_log_variance);

/// Standard deviations exp(lv / 2) of the bounded log-variances, without logarithms:
/// exp(lv) = e^min + e^max / (1 + e^(max - raw)).
/// raw: rows of `stride` floats; deviation: [rows x dim].
void BoundedDeviation(int rows, int dim, const float* raw, int stride, LogVarianceBounds bounds,
                      float* deviation);

}  // namespace foreplan
