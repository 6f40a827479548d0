"""What the page on Gymnasium says runs as it stands; stable-baselines3 learns on our environments."""

import numpy as np
import pytest

import foreplan.gym
from page_blocks import python_blocks

BLOCKS = python_blocks("gymnasium.md")


def stable_baselines3():
    """With one thread: its networks are too small for more."""
    pytest.importorskip("torch").set_num_threads(1)
    return pytest.importorskip("stable_baselines3")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_the_page_says_runs(block):
    if "stable_baselines3" in block.text:
        stable_baselines3()
    exec(compile(block.text, block.name, "exec"), {"__name__": "page"})


def adapter():
    """The page's class, by which stable-baselines3 takes a VectorEnv."""
    names: dict = {}
    block = next(block.text for block in BLOCKS if "class ForStableBaselines" in block.text)
    exec(block[:block.index("\n\nmodel = ")], names)
    return names["ForStableBaselines"]


@pytest.mark.filterwarnings("ignore")  # recommends other bounds
@pytest.mark.parametrize("task", ["pendulum", "gymnasium_half_cheetah"])
def test_its_check_passes(task):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(foreplan.gym.Env(task), skip_render_check=True)


def test_its_vector_environment_tells_ends_as_its_own_does():
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    ours = adapter()("pendulum", 3, max_episode_steps=4)
    theirs = DummyVecEnv([lambda: foreplan.gym.Env("pendulum", max_episode_steps=4)] * 3)
    for env in (ours, theirs):
        env.seed(5)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for _ in range(10):
        found, expected = ours.step(np.ones((3, 1), np.float32)), theirs.step(np.ones((3, 1), np.float32))
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)  # theirs are float32
        np.testing.assert_array_equal(found[2], expected[2])
        for one, other in zip(found[3], expected[3], strict=True):
            if "terminal_observation" in other:
                np.testing.assert_array_equal(one["terminal_observation"], other["terminal_observation"])
                assert one["TimeLimit.truncated"] is other["TimeLimit.truncated"] is True


def mean_return(model, episodes=20):
    env = foreplan.gym.VectorEnv("pendulum", episodes)
    observations, _ = env.reset(seed=1000)
    total = np.zeros(episodes)
    for _ in range(200):
        observations, rewards, *_ = env.step(model.predict(observations, deterministic=True)[0])
        total += rewards
    return total.mean()


@pytest.mark.slow
def test_soft_actor_critic_learns_the_pendulum():
    sb3 = stable_baselines3()
    model = sb3.SAC("MlpPolicy", "foreplan/Pendulum-v1", learning_starts=500, seed=0)
    before = mean_return(model)
    model.learn(5000)
    # Untrained policies earn about -1200, those that stand up after a swing or two about -150.
    assert before < -800 and mean_return(model) > -300


@pytest.mark.slow
def test_proximal_policy_optimisation_improves_on_many_at_a_time():
    sb3 = stable_baselines3()
    model = sb3.PPO("MlpPolicy", adapter()("pendulum", 16), n_steps=64, batch_size=256, n_epochs=10, gamma=0.9,
                    learning_rate=1e-3, use_sde=True, sde_sample_freq=4, seed=0)
    before = mean_return(model)
    model.learn(100_000)
    assert mean_return(model) > before + 400
