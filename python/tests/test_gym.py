"""Tasks as Gymnasium environments: spaces, seeds, ends; equal to Gymnasium's own; what is refused, and how."""

import os
import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import foreplan
import foreplan.gym

PUSH = {"name": "push", "reward": "cos(hinge) + slide", "termination": "slider > 0.05", "episode_length": 40,
        "measurement_noise": 0.1, "system": {"type": "cartpole"}}


def rollout(env, actions, seed):
    """Observations, rewards and flags of actions [steps, nu], beginning anew where an episode ends."""
    seen = [env.reset(seed=seed)[0]]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(np.concatenate([observation, [reward, terminated, truncated]]))
        if terminated or truncated:
            seen.append(env.reset()[0])
    return np.concatenate(seen)


def some_actions(space, steps, seed=0):
    return np.random.default_rng(seed).uniform(space.low, space.high, (steps, *space.shape)).astype(space.dtype)


@pytest.mark.parametrize("name", sorted(foreplan.task_names()))
def test_every_shipped_task_is_registered_and_shows_what_the_task_does(name):
    task = foreplan.Task(name)
    env = gymnasium.make(f"foreplan/{name}")
    assert env.spec.max_episode_steps == task.episode_length
    assert env.observation_space.shape == (len(task.observation_names),)
    np.testing.assert_array_equal(env.action_space.low, task.action_low.astype(np.float32))
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation) and info == {}
    after, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert after.dtype == np.float64 and isinstance(reward, float) and np.isfinite(reward) and info == {}
    assert not np.array_equal(after, observation)


@pytest.mark.filterwarnings("ignore")  # what it recommends, as [-1, 1] for actions
@pytest.mark.parametrize("name", ["Pendulum-v1", "HalfCheetah-v5", "quadrotor"])
def test_gymnasiums_own_check_passes(name):
    check_env(gymnasium.make(f"foreplan/{name}").unwrapped, skip_render_check=True)


def test_seeds_repeat_to_the_bit_and_the_next_episode_is_another():
    env = foreplan.gym.Env(PUSH)
    actions = some_actions(env.action_space, 200)
    first = rollout(env, actions, 7)
    np.testing.assert_array_equal(rollout(env, actions, 7), first)
    np.testing.assert_array_equal(rollout(foreplan.gym.Env(PUSH), actions, 7), first)
    assert not np.array_equal(rollout(env, actions, 8), first)
    one, two = env.reset(seed=1)[0], env.reset()[0]
    assert not np.array_equal(one, two)
    again = env.reset(seed=1)[0], env.reset()[0]
    np.testing.assert_array_equal(again, (one, two))


def test_without_a_seed_its_own_is_told_and_repeats():
    env = foreplan.gym.Env("pendulum")
    first = env.reset()[0]
    np.testing.assert_array_equal(env.reset(seed=env.np_random_seed)[0], first)
    assert not np.array_equal(foreplan.gym.Env("pendulum").reset()[0], first)


def test_seeds_differ_in_every_bit():
    starts = [tuple(foreplan.gym.Env("pendulum").reset(seed=seed)[0]) for seed in (0, 1, 2**40, 2**64, 2**100)]
    assert len(set(starts)) == len(starts)


def test_reward_and_end_are_the_tasks():
    task = foreplan.Task("gymnasium_hopper")
    env = foreplan.gym.Env(task)
    before, _ = env.reset(seed=0)
    for action in some_actions(env.action_space, 300):
        after, reward, terminated, _, _ = env.step(action)
        rewards, ends = task.reward(before, action, after)
        assert (reward, terminated) == (rewards[0], ends[0])
        if terminated:
            break
        before = after
    assert terminated


def test_the_limit_is_the_tasks_or_what_is_said():
    def steps_until_truncated(env):
        env.reset(seed=0)
        return next(t for t in range(1, 400) if env.step(np.zeros(1))[3])

    assert steps_until_truncated(foreplan.gym.Env("pendulum")) == 200
    assert steps_until_truncated(foreplan.gym.Env("pendulum", max_episode_steps=5)) == 5
    assert steps_until_truncated(gymnasium.make("foreplan/pendulum")) == 200
    assert steps_until_truncated(gymnasium.make("foreplan/pendulum", max_episode_steps=300)) == 300


def test_an_episode_may_begin_in_a_state():
    env = foreplan.gym.Env("gymnasium_half_cheetah")
    env.reset(seed=0)
    actions = some_actions(env.action_space, 20)
    for action in actions[:10]:
        seen = env.step(action)[0]
    state = env.state
    assert len(env.state_names) == len(state) and env.state_names[0] == "root_x"
    after = [env.step(action)[0] for action in actions[10:]]
    env.step(actions[0])
    np.testing.assert_array_equal(env.reset(options={"state": state})[0], seen)
    np.testing.assert_array_equal([env.step(action)[0] for action in actions[10:]], after)


def test_actions_outside_the_bounds_are_clamped():
    env = foreplan.gym.Env("pendulum")
    env.reset(seed=0)
    beyond = env.step(np.array([5.0], np.float32))
    env.reset(seed=0)
    bound = env.step([2])
    np.testing.assert_array_equal(beyond[0], bound[0])
    assert beyond[1] == bound[1]


def test_what_was_seen_stays_what_it_was():
    env = foreplan.gym.Env("pendulum")
    observation, _ = env.reset(seed=0)
    kept = observation.copy()
    env.step([1.0])
    np.testing.assert_array_equal(observation, kept)


def test_a_step_that_diverges_truncates_and_says_why():
    env = foreplan.gym.Env({"name": "push", "reward": "sqrt(0.05 - slider)", "episode_length": 50,
                            "system": {"type": "cartpole", "reset": {"position": 0, "velocity": 0}}})
    seen = [env.reset(seed=0)[0]]
    for _ in range(50):
        observation, reward, terminated, truncated, info = env.step([1.0])
        if truncated:
            break
        seen.append(observation)
    assert (reward, terminated) == (0.0, False) and info["divergence"].startswith(f"step {len(seen) - 1}: reward")
    np.testing.assert_array_equal(observation, seen[-1])


@pytest.mark.parametrize("name, observed, actions", [
    ("Ant-v5", 105, 8), ("HalfCheetah-v5", 17, 6), ("Hopper-v5", 11, 3), ("Humanoid-v5", 348, 17),
    ("InvertedDoublePendulum-v5", 9, 1), ("InvertedPendulum-v5", 4, 1), ("Pendulum-v1", 3, 1), ("Pusher-v5", 23, 7),
    ("Reacher-v5", 10, 2), ("Swimmer-v5", 8, 2), ("Walker2d-v5", 17, 6), ("dm_control-acrobot-swingup-v0", 6, 1),
    ("dm_control-cartpole-swingup-v0", 5, 1), ("dm_control-cheetah-run-v0", 17, 6), ("dm_control-reacher-easy-v0", 6, 2),
])
def test_published_names_have_the_published_sizes_and_the_tasks_first_components(name, observed, actions):
    env = gymnasium.make(f"foreplan/{name}")
    assert env.observation_space.shape == (observed,) and env.action_space.shape == (actions,)
    task = gymnasium.make(f"foreplan/{foreplan.gym.published_names()[name]}")
    np.testing.assert_array_equal(env.reset(seed=0)[0], task.reset(seed=0)[0][:observed])
    middle = (env.action_space.low + env.action_space.high) / 2
    found, whole = env.step(middle), task.step(middle)
    np.testing.assert_array_equal(found[0], whole[0][:observed])
    assert found[1] == pytest.approx(whole[1], abs=1e-12) and found[2:] == whole[2:]


def import_what_gymnasiums_mujoco_needs():
    for package in ("mujoco", "glfw", "imageio", "packaging"):
        pytest.importorskip(package)


# What Gymnasium calls mujoco.MjData, as the state of ours.
def begin_where_theirs_is(ours, theirs):
    data = theirs.unwrapped.data
    physics = np.concatenate([data.qpos, data.qvel, data.act, [data.time], data.qacc_warmstart])
    state = ours.unwrapped.state
    state[:len(physics)] = physics
    return ours.reset(options={"state": state})[0]


@pytest.mark.parametrize("name", ["Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Humanoid-v5", "InvertedDoublePendulum-v5",
                                  "InvertedPendulum-v5", "Pusher-v5", "Reacher-v5", "Swimmer-v5", "Walker2d-v5"])
def test_the_published_environments_of_mujoco_are_equal_step_by_step(name):
    import_what_gymnasiums_mujoco_needs()
    theirs = gymnasium.make(name)
    ours = gymnasium.make(f"foreplan/{name}")
    assert theirs.observation_space.shape == ours.observation_space.shape
    assert theirs.observation_space.dtype == ours.observation_space.dtype
    assert theirs.action_space == ours.action_space
    assert theirs.spec.max_episode_steps == ours.spec.max_episode_steps
    ends = 0
    for seed in range(4):
        expected, _ = theirs.reset(seed=seed)
        ours.reset(seed=seed)
        begin_where_theirs_is(ours, theirs)
        # As float64: Gymnasium computes costs in what it is given.
        for step, action in enumerate(some_actions(theirs.action_space, 60, seed).astype(np.float64)):
            expected, reward, terminated, truncated, _ = theirs.step(action)
            found = ours.step(action)
            np.testing.assert_allclose(found[0], expected, rtol=1e-7, atol=1e-9)
            # What theirs had evaluated before the first step is no part of the state that was set.
            if step > 0 or name not in ("Ant-v5", "Humanoid-v5"):
                assert found[1] == pytest.approx(reward, rel=1e-7, abs=1e-9)
            assert found[2:4] == (terminated, truncated)
            if terminated or truncated:
                ends += 1
                break
    if name in ("Hopper-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Walker2d-v5"):
        assert ends > 0


def test_hopper_ends_by_a_velocity_that_its_observation_clips():
    ours = gymnasium.make("foreplan/Hopper-v5")
    ours.reset(seed=0)
    state = ours.unwrapped.state
    state[ours.unwrapped.state_names.index("foot_velocity")] = 160.0
    ours.reset(options={"state": state})
    assert ours.step(np.zeros(3))[2]


def test_hopper_ends_by_a_velocity_as_the_published_one():
    import_what_gymnasiums_mujoco_needs()
    theirs, ours = gymnasium.make("Hopper-v5"), gymnasium.make("foreplan/Hopper-v5")
    theirs.reset(seed=0)
    ours.reset(seed=0)
    fast = theirs.unwrapped.data.qvel.copy()
    fast[-1] = 160.0
    theirs.unwrapped.set_state(theirs.unwrapped.data.qpos, fast)
    begin_where_theirs_is(ours, theirs)
    expected, found = theirs.step(np.zeros(3)), ours.step(np.zeros(3))
    assert abs(theirs.unwrapped.data.qvel).max() > 100
    assert found[2] and expected[2] and found[1] == pytest.approx(expected[1])


def test_pendulum_is_the_published_one():
    theirs, ours = gymnasium.make("Pendulum-v1"), gymnasium.make("foreplan/Pendulum-v1")
    assert theirs.action_space == ours.action_space and theirs.spec.max_episode_steps == ours.spec.max_episode_steps
    theirs.reset(seed=0)
    ours.reset(seed=0)
    ours.reset(options={"state": theirs.unwrapped.state})
    for action in some_actions(theirs.action_space, 200):
        expected, found = theirs.step(action), ours.step(action)
        np.testing.assert_allclose(found[0], expected[0], atol=1e-5)  # theirs are float32
        assert found[1] == pytest.approx(expected[1], abs=1e-5)
        assert found[2:4] == expected[2:4]


def test_starts_are_drawn_as_published():
    theirs, ours = gymnasium.make("Pendulum-v1"), gymnasium.make("foreplan/Pendulum-v1")
    drawn = [np.array([env.reset(seed=seed)[0] for seed in range(2000)]) for env in (theirs, ours)]
    # 5 standard errors of a mean and of a second moment of numbers within [-1, 1].
    np.testing.assert_allclose(drawn[1].mean(0), drawn[0].mean(0), atol=5 * np.sqrt(2 / 2000))
    np.testing.assert_allclose((drawn[1] ** 2).mean(0), (drawn[0] ** 2).mean(0), atol=5 * np.sqrt(2 / 2000))


@pytest.mark.parametrize("make, error, said", [
    (lambda: foreplan.gym.Env("pendulumm"), ValueError, "did you mean 'pendulum'"),
    (lambda: foreplan.gym.Env("pendulum", observed=4), ValueError, "observed components: found 4, expected 0 ... 3"),
    (lambda: foreplan.gym.Env("pendulum", max_episode_steps=0), ValueError, "steps of an episode: found 0"),
    (lambda: foreplan.gym.Env("pendulum", render_mode="rgb_array"), TypeError, "not simulated by MuJoCo"),
    (lambda: foreplan.gym.Env("pendulum", render_mode="ansi"), ValueError, "found 'ansi', expected None or"),
])
def test_what_is_wrong_is_said(make, error, said):
    with pytest.raises(error, match=said):
        make()


def test_a_task_of_an_environment_of_python_is_refused(sled):
    with pytest.raises(foreplan.InputError, match="that environment is there already"):
        foreplan.gym.Env(foreplan.Task(sled, episode_length=20))


@pytest.mark.parametrize("action, error, said", [
    ([0.0, 0.0], ValueError, r"action: found shape \[2\], expected"),
    (np.array([np.nan], np.float32), ValueError, "action: found nan"),
    ([np.nan], ValueError, "action: found nan"),
    (["a"], TypeError, "expected numbers"),
    (None, TypeError, "action"),
])
def test_wrong_actions_are_refused(action, error, said):
    env = foreplan.gym.Env("pendulum")
    env.reset(seed=0)
    with pytest.raises(error, match=said):
        env.step(action)
    env.step([0.0])


def test_steps_out_of_order_are_refused():
    env = foreplan.gym.Env("pendulum", max_episode_steps=1)
    with pytest.raises(foreplan.InputError, match="found no episode"):
        env.step([0.0])
    env.reset(seed=0)
    env.step([0.0])
    with pytest.raises(foreplan.InputError, match="found its episode over"):
        env.step([0.0])
    with pytest.raises(foreplan.InputError, match=r"state: found shape \[3\], expected"):
        env.reset(options={"state": [0, 0, 0]})
    env.close()
    for call in (env.reset, lambda: env.step([0.0])):
        with pytest.raises(foreplan.InputError, match="found it closed"):
            call()


def test_learning_goes_on_in_an_environment_that_came_out():
    task = foreplan.Task(gymnasium.make("foreplan/Pendulum-v1"))
    assert (task.episode_length, task.dt) == (200, pytest.approx(0.05))


def test_the_specification_survives_being_written_down():
    spec = gymnasium.spec("foreplan/HalfCheetah-v5")
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert again.observation_space.shape == (17,)
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_pictures_are_of_the_state():
    pytest.importorskip("mujoco")
    pytest.importorskip("OpenGL")
    script = """
import numpy as np, foreplan, foreplan.gym
env = foreplan.gym.Env("dm_control_reacher_easy", render_mode="rgb_array")
try:
    pictures = []
    for seed in (0, 1, 0):
        env.reset(seed=seed)
        pictures.append(env.render())
except foreplan.RunError as error:
    print("no renderer", error)
else:
    assert pictures[0].shape == (480, 480, 3) and pictures[0].dtype == np.uint8
    assert np.array_equal(pictures[0], pictures[2]) and not np.array_equal(pictures[0], pictures[1])
    print("drawn")
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "MUJOCO_GL": "egl"}, text=True,
                          capture_output=True, timeout=120)
    if "no renderer" in done.stdout or "EGL" in done.stderr:
        pytest.skip("no OpenGL here")
    assert done.stdout == "drawn\n", done.stderr
