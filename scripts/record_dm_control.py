#!/usr/bin/env python3
"""Records tasks of the DeepMind Control Suite for testdata/trajectories (testdata/README.md).

    python3 -m venv VENV && VENV/bin/pip install dm_control==1.0.50
    VENV/bin/python scripts/record_dm_control.py

50 steps each of given actions, from a start that dm_control draws. `initial` holds what it drew
(`drawn_*`, before settling) and the state in which the episode begins.
"""

import json
import pathlib
import platform
from importlib.metadata import version

import mujoco
import numpy as np
from dm_control import suite
from dm_control.mujoco.wrapper.mjbindings import sizes

# Version 1.0.50 asks MuJoCo 4.0 for fields that it no longer has; nothing here reads them.
for struct, kind in (("mjmodel", mujoco.MjModel), ("mjdata", mujoco.MjData)):
    for field in [name for name in sizes.array_sizes[struct] if not hasattr(kind, name)]:
        del sizes.array_sizes[struct][field]

STEPS = 50
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "trajectories"
# With seeds, that of the reacher so that it touches the target in some steps.
TASKS = [("cartpole", "swingup", 1), ("acrobot", "swingup", 2), ("reacher", "easy", 7),
         ("cheetah", "run", 4)]


def numbers(values):
    return [float(value) for value in np.asarray(values, dtype=np.float64).ravel()]


def observed(time_step):
    return numbers(np.concatenate([np.ravel(part) for part in time_step.observation.values()]))


def record(domain, name, seed):
    environment = suite.load(domain, name, task_kwargs={"random": seed})
    physics = environment.physics
    random = np.random.RandomState(seed)

    drawn = {}
    step = physics.step

    def settle(nstep=1):  # called by a task's reset only
        drawn["drawn_qpos"] = numbers(physics.data.qpos)
        drawn["drawn_qvel"] = numbers(physics.data.qvel)
        physics.forward()  # without it the first step is that of the pose before the draw
        step(nstep)

    physics.step = settle
    first = environment.reset()
    physics.step = step

    initial = {"qpos": numbers(physics.data.qpos), "qvel": numbers(physics.data.qvel),
               "obs": observed(first), **drawn}
    if domain == "reacher":
        initial["target"] = numbers(physics.named.model.geom_pos["target", :2])
    rows = {key: [] for key in ("qpos", "qvel", "obs", "action", "reward")}
    phases = random.uniform(0, 2 * np.pi, physics.model.nu)
    for t in range(STEPS):
        wave = 0.7 * np.sin(0.25 * t + phases) + 0.4 * random.uniform(-1, 1, physics.model.nu)
        action = np.clip(np.round(wave * 1024) / 1024, -1, 1)
        time_step = environment.step(action)
        rows["qpos"] += numbers(physics.data.qpos)
        rows["qvel"] += numbers(physics.data.qvel)
        rows["obs"] += observed(time_step)
        rows["action"] += numbers(action)
        rows["reward"].append(float(time_step.reward))
    made_with = {"dm_control": version("dm_control"), "mujoco": mujoco.__version__,
                 "numpy": np.__version__, "python": platform.python_version()}
    data = {"made_with": made_with, "steps": STEPS, "initial": initial, **rows}
    (FOLDER / f"dm_control_{domain}_{name}.json").write_text(json.dumps(data) + "\n")
    print(domain, name, "return", sum(rows["reward"]), made_with)


for domain, name, seed in TASKS:
    record(domain, name, seed)
