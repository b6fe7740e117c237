"""Metrics of predictions equal plain loops; their intervals cover; what cannot be is refused."""

import numpy as np
import pytest

from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.predicted import OF_LABELS, POINTWISE, measured
from oracles import pointwise as oracle
from tables import refused

CASES = 1_000
SIMULATIONS = 1_000


def drawn(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What came true and what was said: few and many rows, ties, edges of bins, constants."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1 if name != "auc" else 2, 40))
    if name not in OF_LABELS:
        return rng.choice([1.0, 2, 3, 4, 5], size), rng.normal(3, 2, size)
    y = rng.integers(0, 2, size).astype(float)
    if name == "auc":
        y[:2] = 0, 1
    p = rng.choice(np.arange(16) / 15, size) if seed % 3 == 0 else rng.random(size)
    if seed % 5 == 0:
        p[:] = p[0]
    p[rng.random(size) < 0.1] = rng.choice([0.0, 0.5, 1.0])
    return y, p


@pytest.mark.parametrize("name", POINTWISE)
def test_equals_a_plain_loop(name):
    for seed in range(CASES):
        y, p = drawn(name, seed)
        wanted = oracle.POINTWISE[name](y.tolist(), p.tolist())
        assert measured(name, y, p).value == pytest.approx(wanted, abs=1e-9), seed


def test_the_loops_and_the_metrics_are_the_same_ones():
    assert oracle.POINTWISE.keys() == POINTWISE.keys()


@pytest.mark.parametrize("name", ["rmse", "mae", "accuracy", "log_loss", "auc"])
def test_the_influence_of_a_row_is_what_more_of_it_does(name):
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 50).astype(float), rng.random(50).round(1)
    many = 400
    told = measured(name, np.tile(y, many), np.tile(p, many))
    assert told.influence.sum() == pytest.approx(0, abs=1e-9)
    for row in range(0, 50, 7):
        more = measured(
            name, np.append(np.tile(y, many), y[row]), np.append(np.tile(p, many), p[row])
        )
        assert more.value - told.value == pytest.approx(told.influence[row], rel=1e-3, abs=1e-9)


def test_a_mean_with_one_row_per_user_has_its_normal_interval():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=30), rng.normal(size=30)
    told, apart = measured("mae", y, p).summary(np.arange(30)), np.abs(y - p)
    half = 1.96 * apart.std(ddof=1) / 30**0.5
    assert (told.mean, told.high - told.mean, told.mean - told.low) == pytest.approx(
        (apart.mean(), half, half)
    )
    alone = measured("mae", y, p).summary(np.zeros(30, dtype=np.int64))
    assert (alone.low, alone.high) == (None, None)


def test_intervals_over_users_cover_although_rows_of_a_user_are_alike():
    # 300 users with 4 rows each; half of the spread is the user's own
    users, rows = np.repeat(np.arange(300), 4), np.arange(1_200)
    # scores of the two labels differ by N(1, 4): Phi(.5); a few pairs are of one user: N(1, 2)
    true = {"rmse": 2**0.5, "auc": 0.69146 * 299 / 300 + 0.76025 / 300}
    covered, blind = dict.fromkeys(true, 0), dict.fromkeys(true, 0)
    for seed in range(SIMULATIONS):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=300)[users] + rng.normal(size=1_200)
        label = rng.integers(0, 2, 1_200).astype(float)
        for name, y, p in (("rmse", np.zeros(1_200), noise), ("auc", label, label + noise)):
            told = measured(name, y, p)
            for count, cluster in ((covered, users), (blind, rows)):
                interval = told.summary(cluster)
                count[name] += interval.low <= true[name] <= interval.high
    assert all(0.93 <= count / SIMULATIONS <= 0.97 for count in covered.values()), covered
    assert blind["rmse"] < 0.9 * SIMULATIONS, (
        "rows taken for independent would look surer than they are"
    )


@pytest.mark.parametrize(
    ("name", "y", "p", "kind", "said"),
    [
        ("rmse", [], [], InputError, "no event"),
        ("auc", [1.0, 1.0], [0.2, 0.3], InputError, "label 1"),
        ("log_loss", [1.0, 5.0], [0.2, 0.3], CallError, "1 to 5"),
        ("log_loss", [0.0, 1.0], [-0.1, 0.3], CallError, "1 of 2 predictions"),
        ("ece", [0.0, 1.0], [0.1, 1.3], CallError, "outside 0 to 1"),
        ("accuracy", [0.0, 1.0], [3.5, 4.0], CallError, "2 of 2"),
    ],
)
def test_what_cannot_be_is_refused(name, y, p, kind, said):
    refused(kind, lambda: measured(name, np.array(y), np.array(p)), said)


def test_a_score_that_is_no_probability_has_an_auc():
    assert measured("auc", np.array([0.0, 1.0, 1.0]), np.array([-3.0, 7.0, 7.0])).value == 1


def test_certainty_that_was_wrong_costs_what_the_clip_says():
    wrong = measured("log_loss", np.array([1.0, 0.0]), np.array([0.0, 1.0])).value
    assert wrong == pytest.approx(-np.log(1e-15))
