// What replanning buys: measured with one learned model and many ways to plan through it.
#pragma once

#include <stop_token>

#include "foreplan/experiments/comparison/cell.h"

namespace foreplan {

/// "The more we replan the less perfect each plan needs to be": a row per steps between plans,
/// horizon and candidates of the planner, {replan_every, horizon, population, final_return,
/// ms_per_step}, with what `learned` has learned. Rows differ in nothing else: at every plan the
/// planner goes on from what is left of its last one. A plan that is executed for longer than its
/// horizon is made by imagined model-predictive control (ImaginedMpc), and nothing of it is left.
/// `population` is that of the task's planner icem.
Finding MeasureReplanning(const Comparison& comparison, const Cell& learned, int seed,
                          const std::stop_token& stop);

/// Who exploits errors of the model: a row per planner, {planner, final_return, imagined_return,
/// realised_return, ms_per_decision}, replanned at every step. Sampling planners
/// imagine as many sequences per decision.
Finding MeasurePlanners(const Comparison& comparison, const Cell& learned, int seed,
                        const std::stop_token& stop);

/// The lecture's car: its model believes that it drifts to the left by `drift` degrees, and the
/// plan steers against it. {drift, replan_every, steps_on_road, largest_offset, final_return}, a
/// row per drift and replanning period, one episode of the task lane_keeping each.
Finding MeasureDriftingCar(int seed, int threads, const std::stop_token& stop);

}  // namespace foreplan
