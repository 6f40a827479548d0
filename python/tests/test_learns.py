"""What is learned is good: slow, behind the marker of that name."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import ball_on_beam  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_environment_of_ones_own_is_learned(seed):
    random = np.random.default_rng(0)
    lowest = np.mean(ball_on_beam.returns(lambda _: random.uniform(-0.4, 0.4, 1).astype(np.float32)))
    highest = np.mean(ball_on_beam.returns(ball_on_beam.by_hand))
    found = ball_on_beam.learned(2000, seed).evaluate(20, seed=1)["mean"]
    assert found >= lowest + 0.8 * (highest - lowest)
