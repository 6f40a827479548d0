#!/usr/bin/env python3
"""Records Gymnasium's Ant-v5 without contact forces in its observation for testdata/trajectories (testdata/README.md).

    python3 -m venv VENV && VENV/bin/pip install "gymnasium[mujoco]==1.4.0" mujoco==4.0.0
    VENV/bin/python scripts/record_gymnasium.py

60 steps of sines and noise from a start that Gymnasium draws; the recording goes on where the ant is not healthy.
"""

import json
import pathlib
import platform

import gymnasium
import mujoco
import numpy as np

STEPS = 60
SEED = 3
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "trajectories"


def numbers(values):
    return [float(value) for value in np.asarray(values, dtype=np.float64).ravel()]


def record():
    environment = gymnasium.make("Ant-v5", include_cfrc_ext_in_observation=False,
                                 disable_env_checker=True).unwrapped
    random = np.random.RandomState(SEED)
    first, _ = environment.reset(seed=SEED)
    data = environment.data

    def state():
        return {"qpos": numbers(data.qpos), "qvel": numbers(data.qvel),
                "qacc_warmstart": numbers(data.qacc_warmstart)}

    initial = {**state(), "obs": numbers(first)}
    rows = {key: [] for key in (*initial, "action", "reward", "contact_cost", "terminated")}
    phases = random.uniform(0, 2 * np.pi, environment.model.nu)
    for t in range(STEPS):
        wave = 0.7 * np.sin(0.25 * t + phases) + 0.4 * random.uniform(-1, 1, environment.model.nu)
        action = np.clip(np.round(wave * 1024) / 1024, -1, 1)
        observation, reward, terminated, _, info = environment.step(action)
        for key, values in state().items():
            rows[key] += values
        rows["obs"] += numbers(observation)
        rows["action"] += numbers(action)
        rows["reward"].append(float(reward))
        rows["contact_cost"].append(-float(info["reward_contact"]))
        rows["terminated"].append(int(terminated))
    made_with = {"gymnasium": gymnasium.__version__, "mujoco": mujoco.__version__, "numpy": np.__version__,
                 "python": platform.python_version()}
    recording = {"made_with": made_with, "steps": STEPS, "initial": initial, **rows}
    (FOLDER / "gymnasium_ant_27.json").write_text(json.dumps(recording) + "\n", encoding="utf-8")
    print("return", sum(rows["reward"]), "unhealthy", sum(rows["terminated"]), made_with)


record()
