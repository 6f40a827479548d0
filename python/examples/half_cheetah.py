"""Gymnasium's own HalfCheetah-v5, planned for through a learned model; its reward is what it pays, learned beside the model.

    python half_cheetah.py --steps 10000 --seed 0

Prints a line of JSON with the return of every episode. Needs gymnasium[mujoco].
"""

from __future__ import annotations

import argparse
import json
import time

import foreplan
import gymnasium


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    # Settings of the shipped task pets_half_cheetah; o1 is the pitch.
    agent = foreplan.PETS(
        gymnasium.make("HalfCheetah-v5"), seed=given.seed, threads=given.threads, encoding={"sin_cos": ["o1"]},
        model={"width": 200, "hidden_layers": 4}, fit={"min_steps": 500, "max_steps": 2000, "nll_beta": 0.5},
        mpc={"refit_every": 250},
        options={"planner.icem.horizon": 30, "planner.icem.population": 128, "planner.icem.sigma0": 0.5,
                 "planner.icem.noise_beta": 0.25})
    for episode in agent.learn(given.steps).run.episodes:
        print(f"episode {episode.episode}: {episode.episode_return:.1f}")
    print(json.dumps({"seed": given.seed, "steps": given.steps, "seconds": round(time.monotonic() - began, 1),
                      "returns": [round(value, 2) for value in agent.run.returns.tolist()]}))


if __name__ == "__main__":
    main()
