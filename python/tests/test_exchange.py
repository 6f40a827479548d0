"""Files for other programs, read by those programs."""

import json
import pickle
import tomllib

import gymnasium
import numpy as np
import pytest

import foreplan
from conftest import SMALL, Sled, sled_rows

# Networks compute in floats, and in another order of sums in another program: 1e-5 of the size of what is predicted.
TOLERANCE = 1e-5

needs_hdf5 = pytest.mark.skipif(not foreplan.versions()["hdf5"], reason="this build has no HDF5")

def run_of(task, folder, algorithm="mpc", **more):
    """A run with small networks, over and still open."""
    return foreplan.run(task, algorithm, out=folder, seed=3, threads=1, **{**SMALL, **more}).finish()


SHORT = {**SMALL["options"], "episode_length": 30}


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    """The folder of a run, and its transitions."""
    folder = tmp_path_factory.mktemp("exchange") / "cartpole"
    with run_of("cartpole_closed_form", folder, episodes=2, options=SHORT) as run:
        return folder, run.data()


@pytest.fixture
def cartpole_run(cartpole):
    return cartpole[0]


@pytest.fixture
def cartpole_data(cartpole):
    return cartpole[1]


def scaled_error(what, found, expected):
    """Greatest difference, by the size of each column; `pytest -rP` shows it (docs/exchange.md)."""
    size = np.maximum(1, np.abs(expected).max(axis=tuple(range(expected.ndim - 1))))
    error = float((np.abs(found - expected) / size).max())
    print(f"{what}: greatest difference {error:.1e}")
    return error


def onnx_session(file):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    onnx.checker.check_model(str(file), full_check=True)
    return runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def expect_onnx_predicts(session, model, observation, action):
    mean, deviation, means, deviations = session.run(None, {"observation": observation, "action": action})
    expected_mean, expected_deviation = model.predict(observation, action)
    assert scaled_error("mean", mean, expected_mean) < TOLERANCE
    assert scaled_error("deviation", deviation, expected_deviation) < TOLERANCE
    assert means.shape == deviations.shape == (model.members, *mean.shape)
    assert np.allclose(means.mean(0), mean, atol=1e-12)
    assert np.allclose((deviations**2).mean(0) + means.var(0), deviation**2, rtol=1e-9)


def test_a_model_predicts_the_same_as_onnx(cartpole_run, tmp_path):
    file = foreplan.export(cartpole_run, "onnx", tmp_path / "model.onnx")
    session = onnx_session(file)
    model = foreplan.Model.load(cartpole_run)
    random = np.random.default_rng(1)
    expect_onnx_predicts(session, model, random.normal(size=(200, 4)), random.uniform(-1, 1, (200, 1)))
    metadata = session.get_modelmeta().custom_metadata_map
    assert [one["name"] for one in json.loads(metadata["subject"])["observation"]][0] == "slider"
    assert "members = 2" in metadata["options"]


def test_a_wide_model_with_every_encoding_predicts_the_same_as_onnx(tmp_path):
    """As of a half-cheetah: 18 components, 6 actions; angles, components left out, absolute and integrated ones, and
    expressions of every operation that tasks have."""
    names = [f"q{i}" for i in range(9)] + [f"q{i}_velocity" for i in range(9)]

    class Cheetah(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (18,))
        action_space = gymnasium.spaces.Box(-1, 1, (6,))
        dt = 0.05

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(18), {}

        def step(self, action):
            raise NotImplementedError

    task = foreplan.Task(Cheetah(), observation_names=names, reward="q0_velocity", episode_length=10, encoding={
        "sin_cos": ["q2", "q3"], "omit": ["q0"], "absolute": ["q8_velocity"], "integrate": ["q0", "q1"],
        "inputs": ["atan2(q3, q4) + asin(tanh(q5))", "if(q6 > 0, exp(-q6^2), abs(q7)) * u[2]", "max(q1, q2, 0.5)"]})
    model = foreplan.Model(task, seed=2, model={"width": 64, "members": 3}, fit={"min_steps": 50, "max_steps": 50})
    random = np.random.default_rng(4)
    observation, action = random.normal(size=(300, 18)), random.uniform(-1, 1, (300, 6))
    model.fit(observation, action, observation + 0.1 * random.normal(size=(300, 18)))
    model.save(tmp_path / "cheetah.safetensors")
    session = onnx_session(foreplan.export(tmp_path / "cheetah.safetensors", "onnx", tmp_path / "cheetah.onnx"))
    expect_onnx_predicts(session, model, observation, action)


def test_a_policy_acts_the_same_as_onnx(tmp_path):
    with run_of("pendulum", tmp_path / "run", "policy_backprop", episodes=3, options={
        **SHORT, "policy_backprop.policy.width": 24,
        "policy_backprop.training.steps": 5, "policy_backprop.training.gaussian": True,
        "policy_backprop.training.horizon": 5}) as run:
        session = onnx_session(foreplan.export(run, "onnx", tmp_path / "policy.onnx", what="policy"))
        observations = np.random.default_rng(5).normal(size=(50, 3)) * 3
        expected = np.array([run.act(row) for row in observations])
    action, covariance = session.run(None, {"observation": observations})
    assert scaled_error("action", action, expected) < TOLERANCE
    assert covariance.shape == (1, 1)


def squashed_by_hand(file, observations):
    """What docs/model_files.md describes, in double: mean actions, deviations; [n, nu] each."""
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file

    with safetensors.safe_open(file, "np") as opened:
        metadata = opened.metadata()
    tensors, subject = load_file(file), json.loads(metadata["subject"])
    options = tomllib.loads(metadata["options"])["actor_critic"]["policy"]
    y = (observations - tensors["policy.input_mean"]) / tensors["policy.input_scale"]
    flat = tensors["policy.parameters"].astype(float)
    nu = len(subject["action_low"])
    for wide in [options["width"]] * options["hidden_layers"] + [2 * nu]:
        if flat.size < tensors["policy.parameters"].size:
            y = y / (1 + np.exp(-y))
        w, b, flat = np.split(flat, [y.shape[1] * wide, y.shape[1] * wide + wide])
        y = y @ w.reshape(-1, wide) + b
    low, high = np.array(subject["action_low"]), np.array(subject["action_high"])
    return low + (high - low) * (1 + np.tanh(y[:, :nu])) / 2, np.log1p(np.exp(y[:, nu:])) + 1e-5


@pytest.mark.parametrize("algorithm", ["dhmbpo", "mbpo", "sac", "svg"])
def test_a_squashed_policy_acts_the_same_as_onnx(tmp_path, algorithm):
    small = {"base_steps": 30, "train_every": 30, "pool": 400, "pool_updates": 4, "policy.width": 24, "critic.width": 16,
             "training.batch": 16, "training.particles": 2}
    with run_of("pendulum", tmp_path / "run", algorithm, episodes=3, options={
        **SHORT, **{f"actor_critic.{key}": value for key, value in small.items()}}) as run:
        session = onnx_session(foreplan.export(run, "onnx", tmp_path / "policy.onnx", what="policy"))
        file = foreplan.export(run, "safetensors", tmp_path / "policy.safetensors", what="policy")
        observations = np.random.default_rng(5).normal(size=(50, 3)) * 3
        expected = np.array([run.act(row) for row in observations])
    action, deviation = session.run(None, {"observation": observations})
    by_hand, deviation_by_hand = squashed_by_hand(file, observations)
    assert scaled_error("action", action, expected) < TOLERANCE
    assert scaled_error("action by hand", by_hand, expected) < TOLERANCE
    assert scaled_error("deviation", deviation, deviation_by_hand) < TOLERANCE
    assert deviation.shape == (50, 1) and deviation.std() > 0


def torch_model(file):
    """What docs/model_files.md describes, with the layers of PyTorch."""
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors")
    from safetensors.torch import load_file

    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    options = tomllib.loads(metadata["options"])["model"]
    no = len(json.loads(metadata["subject"])["observation"])
    sizes = ([len(tensors["model.input_mean"])] + [options["width"]] * options["hidden_layers"] + [2 * no])

    class Member(torch.nn.Module):
        """Inputs [n, ni] in doubles -> mean and deviation of the target [n, no]."""

        def __init__(self, flat):
            super().__init__()
            layers = []
            for wide_in, wide_out in zip(sizes, sizes[1:]):
                layer = torch.nn.Linear(wide_in, wide_out)
                weights, bias, flat = torch.split(flat, [wide_in * wide_out, wide_out,
                                                         len(flat) - wide_in * wide_out - wide_out])
                layer.weight.data, layer.bias.data = weights.reshape(wide_in, wide_out).T, bias
                layers += [layer, torch.nn.SiLU()]
            self.network = torch.nn.Sequential(*layers[:-1])
            self.top, self.bottom = flat[:no], flat[no:]

        def forward(self, inputs):
            scaled = (inputs - tensors["model.input_mean"]) / tensors["model.input_scale"]
            mean, raw = self.network(scaled.float()).double().split(no, -1)
            variance = self.bottom.exp() + self.top.exp() * torch.sigmoid(raw - self.top)
            scale = tensors["model.target_scale"]
            return tensors["model.target_mean"] + scale * mean, scale * variance.sqrt()

    return torch, [Member(flat) for flat in tensors["model.parameters"]]


def test_a_file_predicts_the_same_in_pytorch(cartpole_run, tmp_path):
    file = foreplan.export(cartpole_run, "safetensors", tmp_path / "model.safetensors")
    torch, members = torch_model(file)
    random = np.random.default_rng(7)
    observation, action = random.normal(size=(100, 4)), random.uniform(-1, 1, (100, 1))
    angle = observation[:, 1:2]  # the hinge enters as sine and cosine, the slider not at all
    seen = np.hstack([np.sin(angle), np.cos(angle), observation[:, 2:], action])
    with torch.no_grad():
        targets = [member(torch.from_numpy(seen)) for member in members]
    means = observation + np.array([mean.numpy() for mean, _ in targets])
    deviations = np.array([deviation.numpy() for _, deviation in targets])
    mean, deviation = foreplan.Model.load(file).predict(observation, action)
    assert scaled_error("mean", means.mean(0), mean) < 1e-6
    together = np.sqrt((deviations**2).mean(0) + means.var(0))
    assert scaled_error("deviation", together, deviation) < 1e-6


def read_by_safetensors(file):
    """(the package's module for NumPy, the tensors, the metadata but for the checksums)."""
    numpy_files = pytest.importorskip("safetensors.numpy")
    with pytest.importorskip("safetensors").safe_open(file, "np") as opened:
        metadata = opened.metadata()
    return numpy_files, numpy_files.load_file(file), {key: metadata[key] for key in metadata if key != "crc32c"}


def test_what_another_program_changed_and_saved_is_read_back(cartpole_run, tmp_path):
    file = foreplan.export(cartpole_run, "safetensors", tmp_path / "model.safetensors")
    numpy_files, tensors, metadata = read_by_safetensors(file)
    tensors["model.target_mean"] = tensors["model.target_mean"] + [0.5, 0, 0, 0]
    changed = tmp_path / "changed.safetensors"
    numpy_files.save_file(tensors, changed, metadata)
    observation, action = np.ones((1, 4)), np.ones((1, 1))
    before = foreplan.Model.load(file).predict(observation, action)[0]
    after = foreplan.Model.load(changed).predict(observation, action)[0]
    assert np.allclose(after - before, [[0.5, 0, 0, 0]], atol=1e-12)


def test_checksums_of_what_was_written_before_are_not_believed(cartpole_run, tmp_path):
    file = foreplan.export(cartpole_run, "safetensors", tmp_path / "model.safetensors")
    numpy_files, tensors, metadata = read_by_safetensors(file)
    with pytest.importorskip("safetensors").safe_open(file, "np") as opened:
        checksums = opened.metadata()["crc32c"]
    tensors["model.target_mean"] = tensors["model.target_mean"] + [0.5, 0, 0, 0]
    numpy_files.save_file(tensors, tmp_path / "changed.safetensors", {**metadata, "crc32c": checksums})
    with pytest.raises(foreplan.InputError, match="found checksum .*without metadata 'crc32c' it is read as it is"):
        foreplan.Model.load(tmp_path / "changed.safetensors")


def test_a_saved_model_predicts_the_same_with_and_without_its_task_and_goes_on_learning(tmp_path):
    task = foreplan.Task(Sled(), episode_length=20, reward="-place^2")
    model = foreplan.Model(task, seed=1, **{key: SMALL[key] for key in ("model", "fit")})
    model.fit(*sled_rows(100))
    file = tmp_path / "sled.safetensors"
    model.save(file)
    observation, action, following = sled_rows(20, seed=3)
    expected = model.predict(observation, action)
    for loaded in (foreplan.Model.load(file), foreplan.Model.load(str(file), task)):
        assert all(np.array_equal(a, b) for a, b in zip(loaded.predict(observation, action), expected))
        again = pickle.loads(pickle.dumps(loaded)) if loaded.task is None else loaded
        assert np.array_equal(again.predict(observation, action)[0], expected[0])
        again.fit(observation, action, following)
        assert not np.array_equal(again.predict(observation, action)[0], expected[0])
    assert repr(foreplan.Model.load(file)) == "Model(of a file, 2 members)"
    assert [path.name for path in tmp_path.iterdir()] == ["sled.safetensors"]


def test_what_is_no_model_is_refused_by_file_key_found_and_expected(cartpole_run, tmp_path):
    file = foreplan.export(cartpole_run, "safetensors", tmp_path / "model.safetensors")
    numpy_files, tensors, metadata = read_by_safetensors(file)

    def refusal(tensors, metadata):
        numpy_files.save_file(tensors, tmp_path / "wrong.safetensors", metadata)
        with pytest.raises(foreplan.InputError) as error:
            foreplan.Model.load(tmp_path / "wrong.safetensors")
        assert "wrong.safetensors" in str(error.value)
        return str(error.value)

    less = {**tensors, "model.parameters": tensors["model.parameters"][:, :-1]}
    width = tensors["model.parameters"].shape[1]
    assert f"found F32 [2, {width - 1}], expected F32 [2, {width}]" in refusal(less, metadata)
    assert "tensor 'model.input_mean'" in refusal({**tensors, "model.input_mean": np.full(6, np.nan)}, metadata)
    assert "tensor 'model.scale'" in refusal({k: v for k, v in tensors.items() if k != "model.scale"}, metadata)
    assert "found no metadata 'options'" in refusal(tensors, {"subject": metadata["subject"]})
    assert "found no metadata 'subject'" in refusal(tensors, {"options": metadata["options"]})
    with pytest.raises(foreplan.InputError, match="found no file"):
        foreplan.Model.load(tmp_path / "nothing")
    with pytest.raises(foreplan.InputError, match="pendulum|component"):
        foreplan.Model.load(file, "pendulum")


# --- transitions ------------------------------------------------------------------------------------------------


def test_numpy_opens_the_arrays_of_a_run_by_name(cartpole_run, cartpole_data, tmp_path):
    with np.load(foreplan.export(cartpole_run, "npz", tmp_path / "run.npz")) as arrays:
        assert np.array_equal(arrays["observations"], cartpole_data["observation"])
        assert np.array_equal(arrays["actions"], cartpole_data["action"])
        assert np.array_equal(arrays["next_observations"], cartpole_data["next_observation"])
        assert np.array_equal(arrays["rewards"], cartpole_data["reward"])
        assert arrays["episode"].tolist() == [1] * 30 + [2] * 30
        assert np.flatnonzero(arrays["truncations"]).tolist() == [29, 59] and not arrays["terminations"].any()
        assert arrays["observation_names"][1] == b"hinge" and arrays["dt"] == 0.04


@needs_hdf5
def test_flat_hdf5_holds_the_arrays_of_d4rl(cartpole_run, cartpole_data, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(foreplan.export(cartpole_run, "hdf5", tmp_path / "run.hdf5")) as file:
        assert sorted(file) == ["actions", "next_observations", "observations", "rewards", "terminals", "timeouts"]
        assert np.array_equal(file["observations"][()], cartpole_data["observation"])
        assert np.array_equal(file["rewards"][()], cartpole_data["reward"])
        assert file["timeouts"].dtype == bool and np.flatnonzero(file["timeouts"][()]).tolist() == [29, 59]


@needs_hdf5
def test_minari_opens_a_run_and_plays_its_episodes(cartpole_run, cartpole_data, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert foreplan.export(cartpole_run, "minari", tmp_path / "cartpole-v0") == tmp_path / "cartpole-v0"
    dataset = minari.load_dataset("cartpole-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (2, 60)
    assert dataset.action_space.low.tolist() == [-3] and dataset.observation_space.shape == (4,)
    assert dataset.storage.metadata["algorithm_name"] == "mpc"
    first = 0
    for episode in dataset.iterate_episodes():
        rows = slice(first, first + 30)
        assert episode.observations.shape == (31, 4)
        assert np.array_equal(episode.observations[:-1], cartpole_data["observation"][rows])
        assert np.array_equal(episode.observations[1:], cartpole_data["next_observation"][rows])
        assert np.array_equal(episode.actions, cartpole_data["action"][rows])
        assert np.array_equal(episode.rewards, cartpole_data["reward"][rows])
        assert episode.truncations.tolist() == [False] * 29 + [True] and not episode.terminations.any()
        first += 30
    assert list(minari.list_local_datasets()) == ["cartpole-v0"]
    assert len(dataset.sample_episodes(1)) == 1


class Spring(gymnasium.Env):
    """18 observed numbers, 6 actions, infos: of the size of a half-cheetah."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (17,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (6,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.normal(size=17)
        return self.x.copy(), {"x_position": 0.0}

    def step(self, action):
        self.x = 0.9 * self.x + 0.1 * np.resize(action, 17)
        return self.x.copy(), float(self.x[0]), False, False, {"x_position": float(self.x[1])}


class Falling(Sled):
    """Ends early, by its own end."""

    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        self.taken = getattr(self, "taken", 0) + 1
        return observation, reward, self.taken % 7 == 0, False, info


ENVIRONMENTS = {
    "pendulum": lambda: gymnasium.make("Pendulum-v1"),
    "car": lambda: gymnasium.make("MountainCarContinuous-v0"),
    "sled": lambda: gymnasium.wrappers.TimeLimit(Sled(), 20),
    "falling": lambda: gymnasium.wrappers.TimeLimit(Falling(), 20),
    "spring": lambda: gymnasium.wrappers.TimeLimit(Spring(), 25)}


@needs_hdf5
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_minari_collects_is_read(name, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    pytest.importorskip("jax")  # of minari[create]
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    collector = minari.DataCollector(ENVIRONMENTS[name](), record_infos=True)
    for episode in range(3):
        collector.reset(seed=episode)
        collector.action_space.seed(episode)
        for _ in range(40):
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            if terminated or truncated:
                break
    dataset = collector.create_dataset(f"{name}-v0", algorithm_name="random")
    collector.close()
    with np.load(foreplan.export(tmp_path / f"{name}-v0", "npz", tmp_path / "read.npz")) as arrays:
        assert len(arrays["actions"]) == dataset.total_steps and arrays["episode"].max() == 3
        first = 0
        for episode in dataset.iterate_episodes():
            rows = slice(first, first + len(episode.rewards))
            observations = episode.observations
            if isinstance(observations, dict):  # by name
                observations = np.hstack([observations[key].reshape(len(observations[key]), -1)
                                          for key in sorted(observations)])
            assert np.array_equal(arrays["observations"][rows], observations[:-1])
            assert np.array_equal(arrays["next_observations"][rows], observations[1:])
            assert np.array_equal(arrays["actions"][rows], episode.actions.reshape(len(episode.actions), -1))
            assert np.array_equal(arrays["rewards"][rows], episode.rewards)
            assert np.array_equal(arrays["terminations"][rows], episode.terminations)
            first = rows.stop


def test_export_says_what_is_wrong(cartpole_run, tmp_path):
    with pytest.raises(foreplan.InputError, match="kind: found 'xml', expected one of csv, npz, hdf5, minari"):
        foreplan.export(cartpole_run, "xml")
    with pytest.raises(foreplan.InputError, match="found no tensors 'policy"):
        foreplan.export(cartpole_run, "onnx", tmp_path / "policy.onnx", what="policy")
    with pytest.raises(foreplan.InputError, match="found 'everything', expected model, policy"):
        foreplan.export(cartpole_run, "onnx", what="everything")
    with pytest.raises(foreplan.InputError, match="as the id of a data set"):
        foreplan.export(cartpole_run, "minari", tmp_path / "no_version")
    (tmp_path / "there.csv").write_text("kept")
    with pytest.raises(foreplan.InputError, match="exists already"):
        foreplan.export(cartpole_run, "csv", tmp_path / "there.csv")
    with pytest.raises(TypeError, match="source: found int"):
        foreplan.export(7, "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


# --- while it runs ----------------------------------------------------------------------------------------------


def test_tensorboard_shows_returns_lengths_and_losses_of_a_run_that_was_resumed(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "run"
    run_of("cartpole_closed_form", folder, episodes=2, options=SHORT).close()
    with run_of("cartpole_closed_form", folder, episodes=3, options=SHORT, resume=True) as run:
        returns, lengths = run.returns, [episode.steps for episode in run.episodes]
    events = accumulators.EventAccumulator(str(folder)).Reload()
    found = events.Scalars("charts/episodic_return")
    assert [event.step for event in found] == np.cumsum(lengths).tolist()
    assert np.allclose([event.value for event in found], returns, rtol=1e-6)  # floats
    assert [event.value for event in events.Scalars("charts/episodic_length")] == lengths
    assert np.isfinite([event.value for event in events.Scalars("losses/training_loss")]).all()
    assert all(event.wall_time > 1.6e9 for event in found)


def test_a_model_with_a_learned_reward_is_loaded_as_it_was_made(tmp_path):
    small = {**SMALL["model"], "reward": {"width": 8, "members": 2, "min_steps": 10}}
    task = foreplan.Task(Sled(), episode_length=20)
    model = foreplan.Model(task, model=small, fit=SMALL["fit"], threads=1)
    observation, action, following = sled_rows(60)
    model.fit(observation, action, following, reward=-following[:, 0] ** 2)
    model.save(tmp_path / "model.safetensors")
    loaded = foreplan.Model.load(tmp_path / "model.safetensors", task)
    assert np.array_equal(loaded.predict(observation, action)[0], model.predict(observation, action)[0])
