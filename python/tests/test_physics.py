"""Physics with unknown parameters: found again, how well they are known, what is refused."""

import pickle

import numpy as np
import pytest

import foreplan

UNKNOWNS = {"cart_mass": "5 in [0.1, 100]", "hinge_damping": "0.2 in [0, 10]"}


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """The first episode of a run: 60 steps of random actions on the true cart-pole, of 10.47 kg and 1 N m s/rad."""
    out = tmp_path_factory.mktemp("driven") / "run"
    foreplan.run(foreplan.Task("cartpole_closed_form", episode_length=60), episodes=1, out=out,
                 fit={"min_steps": 1, "max_steps": 1}).finish()
    return foreplan.read_recording(out)


def test_unknown_parameters_are_found_with_what_is_known_of_them(driven):
    fit = foreplan.fit_physics("cartpole_closed_form", driven, unknowns=UNKNOWNS, ties=())
    assert list(fit.parameters) == ["cart_mass", "hinge_damping"]
    # Data without noise: to the solver's tolerance, 1e-3 of standard errors that are tiny.
    assert fit["cart_mass"] == pytest.approx(10.47197551, rel=1e-5)
    assert fit["hinge_damping"] == pytest.approx(1, rel=1e-5)
    assert fit.status == "converged" and fit.failure == "" and not fit.not_identifiable
    assert 0 < fit.parameters["cart_mass"].standard_error < 0.01 and not fit.parameters["cart_mass"].at_bound
    assert fit.metrics["cart_mass"] == fit["cart_mass"] and set(fit.noise) == set(driven.observation_names)


def test_the_model_predicts_with_what_was_found(driven):
    fit = foreplan.fit_physics("cartpole_closed_form", driven, unknowns=UNKNOWNS)
    mean, _ = fit.model.predict(driven.observation, driven.action)
    assert mean == pytest.approx(driven.next_observation, abs=1e-6)
    guess = foreplan.Model("cartpole_closed_form", model={"kind": "physics", "physics": {
        "unknowns": [f"{name} = {text}" for name, text in UNKNOWNS.items()]}})
    assert np.abs(guess.predict(driven.observation, driven.action)[0] - driven.next_observation).max() > 0.01
    again = pickle.loads(pickle.dumps(fit.model))
    assert again.describe() == fit.model.describe()


def test_arrays_do_as_well_as_a_recording(driven):
    of_recording = foreplan.fit_physics("cartpole_closed_form", driven, unknowns=UNKNOWNS)
    arrays = (driven.observation, driven.action, driven.next_observation)
    of_arrays = foreplan.fit_physics("cartpole_closed_form", arrays,
                                     unknowns=[f"{name} = {text}" for name, text in UNKNOWNS.items()])
    assert of_arrays["cart_mass"] == of_recording["cart_mass"]


def test_what_the_data_cannot_tell_apart_is_named(driven):
    fit = foreplan.fit_physics("cartpole_closed_form", driven, unknowns={**UNKNOWNS, "gear": "80 in [1, 1000]",
                                                                         "pole_mass": "4 in [0.1, 100]",
                                                                         "pole_inertia": "0.5 in [0.01, 10]",
                                                                         "cart_damping": "1 in [0, 10]"})
    # Masses, inertia, damping and force scale together.
    assert fit.not_identifiable and "gear" in fit.not_identifiable[0]
    assert fit.parameters["gear"].standard_error == np.inf


def test_without_unknowns_those_of_the_task_file_count(driven):
    fit = foreplan.fit_physics("cartpole_closed_form", driven)
    assert len(fit.parameters) == 6 and "cart_damping" in fit.parameters
    with pytest.raises(foreplan.InputError, match="unknowns"):
        foreplan.fit_physics({"name": "swing", "reward": "0", "episode_length": 9, "system": {"type": "cartpole"}},
                             driven)


def test_parameters_may_be_tied_to_unknowns(driven):
    # The true inertia is 1.4179 m_p l^2: 0.64042 kg m^2 of 5.0186 kg at 0.3 m.
    ties = ["pole_inertia = 1.4178894 * pole_mass * 0.3000004166663773^2"]
    unknowns = {"cart_mass": "5 in [0.5, 100]", "pole_mass": "2 in [0.2, 50]"}
    fit = foreplan.fit_physics("cartpole_closed_form", driven, unknowns=unknowns, ties=ties)
    assert fit["pole_mass"] == pytest.approx(5.0185916, rel=1e-3) and fit["cart_mass"] == pytest.approx(10.47, rel=1e-3)
    alone = foreplan.fit_physics("cartpole_closed_form", driven, unknowns={"pole_mass": "2 in [0.2, 50]"}, ties=[
        "pole_inertia = 0.5 * pole_mass * 0.3^2"])
    assert abs(alone["pole_mass"] - 5.0185916) > 0.1  # a wrong tie matters


def test_bounds_that_stop_a_value_are_told(driven):
    fit = foreplan.fit_physics("cartpole_closed_form", driven, unknowns={"cart_mass": "5 in [1, 8]"})
    assert fit["cart_mass"] == pytest.approx(8) and fit.parameters["cart_mass"].at_bound


@pytest.mark.parametrize("arguments, error, said", [
    ({"unknowns": {"cart_mas": "1 in [0, 2]"}}, foreplan.InputError, "cart_mas"),
    ({"unknowns": ["cart_mass = heavy"]}, foreplan.InputError, "heavy"),
    ({"unknowns": None, "ties": ["pole_mass = 2"]}, foreplan.InputError, "ties: found some without unknowns"),
    ({"noise": "sensor"}, foreplan.InputError, "noise"),
    ({"data": np.zeros((3, 4))}, TypeError, "data: found ndarray"),
])
def test_what_makes_no_sense_is_refused(driven, arguments, error, said):
    with pytest.raises(error, match=said):
        foreplan.fit_physics("cartpole_closed_form", **{"data": driven, "unknowns": UNKNOWNS, **arguments})


def test_a_recording_of_another_system_is_refused(driven):
    other = foreplan.Recording(driven.observation, driven.action, driven.next_observation)
    with pytest.raises(foreplan.InputError, match="data: found observations .*'o0'.*, expected the task's"):
        foreplan.fit_physics("cartpole_closed_form", other, unknowns=UNKNOWNS)
