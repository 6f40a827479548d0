// Physics with a few unknown parameters, identified from recorded transitions.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/fit_control.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// A number of a system that is not known.
struct Unknown {
  std::string name;
  double start = 0;  // the guess
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  double prior_mean = 0;
  double prior_deviation = std::numeric_limits<double>::infinity();  // infinite: no prior
};

/// Throws InputError, which starts with `where`, for bounds and priors that make no sense.
void CheckUnknown(const std::string& where, const Unknown& unknown);

enum class NoiseModel {
  kProcess,      // next observations differ from the prediction from the one before
  kMeasurement,  // every observation is noisy; the start of each stretch is unknown, too
};

struct PhysicsFitOptions {
  NoiseModel noise = NoiseModel::kProcess;
  int stretch = 20;          // steps predicted from each start under measurement noise
  int max_iterations = 400;  // of Levenberg-Marquardt, from each guess
  double tolerance = 1e-3;   // converged: no full step is longer [standard errors]
  int guesses = 8;           // beside the given one, where that ends badly
  /// Directions of relative change known no better than this are reported as not identifiable.
  double identifiable_below = 0.5;

  void Visit(OptionsVisitor& visitor);
};

enum class PhysicsFitStatus {
  kConverged,       // a minimum: the full Gauss-Newton step is shorter than the tolerance
  kIterationLimit,  // none yet
  kNoDescent,       // no step lowers the cost, though a long one should
  kUnexplained,     // the noise is above twice the data's spread: the equations explain nothing
};
std::string_view Name(PhysicsFitStatus status);

struct PhysicsFit {
  PhysicsFitStatus status = PhysicsFitStatus::kConverged;
  std::string failure;                  // what is wrong, in words; empty: nothing
  int guesses = 1;                      // that were tried
  int iterations = 0;                   // from all of them
  std::vector<double> values;           // of the unknowns
  std::vector<double> standard_errors;  // infinite where data and priors leave the value open
  Eigen::MatrixXd covariance;           // of the values, over the directions that are known
  /// Values that are as likely: values + draw * N(0, I), over the directions that are known.
  Eigen::MatrixXd draw;        // [p x directions]
  std::vector<double> noise;   // standard deviation per observation component
  std::vector<double> spread;  // of the data, likewise
  std::vector<bool> at_bound;  // the value was stopped by low or high
  /// Combinations of unknowns that change together without the data minding, e.g.
  /// "cart_mass -0.31, pole_mass +0.65, pole_center -0.65 (relative changes)"; empty: none.
  std::vector<std::string> unidentifiable;
  /// 1/2 sum of squares at the beginning and after every step taken, from the guess that won; one
  /// list for each estimate of the noise.
  std::vector<std::vector<double>> costs;
};

/// Least squares by Levenberg-Marquardt (Levenberg 1944; Marquardt 1963), derivatives by
/// differences of the prediction, residuals weighted by the noise of their component, which is
/// estimated with the parameters:
///   process noise      sum over rows |o'_t - f(o_t, u_t)|^2 / s^2
///   measurement noise  sum over stretches |o_t - x_t|^2 / s^2 with x_{t+1} = f(x_t, u_t)
/// plus |value - prior mean|^2 / prior deviation^2. The x_0 of a stretch is unknown and eliminated
/// by a Schur complement. Standard errors are those of the Fisher information J'J (Cramer-Rao);
/// what its smallest eigenvalues, in relative changes of the unknowns, leave open is named.
///
/// Where the given guess ends without convergence, or leaves a component's noise above 0.3 of what
/// no equations at all would leave (its spread; under process noise that of its changes), others
/// are tried, drawn by `key` within a factor e^3 and the bounds; the likeliest end is the fit.
///
/// The systems' states must begin with what is observed; the rest of a state starts as zeros.
/// Throws InputError for wrong options and unknowns, data that are too few, not finite or of
/// another size; RunError when no guess can predict the data; Interrupted when asked to stop, which
/// is looked at in every iteration. The share of the work is that of the iterations it may take.
PhysicsFit FitPhysics(const SystemFamily& family, std::span<const Unknown> unknowns,
                      const Dataset& data, const PhysicsFitOptions& options = {}, Key key = {},
                      const FitControl& control = {});

}  // namespace foreplan
