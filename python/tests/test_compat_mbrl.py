"""mbrl-lib's names: imagined episodes equal rollouts by hand; the buffer keeps what it is given."""

import numpy as np
import pytest

import foreplan
from conftest import Sled, sled_rows
from foreplan.compat.mbrl import ModelEnv, ReplayBuffer


def step(obs, act):
    velocity = obs[:, 0] + 0.1 * act[:, 0]
    return np.stack([velocity, obs[:, 1] + 0.1 * velocity], 1)


def never(act, next_obs):
    return np.zeros(len(act), bool)


def place(act, next_obs):
    return next_obs[:, 1:] - 0.1 * act ** 2


def far(act, next_obs):
    return next_obs[:, 1] > 0.5


def sequences(population=7, horizon=12, seed=1):
    return np.random.default_rng(seed).uniform(-2, 2, (population, horizon, 1))


def by_hand(actions, start, ends):
    """What a sequence earns until it terminates, that step included."""
    obs, total = np.array(start)[None], 0.0
    for act in actions:
        obs = step(obs, act[None])
        total += place(act[None], obs)[0, 0]
        if ends(act[None], obs)[0]:
            break
    return total


@pytest.mark.parametrize("ends", [never, far])
@pytest.mark.parametrize("particles", [1, 3])
def test_sequences_earn_what_a_rollout_by_hand_earns(ends, particles):
    env = ModelEnv(Sled(), step, ends, place)
    found = env.evaluate_action_sequences(sequences(), np.array([1.0, 0.2]), num_particles=particles)
    assert found.shape == (7,)
    assert found == pytest.approx([by_hand(actions, [1.0, 0.2], ends) for actions in sequences()], abs=1e-12)


def test_some_of_the_sequences_above_do_terminate():
    ended = [by_hand(actions, [1.0, 0.2], far) != by_hand(actions, [1.0, 0.2], never) for actions in sequences()]
    assert any(ended)


@pytest.fixture(scope="module")
def fitted():
    task = foreplan.Task(Sled(), episode_length=20, reward="-(place - 1)^2")
    model = foreplan.Model(task, model={"width": 32, "members": 3}, fit={"min_steps": 4000, "max_steps": 4000})
    model.fit(*sled_rows(600))
    return model


def test_a_model_of_a_linear_system_values_sequences_as_the_true_dynamics_do(fitted):
    few = sequences(horizon=5)
    found = ModelEnv(Sled(), fitted, never, place).evaluate_action_sequences(few, np.zeros(2), num_particles=20)
    expected = np.array([by_hand(actions, [0.0, 0.0], never) for actions in few])
    assert found == pytest.approx(expected, abs=0.15)  # networks off by a few percent of a step's change, and noise
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_without_a_reward_function_the_tasks_reward_counts(fitted):
    env = ModelEnv(Sled(), fitted, never)
    state = env.reset(np.array([[0.0, 0.5], [0.0, 1.0]]))
    next_obs, rewards, dones, _ = env.step(np.zeros((2, 1)), state)
    assert rewards[:, 0] == pytest.approx(-(next_obs[:, 1] - 1) ** 2) and rewards.shape == dones.shape == (2, 1)


def test_members_stay_with_their_particles_and_the_mean_is_that_of_all(fitted):
    env = ModelEnv(Sled(), fitted, never, place, generator=5)
    state = env.reset(np.zeros((60, 2)))
    assert set(state["propagation_indices"]) == {0, 1, 2}
    acts = np.ones((60, 1))
    _, _, _, after = env.step(acts, state, sample=True)
    assert np.array_equal(after["propagation_indices"], state["propagation_indices"])
    mean, _, _, _ = env.step(acts, state)
    assert np.array_equal(mean, fitted.predict(np.zeros((60, 2)), acts)[0]) and np.ptp(mean, 0).max() == 0
    members = state["propagation_indices"]
    drawn = np.array([fitted.sample(np.zeros((60, 2)), acts, seed, members) for seed in range(200)])
    of_member = [drawn[:, members == member].mean((0, 1)) for member in range(3)]
    assert np.ptp(of_member, 0).max() > 0  # each by its own
    for member in range(3):
        one = {**state, "propagation_indices": np.full(60, member)}
        stepped = np.mean([env.step(acts, one, sample=True)[0] for _ in range(200)], (0, 1))
        assert np.argmin([np.abs(stepped - mean_of).sum() for mean_of in of_member]) == member
    assert np.mean(of_member, 0) == pytest.approx(mean[0], abs=0.01)


def test_a_member_that_does_not_exist_is_refused(fitted):
    with pytest.raises(foreplan.InputError, match="member: found 3, expected 0 ... 2"):
        fitted.sample(np.zeros((1, 2)), np.zeros((1, 1)), 0, [3])
    with pytest.raises(foreplan.InputError, match="member: found 0.5"):
        fitted.sample(np.zeros((1, 2)), np.zeros((1, 1)), 0, [0.5])


def test_equal_generators_draw_alike(fitted):
    values = [ModelEnv(Sled(), fitted, never, place, generator=seed).evaluate_action_sequences(
        sequences(), np.zeros(2), 4).tolist() for seed in (3, 3, 4)]
    assert values[0] == values[1] != values[2]


def test_tensors_are_taken_and_come_back():
    torch = pytest.importorskip("torch")

    def reward(act, next_obs):
        return torch.from_numpy(place(act, next_obs))

    env = ModelEnv(Sled(), step, never, reward)
    found = env.evaluate_action_sequences(torch.from_numpy(sequences()), torch.tensor([1.0, 0.2]), num_particles=1)
    assert isinstance(found, torch.Tensor)
    assert found.numpy() == pytest.approx([by_hand(actions, np.float32([1.0, 0.2]), never) for actions in sequences()],
                                          abs=1e-6)


@pytest.mark.parametrize("call, said", [
    (lambda env: env.reset(np.zeros(2)), r"initial_obs_batch: found shape \[2\]"),
    (lambda env: env.step(np.zeros((3, 1)), env.reset(np.zeros((2, 2)))),
     r"actions: found shape \[3, 1\], expected \[2, nu\]"),
    (lambda env: env.evaluate_action_sequences(np.zeros((4, 3)), np.zeros(2), 1), "action_sequences, initial_state"),
    (lambda env: env.evaluate_action_sequences(np.zeros((4, 3, 1)), np.zeros(2), 0), "num_particles: found 0"),
])
def test_batches_that_do_not_fit_are_refused(call, said):
    with pytest.raises(foreplan.InputError, match=said):
        call(ModelEnv(Sled(), step, never, place))


def test_functions_that_do_not_fit_are_refused():
    env = ModelEnv(Sled(), step, never, lambda act, next_obs: next_obs)
    with pytest.raises(foreplan.InputError, match="reward_fn: found 4 numbers, expected 2"):
        env.step(np.zeros((2, 1)), env.reset(np.zeros((2, 2))))
    with pytest.raises(foreplan.InputError, match="reward_fn: found none"):
        ModelEnv(Sled(), step, never)


def filled(count, capacity=5):
    buffer = ReplayBuffer(capacity, (2,), (1,), rng=np.random.default_rng(1))
    for i in range(count):
        buffer.add([i, i], [-i], [i + 1, i + 1], 10.0 * i, i == 2, i == 3)
    return buffer


def test_a_buffer_gives_back_what_it_was_given():
    buffer = filled(4)
    batch = buffer.get_all()
    assert buffer.num_stored == len(buffer) == 4 and batch.obs.dtype == np.float32
    assert batch.obs.tolist() == [[i, i] for i in range(4)] and batch.act.tolist() == [[-i] for i in range(4)]
    assert batch.next_obs.tolist() == [[i + 1, i + 1] for i in range(4)] and batch.rewards.tolist() == [0, 10, 20, 30]
    assert batch.terminateds.tolist() == [False, False, True, False]
    assert batch.truncateds.tolist() == [False, False, False, True]


def test_the_oldest_make_room():
    buffer = filled(7)
    assert buffer.num_stored == 5 and sorted(buffer.get_all().rewards) == [20, 30, 40, 50, 60]


def test_samples_are_rows_that_belong_together():
    buffer = filled(5)
    batch = buffer.sample(200)
    assert batch.obs.shape == (200, 2) and set(batch.rewards) == {0, 10, 20, 30, 40}
    assert np.array_equal(batch.obs[:, 0] * 10, batch.rewards) and np.array_equal(batch.obs + 1, batch.next_obs)
    shuffled = buffer.get_all(shuffle=True)
    assert np.array_equal(shuffled.obs[:, :1], -shuffled.act) and sorted(shuffled.rewards) == [0, 10, 20, 30, 40]


def test_what_a_buffer_cannot_hold_is_refused():
    with pytest.raises(foreplan.InputError, match="empty buffer"):
        filled(0).sample(3)
    with pytest.raises(foreplan.InputError, match=r"action: found shape \[2\], expected \[1\]"):
        filled(0).add([0, 0], [0, 0], [0, 0], 0.0, False, False)
    with pytest.raises(foreplan.InputError, match="capacity"):
        filled(0, capacity=0)


def test_a_model_learns_from_a_buffer():
    buffer = ReplayBuffer(600, (2,), (1,), obs_type=np.float64, action_type=np.float64)
    for row in zip(*sled_rows(200)):
        buffer.add(*row, 0.0, False, False)
    batch = buffer.get_all()
    model = foreplan.Model(foreplan.Task(Sled(), episode_length=20, reward="0"), model={"width": 8, "members": 2},
                           fit={"min_steps": 20, "max_steps": 20})
    assert "training_loss" in model.fit(batch.obs, batch.act, batch.next_obs)
