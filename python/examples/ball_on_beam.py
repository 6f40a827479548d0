"""An environment of one's own, learned: a ball on a beam that must not fall off.

    python ball_on_beam.py --steps 2000 --seed 0 --planner icem

Prints a line of JSON: the returns of every episode, and of 20 fresh starts with what was learned, with random and zero
actions and with a controller made by hand.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import foreplan
import gymnasium
import numpy as np

Box = gymnasium.spaces.Box


class BallOnBeam(gymnasium.Env):
    """A ball rolls on a beam that a motor tilts, x'' = 5/7 (x a'^2 - g sin a), a'' = 10 u - 2 a', and is paid for being
    near a goal that is another one in every episode. It has fallen beyond 0.5 m, and episodes end after 6 s."""

    dt = 0.05  # [s]
    steps_of_an_episode = 120
    half_length = 0.5  # [m]

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Dict({
            "ball": Box(-np.inf, np.inf, (2,), np.float64),  # place [m], speed [m/s]
            "beam": Box(-np.inf, np.inf, (2, 1), np.float64),  # angle [rad], rate [rad/s]
            "goal": Box(-0.3, 0.3, (1,), np.float32)})  # [m]
        self.action_space = Box(-0.4, 0.4, (1,), np.float32)  # of the motor [Nm]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.goal = float(self.np_random.uniform(-0.3, 0.3))
        self.state = np.concatenate([self.np_random.uniform(-0.2, 0.2, 1), self.np_random.normal(0, 0.05, 3)])
        self.steps = 0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        x, v, a, w = self.state
        u = float(action[0])
        h = self.dt / 5
        for _ in range(5):
            w += h * (10 * u - 2 * w)
            a += h * w
            v += h * 5 / 7 * (x * w * w - 9.81 * np.sin(a))
            x += h * v
        self.state = np.array([x, v, a, w])
        self.steps += 1
        reward = float(np.exp(-((x - self.goal) / 0.1) ** 2) - 0.1 * u * u)
        return self.observe(), reward, bool(abs(x) > self.half_length), self.steps >= self.steps_of_an_episode, {}

    def observe(self) -> dict[str, Any]:
        return {"ball": self.state[:2].copy(), "beam": self.state[2:, None].copy(),
                "goal": np.array([self.goal], np.float32)}


def by_hand(observation: dict[str, Any]) -> Any:
    """Tilts against place and speed, and drives the beam to that angle."""
    x, v = observation["ball"]
    a, w = observation["beam"][:, 0]
    angle = np.clip(0.5 * (x - observation["goal"][0]) + 0.45 * v, -0.35, 0.35)
    return np.clip([2.0 * (angle - a) - 0.35 * w], -0.4, 0.4).astype(np.float32)


def returns(act: Callable[[dict[str, Any]], Any], episodes: int = 20, seed: int = 1000) -> list[float]:
    """Of fresh starts, one seed each."""
    environment = BallOnBeam()
    found = []
    for episode in range(episodes):
        observation, _ = environment.reset(seed=seed + episode)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = environment.step(act(observation))
            total, over = total + reward, terminated or truncated
        found.append(total)
    return found


def learned(steps: int, seed: int, **arguments: Any) -> foreplan.PETS:
    """Rewards and falls as the environment has them, learned beside the model."""
    return foreplan.PETS(BallOnBeam(), episode_length=BallOnBeam.steps_of_an_episode, seed=seed, **arguments).learn(steps)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planner", default="icem")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    agent = learned(given.steps, given.seed, planner=given.planner, threads=given.threads)
    seconds = time.monotonic() - began
    random = np.random.default_rng(0)
    print(json.dumps({
        "seed": given.seed, "steps": given.steps, "planner": given.planner, "seconds_of_learning": round(seconds, 1),
        "episodes": [round(value, 2) for value in agent.run.returns.tolist()],
        "learned": [round(value, 2) for value in agent.evaluate(20, seed=1)["returns"].tolist()],
        "random": [round(value, 2) for value in returns(lambda _: random.uniform(-0.4, 0.4, 1).astype(np.float32))],
        "zero": [round(value, 2) for value in returns(lambda _: np.zeros(1, np.float32))],
        "by_hand": [round(value, 2) for value in returns(by_hand)]}))


if __name__ == "__main__":
    main()
