"""Vector environments: to the bit what Gymnasium's SyncVectorEnv makes of our single ones, on any number of threads."""

import concurrent.futures
import os
import signal
import threading
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import foreplan
import foreplan.gym

# Measured with noise; ends early, at times that differ, by either flag.
PUSH = {"name": "push", "reward": "cos(hinge) + slide", "termination": "slider > 0.05", "episode_length": 12,
        "measurement_noise": 0.1, "system": {"type": "cartpole"}}
MODES = list(AutoresetMode)


def some_actions(env, steps, seed=0):
    space = env.single_action_space
    shape = (steps, env.num_envs, *space.shape)
    return np.random.default_rng(seed).uniform(space.low, space.high, shape).astype(np.float32)


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        for key in found:
            assert_same(found[key], expected[key])
    elif isinstance(found, np.ndarray) and found.dtype == object:
        assert expected.dtype == object
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(found, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(found, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_all_that_comes_back_is_what_single_environments_give(mode, threads):
    ours = foreplan.gym.VectorEnv(PUSH, 5, threads=threads, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: foreplan.gym.Env(PUSH)] * 5, autoreset_mode=mode)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"] and ours.threads == threads
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    ends = np.zeros((2, 5), int)
    for action in some_actions(ours, 60):
        found = ours.step(action)
        assert_same(found, theirs.step(action))
        ends += found[2:4]
        over = found[2] | found[3]
        if mode == AutoresetMode.DISABLED and over.any():
            assert_same(ours.reset(options={"reset_mask": over}), theirs.reset(options={"reset_mask": over}))
    assert (ends.sum(1) > 2).all()
    # Without a seed the sequences go on, also after a reset in the middle of an episode.
    assert_same(ours.reset(), theirs.reset())
    seeds = [4, None, 2**70, 4, None]
    assert_same(ours.reset(seed=seeds), theirs.reset(seed=seeds))


@pytest.mark.parametrize("mode", MODES)
def test_simulated_tasks_are_the_same_alone_and_together(mode):
    made = gymnasium.make_vec("foreplan/InvertedPendulum-v5", num_envs=3, autoreset_mode=mode, threads=2)
    theirs = gymnasium.make_vec("foreplan/InvertedPendulum-v5", num_envs=3, vectorization_mode="sync",
                                vector_kwargs={"autoreset_mode": mode})
    assert isinstance(made, foreplan.gym.VectorEnv) and isinstance(theirs, SyncVectorEnv)
    assert_same(made.reset(seed=0), theirs.reset(seed=0))
    ends = 0
    for action in some_actions(made, 60):
        found = made.step(action)
        assert_same(found, theirs.step(action))
        over = found[2] | found[3]
        ends += over.sum()
        if mode == AutoresetMode.DISABLED and over.any():
            assert_same(made.reset(options={"reset_mask": over}), theirs.reset(options={"reset_mask": over}))
    assert ends > 3


def test_limits_of_steps_are_those_of_gymnasium_make():
    made = gymnasium.make_vec("foreplan/pendulum", num_envs=2, max_episode_steps=5)
    assert made.spec.id == "foreplan/pendulum"
    made.reset(seed=0)
    flags = [made.step(np.zeros((2, 1)))[3].tolist() for _ in range(7)]
    assert flags == [[False] * 2] * 4 + [[True] * 2] + [[False] * 2] * 2


@pytest.mark.parametrize("mode", MODES)
def test_divergences_are_told_as_single_environments_tell_them(mode):
    wild = {"name": "push", "reward": "sqrt(0.05 - slider)", "episode_length": 50,
            "system": {"type": "cartpole", "reset": {"position": 0, "velocity": 0}}}
    ours = foreplan.gym.VectorEnv(wild, 2, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: foreplan.gym.Env(wild)] * 2, autoreset_mode=mode)
    assert_same(ours.reset(seed=0), theirs.reset(seed=0))
    told = 0
    for _ in range(20):
        found = ours.step(np.ones((2, 1), np.float32))
        assert_same(found, theirs.step(np.ones((2, 1), np.float32)))
        told += "divergence" in found[4] or "divergence" in found[4].get("final_info", {})
        if mode == AutoresetMode.DISABLED and found[3].any():
            assert_same(ours.reset(options={"reset_mask": found[3]}), theirs.reset(options={"reset_mask": found[3]}))
    assert told > 0


def test_copies_stay_and_memory_that_is_shared_moves_on():
    copied, shared = foreplan.gym.VectorEnv("pendulum", 3), foreplan.gym.VectorEnv("pendulum", 3, copy=False)
    first, again = copied.reset(seed=0)[0], shared.reset(seed=0)[0]
    kept = first.copy()
    np.testing.assert_array_equal(first, again)
    after, rewards, *_ = copied.step(np.ones((3, 1)))
    assert shared.step(np.ones((3, 1)))[0] is again
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, after)
    paid = rewards.copy()
    copied.step(np.ones((3, 1)))
    np.testing.assert_array_equal(rewards, paid)
    del shared
    assert np.isfinite(again).all()  # the memory stays as long as an array does


def test_what_was_seen_last_stays_what_it_was():
    env = foreplan.gym.VectorEnv("pendulum", 2, max_episode_steps=2, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    env.step(np.ones((2, 1)))
    kept = env.step(np.ones((2, 1)))[4]["final_obs"][0]
    before = kept.copy()
    env.step(np.ones((2, 1)))
    env.step(np.ones((2, 1)))
    np.testing.assert_array_equal(kept, before)


def test_episodes_may_begin_in_states():
    env = foreplan.gym.VectorEnv("gymnasium_half_cheetah", 3, threads=2)
    env.reset(seed=0)
    actions = some_actions(env, 20)
    for action in actions[:10]:
        seen = env.step(action)[0]
    states = env.states
    assert states.shape == (3, len(env.state_names))
    after = env.step(actions[10])[0]
    env.step(actions[11])
    np.testing.assert_array_equal(env.reset(options={"state": states})[0], seen)
    np.testing.assert_array_equal(env.step(actions[10])[0], after)


def test_seeds_are_told():
    env = foreplan.gym.VectorEnv("pendulum", 3)
    assert env.np_random_seed == (None, None, None)
    env.reset(seed=5)
    assert env.np_random_seed == (5, 6, 7)
    mask = np.array([False, True, False])
    env.reset(seed=20, options={"reset_mask": mask})
    assert env.np_random_seed == (5, 21, 7)
    first = foreplan.gym.VectorEnv("pendulum", 3).reset()[0]
    assert len(np.unique(first[:, 2])) == 3


@pytest.mark.parametrize("act, error, said", [
    (lambda env: env.step(np.zeros((3, 1))), ValueError, "action: found 3 rows, expected 2"),
    (lambda env: env.step(np.zeros((2, 2), np.float32)), ValueError, r"action: found shape \[2, 2\]"),
    (lambda env: env.step(np.zeros((1, 2), np.float32)), ValueError, r"action: found shape \[1, 2\]"),
    (lambda env: env.step(np.full((2, 1), np.inf, np.float32)), ValueError, r"action: found inf at \[0, 0\]"),
    (lambda env: env.reset(seed=[1]), ValueError, "seed: found a list of 1, expected 2"),
    (lambda env: env.reset(options={"reset_mask": [True, False]}), ValueError, "reset_mask: found list"),
    (lambda env: env.reset(options={"reset_mask": np.ones(3, bool)}), ValueError, r"found bool \[3\], expected"),
    (lambda env: env.reset(options={"reset_mask": np.ones(2)}), ValueError, r"found float64 \[2\]"),
    (lambda env: env.reset(options={"reset_mask": np.zeros(2, bool)}), ValueError, "no environment chosen"),
    (lambda env: env.reset(options={"state": np.zeros((1, 2))}), ValueError, "state: found 1 rows, expected 2"),
])
def test_what_is_wrong_is_said_and_changes_nothing(act, error, said):
    env, untouched = foreplan.gym.VectorEnv("pendulum", 2), foreplan.gym.VectorEnv("pendulum", 2)
    for one in (env, untouched):
        one.reset(seed=0)
    with pytest.raises(error, match=said):
        act(env)
    assert_same(env.step(np.ones((2, 1))), untouched.step(np.ones((2, 1))))


@pytest.mark.parametrize("arguments, said", [
    ({"num_envs": 0}, "environments: found 0"), ({"threads": 0}, "threads: found 0"),
    ({"autoreset_mode": "sometimes"}, "sometimes"), ({"render_mode": "rgb_array"}, "not simulated by MuJoCo"),
])
def test_wrong_arguments_are_said(arguments, said):
    with pytest.raises((ValueError, TypeError), match=said):
        foreplan.gym.VectorEnv("pendulum", **{"num_envs": 2, **arguments})


def test_steps_out_of_order_are_refused():
    env = foreplan.gym.VectorEnv("pendulum", 2, max_episode_steps=1, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(foreplan.InputError, match="found no episode"):
        env.step(np.zeros((2, 1)))
    env.reset(seed=0)
    env.step(np.zeros((2, 1)))
    with pytest.raises(foreplan.InputError, match="environment 0: found its episode over"):
        env.step(np.zeros((2, 1)))
    env.close()
    with pytest.raises(foreplan.InputError, match="found it closed"):
        env.step(np.zeros((2, 1)))


@pytest.mark.parametrize("wrapper", [gymnasium.wrappers.vector.RecordEpisodeStatistics,
                                     gymnasium.wrappers.vector.NormalizeObservation,
                                     gymnasium.wrappers.vector.ClipReward])
def test_gymnasiums_vector_wrappers_work(wrapper):
    arguments = {"min_reward": -1.0} if wrapper is gymnasium.wrappers.vector.ClipReward else {}
    found, expected = [
        wrapper(gymnasium.make_vec("foreplan/pendulum", num_envs=2, max_episode_steps=4, **kind), **arguments)
        for kind in ({}, {"vectorization_mode": "sync"})]
    found.reset(seed=0)
    expected.reset(seed=0)
    for _ in range(10):
        ours, theirs = found.step(np.ones((2, 1))), expected.step(np.ones((2, 1)))
        for one, other in zip(ours[:4], theirs[:4]):
            np.testing.assert_array_equal(one, other)
        assert ours[4].keys() == theirs[4].keys()


@pytest.mark.parametrize("kind", [{}, {"vectorization_mode": "sync"}])
def test_a_vector_as_a_tasks_environment_is_refused(kind):
    with pytest.raises(foreplan.InputError, match="found a vector of 3, expected a single one"):
        foreplan.Task(gymnasium.make_vec("foreplan/pendulum", num_envs=3, **kind))


def long_work(env):
    """Some tenths of a second in one call."""
    env.reset(seed=0)
    env._batch.core.run_steps(np.zeros((100_000, 8, 1)), True)


def test_other_threads_go_on_while_environments_are_stepped():
    env, ticks, done = foreplan.gym.VectorEnv("pendulum", 8), [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    clock = threading.Thread(target=tick)
    clock.start()
    began = time.perf_counter()
    long_work(env)
    ended = time.perf_counter()
    done.set()
    clock.join()
    # At the begin and the end of the call a tick or two would come even if the lock were held.
    assert sum(began < at < ended for at in ticks) > 10


def test_control_c_ends_what_steps():
    env = foreplan.gym.VectorEnv("pendulum", 8)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        long_work(env)
        time.sleep(10)  # where the signal came late
    env.reset(seed=0)
    env.step(np.zeros((8, 1)))


def test_vectors_are_stepped_by_threads_at_once():
    def rolled(seed):
        env = foreplan.gym.VectorEnv(PUSH, 4, threads=2)
        env.reset(seed=seed)
        return np.concatenate([env.step(action)[0] for action in some_actions(env, 100)])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(rolled, range(8)))
    for seed, found in enumerate(together):
        np.testing.assert_array_equal(found, rolled(seed))


def test_processes_of_gymnasium_step_single_environments():
    ours = foreplan.gym.VectorEnv(PUSH, 2)
    theirs = gymnasium.vector.AsyncVectorEnv([lambda: foreplan.gym.Env(PUSH)] * 2)
    try:
        assert_same(ours.reset(seed=1), theirs.reset(seed=1))
        for action in some_actions(ours, 20):
            assert_same(ours.step(action), theirs.step(action))
    finally:
        theirs.close()


def test_a_forked_process_is_told_to_make_its_own():
    env = foreplan.gym.VectorEnv("gymnasium_half_cheetah", 2, threads=2)
    env.reset(seed=0)
    child = os.fork()
    if child == 0:
        try:
            env.step(np.zeros((2, 6)))
        except RuntimeError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    env.step(np.zeros((2, 6)))
