"""The package: one MuJoCo library per process, tasks of its own, types, readers of files that lie beside it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typing_program

import foreplan
from foreplan import _mujoco

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
PACKAGE = Path(foreplan.__file__).parent

# Our simulator and MuJoCo's own work in one process; then: which files of MuJoCo's library it has mapped.
BOTH_WORK = """
foreplan.evaluate(foreplan.Task("gymnasium_half_cheetah", episode_length=2), "zero", episodes=1, threads=1)
assert mujoco.mj_versionString() in foreplan.versions()["mujoco"]
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody/></mujoco>")
mujoco.mj_step(model, mujoco.MjData(model))
with open("/proc/self/maps") as maps:
    print(*{line.split()[-1] for line in maps if "libmujoco" in line}, sep="\\n")
"""

# Gymnasium's environment and ours in turns, from one state on and with the same actions, in doubles (Gymnasium sums the
# cost of float actions in floats). States agree to the bit: one library and one model. The reward sums in another order.
IN_TURNS = """
import gymnasium, numpy as np
theirs = gymnasium.make("HalfCheetah-v5").unwrapped
ours = foreplan.gym.Env("gymnasium_half_cheetah", observed=17)
theirs.reset(seed=0)
ours.reset(seed=0)
theirs.set_state(ours.state[:9], ours.state[9:18])
for step in range(200):
    action = np.sin(0.3 * step + np.arange(6))
    observation, reward, *_ = theirs.step(action)
    observed, earned, *_ = ours.step(action)
    np.testing.assert_array_equal(observed, observation, err_msg=str(step))
    np.testing.assert_allclose(earned, reward, rtol=0, atol=1e-12, err_msg=str(step))
with open("/proc/self/maps") as maps:
    print(*{line.split()[-1] for line in maps if "libmujoco" in line}, sep="\\n")
"""


def output(program: str, **environment: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("imports", ["import foreplan, mujoco", "import mujoco, foreplan"])
def test_one_mujoco_library_whichever_is_imported_first(imports):
    assert output(f"{imports}\n{BOTH_WORK}") == str(_mujoco.find_library().resolve())


@pytest.mark.parametrize("imports", ["import foreplan.gym, mujoco", "import mujoco, foreplan.gym"])
def test_steps_equal_those_of_gymnasium_beside_it(imports):
    for name in ("foreplan.gym", "glfw", "imageio"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"no {name}")
    assert output(f"{imports}\n{IN_TURNS}") == str(_mujoco.find_library().resolve())


def test_the_extension_is_linked_with_no_mujoco():
    extension = next(PACKAGE.glob("_core*.so")).read_bytes()
    assert b"libmujoco.so" not in extension


def test_no_mujoco_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"found no package 'mujoco', expected 4\.0: pip install 'mujoco-core>=4\.0,<4\.1'"):
        _mujoco.find_library()


@pytest.mark.parametrize("file", ["libmujoco.so.3.3.7", "libmujoco.so.4.1.0", "other.so"])
def test_another_mujoco_says_what_to_install(tmp_path, file):
    package = tmp_path / "mujoco"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / file).touch()
    done = subprocess.run([sys.executable, "-c", "import foreplan"], capture_output=True, text=True,
                          env={"PYTHONPATH": f"{tmp_path}:{PACKAGE.parent}"})
    found = package / file if file.startswith("libmujoco") else f"no libmujoco.so in {package}"
    assert f"ImportError: foreplan: MuJoCo: found {found}, expected 4.0: pip install" in done.stderr


def test_an_installed_package_reads_its_own_tasks(tmp_path):
    if not (PACKAGE / "tasks").is_dir():
        pytest.skip("not installed: reads the tasks of the source tree")
    for folder in ("foreplan", "foreplan.libs"):
        if (PACKAGE.parent / folder).is_dir():
            shutil.copytree(PACKAGE.parent / folder, tmp_path / folder)
    tasks = tmp_path / "foreplan" / "tasks"
    (tasks / "pendulum.toml").rename(tasks / "of_the_copy.toml")
    listed = output("import foreplan; print(*foreplan.task_names())", PYTHONPATH=str(tmp_path)).split()
    assert "of_the_copy" in listed and "pendulum" not in listed
    assert len(listed) == len(foreplan.task_names())


def test_hdf5_is_read_through_its_program(sled_task, tmp_path):
    run = foreplan.run(sled_task, "fit_then_plan", "icem", episodes=1, out=tmp_path / "run", threads=1,
                       options={"fit_then_plan.data": TESTDATA / "recordings" / "minari.hdf5"})
    data = run.finish().data()
    np.testing.assert_array_equal(data["observation"][35], [1102, -1102])
    assert data["action"][35] == 1102.5


def test_the_typed_program_runs(tmp_path):
    typing_program.main(str(tmp_path / "run"))
