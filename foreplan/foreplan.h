// Start here: everything a program needs, in the order the data walk through the library.
//
//   Task          what is controlled and what is wanted of it  foreplan/systems/task.h
//   Recording     logged data of others                        foreplan/data/recording.h
//   LearnedModel  networks or physics, fitted to data          foreplan/models/learned_model.h
//   Calibration   how far such a model can be trusted          foreplan/models/calibration.h
//   Planner       chooses actions by imagining a model         foreplan/planners/planner.h
//   Learner       the loop that acts, learns and plans         foreplan/learners/learner.h
//   RunSession    a learner, its log and its folder            foreplan/experiments/run_session.h
//
// What a program may bring of its own, each with an example in examples/extending:
//
//   Environment   what acts in the world                       foreplan/systems/environment.h
//   Reward        what a step is worth                         foreplan/systems/rewards/reward.h
//   Dynamics      what predicts                                foreplan/models/dynamics.h
//   Planner       what chooses a plan                          foreplan/planners/sampling_planner.h
//   Policy        what acts                                    foreplan/policies/policy.h
//   Learner       another loop                                 foreplan/learners/episode_learner.h
//   RunObserver   what looks on                                foreplan/learners/run_observer.h
#pragma once

#include "foreplan/control/episode.h"                          // IWYU pragma: export
#include "foreplan/control/mpc_controller.h"                   // IWYU pragma: export
#include "foreplan/core/config.h"                              // IWYU pragma: export
#include "foreplan/core/error.h"                               // IWYU pragma: export
#include "foreplan/core/executor.h"                            // IWYU pragma: export
#include "foreplan/core/options.h"                             // IWYU pragma: export
#include "foreplan/core/random.h"                              // IWYU pragma: export
#include "foreplan/core/thread_pool.h"                         // IWYU pragma: export
#include "foreplan/critics/critic_value.h"                     // IWYU pragma: export
#include "foreplan/data/dataset.h"                             // IWYU pragma: export
#include "foreplan/data/recording.h"                           // IWYU pragma: export
#include "foreplan/experiments/evaluation.h"                   // IWYU pragma: export
#include "foreplan/experiments/run_session.h"                  // IWYU pragma: export
#include "foreplan/learners/actor_critic.h"                    // IWYU pragma: export
#include "foreplan/learners/episode_learner.h"                 // IWYU pragma: export
#include "foreplan/learners/learner.h"                         // IWYU pragma: export
#include "foreplan/learners/log_observer.h"                    // IWYU pragma: export
#include "foreplan/learners/model_learner.h"                   // IWYU pragma: export
#include "foreplan/learners/run_observer.h"                    // IWYU pragma: export
#include "foreplan/models/calibration.h"                       // IWYU pragma: export
#include "foreplan/models/dynamics.h"                          // IWYU pragma: export
#include "foreplan/models/ensembles/ensemble.h"                // IWYU pragma: export
#include "foreplan/models/ensembles/ensemble_trainer.h"        // IWYU pragma: export
#include "foreplan/models/learned_model.h"                     // IWYU pragma: export
#include "foreplan/models/physics/physics_fit.h"               // IWYU pragma: export
#include "foreplan/models/physics/physics_model.h"             // IWYU pragma: export
#include "foreplan/models/true_dynamics.h"                     // IWYU pragma: export
#include "foreplan/planners/ilqr_planner.h"                    // IWYU pragma: export
#include "foreplan/planners/planner.h"                         // IWYU pragma: export
#include "foreplan/planners/planner_registry.h"                // IWYU pragma: export
#include "foreplan/planners/sampling_planner.h"                // IWYU pragma: export
#include "foreplan/policies/linear_gaussian.h"                 // IWYU pragma: export
#include "foreplan/policies/policy.h"                          // IWYU pragma: export
#include "foreplan/policies/squashed_gaussian.h"               // IWYU pragma: export
#include "foreplan/runs/run_log.h"                             // IWYU pragma: export
#include "foreplan/systems/closed_form/closed_form_factory.h"  // IWYU pragma: export
#include "foreplan/systems/environment.h"                      // IWYU pragma: export
#include "foreplan/systems/rewards/reward.h"                   // IWYU pragma: export
#include "foreplan/systems/system.h"                           // IWYU pragma: export
#include "foreplan/systems/system_types.h"                     // IWYU pragma: export
#include "foreplan/systems/task.h"                             // IWYU pragma: export
#include "foreplan/trajopt/augmented_lagrangian.h"             // IWYU pragma: export
#include "foreplan/trajopt/lqr.h"                              // IWYU pragma: export
