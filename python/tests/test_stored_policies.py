"""Policies that runs learned, without the runs."""

import pickle

import numpy as np
import pytest

import foreplan
from conftest import SMALL

TINY = {**SMALL["options"], "episode_length": 20, "actor_critic.base_steps": 20, "actor_critic.train_every": 20,
        "actor_critic.policy.width": 16, "actor_critic.critic.width": 16, "actor_critic.training.batch": 16,
        "actor_critic.training.particles": 2, "actor_critic.pool": 400, "actor_critic.pool_updates": 4,
        "policy_backprop.policy.width": 16, "policy_backprop.training.steps": 3,
        "policy_backprop.training.gaussian": True, "policy_backprop.training.horizon": 5}


def learned(folder, algorithm):
    return foreplan.run("pendulum", algorithm, out=folder, seed=3, threads=1, episodes=3,
                        **{**SMALL, "options": TINY}).finish()


@pytest.fixture(scope="module")
def sac(tmp_path_factory):
    """A run that is over and still open."""
    with learned(tmp_path_factory.mktemp("policies") / "sac", "sac") as run:
        yield run


@pytest.fixture(scope="module")
def observations():
    return np.random.default_rng(5).normal(size=(20, 3)) * 3


def test_a_policy_acts_as_its_run(sac, observations):
    policy = foreplan.Policy.load(sac)
    actions = policy(observations)
    assert actions.shape == (20, 1)
    assert np.array_equal(actions, [sac.act(row) for row in observations])
    # Alone a row is what it is among others, as each goes through the network by itself.
    assert np.array_equal(policy(observations[3]), actions[3])
    assert policy(observations[:0]).shape == (0, 1)


def test_a_policy_of_policy_backprop_acts_as_its_run(tmp_path, observations):
    with learned(tmp_path / "run", "policy_backprop") as run:
        policy = foreplan.Policy.load(run.folder)
        assert np.array_equal(policy(observations), [run.act(row) for row in observations])
    assert not np.array_equal(policy.sample(observations), policy(observations))


def test_seeds_draw_actions_within_the_bounds(sac, observations):
    policy = foreplan.Policy.load(sac)
    drawn = policy.sample(observations, seed=4)
    assert np.array_equal(drawn, policy.sample(observations, seed=4))
    assert not np.array_equal(drawn, policy.sample(observations, seed=5))
    assert (np.abs(drawn) <= policy.action_high).all()
    many = policy.sample(np.tile(observations[0], (500, 1)))
    assert len(np.unique(many)) == 500  # each row has noise of its own
    assert np.array_equal(policy.sample(observations[0]), many[0])


def test_a_file_needs_no_run(sac, observations, tmp_path):
    policy = foreplan.Policy.load(sac.folder)
    exported = foreplan.export(sac, "safetensors", tmp_path / "exported.safetensors", what="policy")
    policy.save(tmp_path / "saved.safetensors")
    assert exported.read_bytes() == (tmp_path / "saved.safetensors").read_bytes()
    copies = [foreplan.Policy.load(str(exported)), foreplan.Policy.load(sac.folder / "model" / "model.safetensors"),
              pickle.loads(pickle.dumps(policy))]
    for copy in copies:
        assert np.array_equal(copy(observations), policy(observations))
        assert np.array_equal(copy.sample(observations, seed=2), policy.sample(observations, seed=2))


def test_a_policy_knows_what_it_sees_and_does(sac):
    policy, task = foreplan.Policy.load(sac), sac.task
    assert policy.observation_names == task.observation_names
    assert policy.action_names == task.action_names
    assert np.array_equal(policy.action_low, task.action_low)
    assert np.array_equal(policy.action_high, task.action_high)
    assert policy.dt == task.dt
    assert repr(policy) == "Policy(3 observed, 1 actions, 0.05 s)"


def test_what_is_wrong_is_said(sac, tmp_path):
    policy = foreplan.Policy.load(sac)
    with pytest.raises(ValueError, match=r"observation: found .*expected .*3"):
        policy([1.0, 2.0])
    with pytest.raises(ValueError, match="observation"):
        policy([1.0, np.nan, 0.0])
    with pytest.raises(foreplan.InputError, match="nowhere"):
        foreplan.Policy.load(tmp_path / "nowhere")
    model = foreplan.Model("pendulum", seed=1, threads=1, **SMALL)
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(foreplan.InputError, match=r"model.safetensors: found no tensors 'policy.\*', expected"):
        foreplan.Policy.load(tmp_path / "model.safetensors")
    with pytest.raises(TypeError, match="policy: found int, expected a Run"):
        foreplan.Policy.load(7)
