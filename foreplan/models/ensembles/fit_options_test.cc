#include "foreplan/models/ensembles/fit_options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>

#include "foreplan/models/ensembles/testing/ensemble_fits.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"

namespace foreplan {
namespace {

TEST(FitOptions, RatesFallToTheirLastShareAlongHalfACosine) {
  FitOptions fit;
  for (const int step : {1, 2, 99, 100}) EXPECT_EQ(fit.RateShareAt(step, 100), 1);
  fit.final_rate_share = 0.2;
  EXPECT_EQ(fit.RateShareAt(1, 100), 1);
  EXPECT_NEAR(fit.RateShareAt(26, 100), 0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2, 1e-12);
  EXPECT_NEAR(fit.RateShareAt(51, 100), 0.6, 1e-12);
  EXPECT_NEAR(fit.RateShareAt(100, 100), 0.2, 1e-3);
}

TEST(FitOptions, AStepAtAShareOfTheRatesIsOneAtThatMuch) {
  EnsembleOptions options = testing::SmallOptions();
  options.noise = MemberNoise::kConstant;
  const Dataset data = testing::ToyData(16, 1);
  const auto executor = std::make_shared<SerialExecutor>();
  const auto ensemble = std::make_shared<const Ensemble>(testing::ToySpec(), testing::kToyEncoding,
                                                         options, Key{1, 1});
  FitOptions fit = testing::QuickFit(2);
  fit.batch = 16;  // all rows in every step
  fit.bootstrap = false;
  fit.weight_decay = {0.5};
  for (const bool decoupled : {false, true}) {
    fit.decoupled_decay = decoupled;
    FitOptions falling = fit;
    falling.final_rate_share = 0;  // 1, then 1 / 2
    EnsembleTrainer at_once(ensemble, falling, executor);
    at_once.Fit(data, Key{1, 2});

    FitOptions one = fit;
    one.min_steps = one.max_steps = 1;
    EnsembleTrainer first(ensemble, one, executor);
    first.Fit(data, Key{1, 2});
    one.learning_rate /= 2;
    one.noise_learning_rate /= 2;
    EnsembleTrainer second(first.ensemble(), one, executor);
    TensorFile moments;
    first.Save(moments);
    second.Restore(moments);
    second.Fit(data, Key{1, 2});
    const auto found = std::as_const(*at_once.ensemble()).parameters(0);
    const auto expected = std::as_const(*second.ensemble()).parameters(0);
    for (size_t i = 0; i < found.size(); ++i) {
      // Rows are summed in another order: 1e-6 of the gradient, and Adam divides by its size.
      EXPECT_NEAR(found[i], expected[i], 2e-5F);
    }
  }
}

}  // namespace
}  // namespace foreplan
