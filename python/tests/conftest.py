"""What tests share: environments that nobody has seen, and small settings."""

import signal

import gymnasium
import numpy as np
import pytest

import foreplan

# A shell's background jobs ignore Ctrl-C, and Python leaves that as it finds it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SMALL = {"model": {"width": 16, "members": 2}, "fit": {"min_steps": 40, "max_steps": 40},
         "options": {"planner.icem.horizon": 6, "planner.icem.population": 16, "planner.icem.elites": 4, "planner.icem.particles": 2}}


class Sled(gymnasium.Env):
    """x'' = u on a line, paid for being at 1 m; ends beyond 3 m. Own spaces: a Dict, actions of another shape."""

    dt = 0.1

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Dict({
            "place": gymnasium.spaces.Box(-5, 5, (1,), np.float64),
            "motion": gymnasium.spaces.Box(-9, 9, (1, 1), np.float32)})
        self.action_space = gymnasium.spaces.Box(-2, 2, (1, 1), np.float32)
        self.seen_actions: list[np.ndarray] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-0.5, 0.5), 0.0
        return self._observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.seen_actions.append(np.array(action))
        self.v += self.dt * float(action[0, 0])
        self.x += self.dt * self.v
        return self._observe(), -(self.x - 1) ** 2, abs(self.x) > 3, False, {}

    def _observe(self):
        return {"place": np.array([self.x]), "motion": np.array([[self.v]], np.float32)}


@pytest.fixture
def sled():
    return Sled()


@pytest.fixture
def sled_task(sled):
    return foreplan.Task(sled, episode_length=20, reward="-(place - 1)^2", **SMALL)


def sled_rows(count: int, seed: int = 0):
    """Transitions of the sled, exact: observations (v, x) [n, 2], actions [n, 1], next observations [n, 2]."""
    random = np.random.default_rng(seed)
    observation = random.uniform(-2, 2, (count, 2))
    action = random.uniform(-2, 2, (count, 1))
    velocity = observation[:, 0] + 0.1 * action[:, 0]
    return observation, action, np.stack([velocity, observation[:, 1] + 0.1 * velocity], 1)
