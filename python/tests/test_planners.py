"""Planners: through models, functions and the true system."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

import foreplan
from conftest import Sled, sled_rows

OPTIONS = {"options": {"planner.icem.horizon": 15, "planner.icem.population": 60}}


def sled_step(state, action):
    velocity = state[:, 0] + 0.1 * action[:, 0]
    return np.stack([velocity, state[:, 1] + 0.1 * velocity], 1)


@pytest.fixture
def task():
    return foreplan.Task(Sled(), episode_length=40, reward="-(place - 1)^2 - 0.1 * motion^2")


def test_a_function_of_rows_is_planned_with(task):
    planner = foreplan.Planner(task, model=sled_step, **OPTIONS)
    state = np.array([0.0, -0.5])
    for _ in range(40):
        plan = planner.plan(state)
        assert plan.actions.shape == (15, 1) and np.abs(plan.actions).max() <= 2 and plan.status == "ok"
        state = sled_step(state[None], plan.actions[:1])[0]
    assert abs(state[1] - 1) < 0.05  # where it is paid


def test_a_model_is_planned_with_and_followed_when_it_is_fitted_again(task):
    model = foreplan.Model(task, model={"width": 32}, fit={"min_steps": 2000, "max_steps": 2000})
    planner = foreplan.Planner(task, "icem", model, **OPTIONS)
    before = planner.plan([0.0, 0.0]).expected_return
    model.fit(*sled_rows(300))
    planner.reset()
    plan = planner.plan([0.0, 0.0])
    assert plan.expected_return != before
    # The first second from rest: accelerates towards 1 m.
    assert plan.actions[:3].mean() > 0.5


def test_the_true_system_is_planned_with():
    planner = foreplan.Planner("pendulum", "cem")
    assert planner.plan([np.pi - 0.1, 0.0]).actions.shape == (planner.horizon, 1)


def test_equal_seeds_plan_alike_and_reset_forgets(task):
    planner = foreplan.Planner(task, model=sled_step, **OPTIONS)
    first = planner.plan([0.3, 0.1], seed=7).actions
    warm = planner.plan([0.3, 0.1], seed=7).actions
    planner.reset()
    assert np.array_equal(planner.plan([0.3, 0.1], seed=7).actions, first) and not np.array_equal(warm, first)
    planner.reset()
    assert not np.array_equal(planner.plan([0.3, 0.1], seed=8).actions, first)


def test_two_threads_plan_at_once(task):
    found: dict[int, list] = {}

    def plan(number):
        planner = foreplan.Planner("pendulum", "icem", threads=1)
        found[number] = [planner.plan([0.1, 0.2]).actions.tolist() for _ in range(5)]

    threads = [threading.Thread(target=plan, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2]


def test_planners_of_one_task_raise_what_is_their_own(task):
    raised: dict[int, str] = {}

    def plan(number):
        def dynamics(state, action):
            time.sleep(0.002)
            raise LookupError(str(number))

        planner = foreplan.Planner(task, model=dynamics, threads=1, **OPTIONS)
        for _ in range(20):
            try:
                planner.plan([0, 0], step=0)
            except (LookupError, foreplan.RunError) as error:
                raised[number] = raised.get(number, "") + type(error).__name__[0]
            planner.reset()

    threads = [threading.Thread(target=plan, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == {0: "L" * 20, 1: "L" * 20}


def test_a_decision_within_a_run_leaves_control_c_to_the_run(task, tmp_path):
    planner = foreplan.Planner(task, model=sled_step, **OPTIONS)

    def on_step(step):
        planner.plan([0, 0], step=0)
        planner.reset()

    run = foreplan.run("pendulum", episodes=2, out=tmp_path / "run", on_step=on_step,
                       fit={"min_steps": 100000, "max_steps": 100000})
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with run, pytest.raises(KeyboardInterrupt):
        run.finish()
    assert time.monotonic() - began < 10  # the fit takes minutes


def test_a_deadline_cuts_a_decision(task):
    planner = foreplan.Planner(task, model=sled_step, options={"planner.icem.population": 20000})
    began = time.monotonic()
    assert planner.plan([0, 0], deadline_ms=5).status == "deadline"
    assert time.monotonic() - began < 2


def test_what_dynamics_raise_is_raised_and_planning_goes_on(task):
    calls = []

    def dynamics(state, action):
        calls.append(1)
        if len(calls) == 3:
            raise ArithmeticError("lost")
        return sled_step(state, action)

    planner = foreplan.Planner(task, model=dynamics, threads=1, **OPTIONS)
    with pytest.raises(ArithmeticError, match="lost"):
        planner.plan([0, 0])
    planner.reset()
    assert planner.plan([0, 0]).status == "ok"


def test_control_c_ends_a_decision_and_planning_goes_on(task):
    def slow(state, action):
        time.sleep(0.01)
        return sled_step(state, action)

    planner = foreplan.Planner(task, model=slow, threads=1, options={"planner.icem.population": 20000})
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        planner.plan([0, 0])
    assert time.monotonic() - began < 3
    planner.reset()
    assert planner.plan([0, 0], deadline_ms=50).status == "deadline"


@pytest.mark.parametrize("state, error, said", [
    ([0, 0, 0], ValueError, r"state: found shape \[3\], expected \[2\]"),
    ([0, np.nan], ValueError, "found nan at"),
    (["a", "b"], TypeError, "expected numbers"),
])
def test_states_that_do_not_fit_are_refused(task, state, error, said):
    with pytest.raises(error, match=said):
        foreplan.Planner(task, model=sled_step, **OPTIONS).plan(state)


def test_dynamics_of_another_size_are_refused(task):
    with pytest.raises(ValueError, match="next state: found 0 numbers"):
        foreplan.Planner(task, model=lambda state, action: state[:0], **OPTIONS).plan([0, 0])
    with pytest.raises(TypeError, match="expected a Model, a function"):
        foreplan.Planner(task, model=3)
    with pytest.raises(ValueError, match="of 3 observed numbers"):
        foreplan.Planner(task, model=foreplan.Model("pendulum"))


def _plan_in_child(planner, queue):
    try:
        planner.plan([0.1, 0.2])
    except RuntimeError as error:
        queue.put(str(error))


def test_a_forked_process_is_told_that_threads_are_gone():
    planner = foreplan.Planner("pendulum", "icem", threads=2)
    planner.plan([0.1, 0.2])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_plan_in_child, args=(planner, queue))
    child.start()
    assert "forked" in queue.get(timeout=20)
    child.join(20)
    assert child.exitcode == 0
