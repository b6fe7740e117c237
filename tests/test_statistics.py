"""Paired tests agree with plain ones, intervals cover, and equal models have no winner."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from honeyguide.evaluate.statistics import (
    ONE_TRAINING,
    every_pair,
    holm,
    paired,
    summary,
    trainings,
)


def ndcg(draw: np.random.Generator, shape: tuple[int, ...], hits: float = 0.2) -> np.ndarray:
    """nDCG@10 of one held-out item: mostly 0, else 1 / log2(rank + 1)."""
    hit = draw.random(shape) < hits
    return np.where(hit, 1 / np.log2(draw.integers(1, 11, shape) + 1), 0.0)


def test_the_t_test_is_that_of_scipy():
    draw = np.random.default_rng(0)
    one, other = ndcg(draw, (50,)), ndcg(draw, (50,), 0.4)
    told = paired(one, other)
    wanted = stats.ttest_rel(one, other)
    low, high = wanted.confidence_interval()
    assert told.p_t == pytest.approx(wanted.pvalue)
    assert (told.low, told.high) == pytest.approx((low, high))
    assert told.effect == pytest.approx((one - other).mean() / (one - other).std(ddof=1))
    better = sum(a > b for a, b in zip(one, other, strict=True))
    ties = sum(a == b for a, b in zip(one, other, strict=True))
    assert told.superiority == pytest.approx((better + ties / 2) / 50)


def test_the_randomisation_test_is_close_to_all_flips_of_signs():
    apart = np.array([0.5, 0.3, -0.1, 0.4, 0.0, 0.2, 0.6, -0.2])
    flipped = [
        sum(s * a for s, a in zip(signs, apart, strict=True))
        for signs in product((-1, 1), repeat=8)
    ]
    exact = np.mean([abs(f) >= abs(apart.sum()) - 1e-9 for f in flipped])
    told = paired(apart, np.zeros(8))
    assert told.p_randomisation == pytest.approx(exact, abs=0.01)
    assert told == paired(apart, np.zeros(8)), "the same seed, the same p"


def test_holm_by_hand():
    # Holm 1979: .01 x 4, .02 x 3, .03 x 2 but not below the one before, .5
    given = np.array([0.03, 0.01, 0.5, 0.02])
    assert holm(given).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_what_has_no_spread():
    same = np.full(5, 0.25)
    told = paired(same, same)
    assert (told.mean, told.p_t, told.p_randomisation, told.superiority) == (0, 1, 1, 0.5)
    assert paired(same[:1], same[:1]) is None


def test_luck_of_training_widens_the_interval():
    draw = np.random.default_rng(1)
    one, other = ndcg(draw, (200,), 0.5), ndcg(draw, (200,), 0.2)
    alone = paired(one, other)
    lucky = trainings([0.1, 0.3, 0.2])
    assert (lucky.variance, lucky.freedom) == (pytest.approx(0.01 / 3), 2)
    assert trainings([0.1]) == ONE_TRAINING
    with_luck = paired(one, other, luck=(lucky, ONE_TRAINING))
    assert alone.p_t < 0.05 < with_luck.p_t
    assert with_luck.low < alone.low
    assert with_luck.mean == alone.mean
    assert paired(one, other, luck=(ONE_TRAINING, ONE_TRAINING)) == alone


@pytest.mark.parametrize(("users", "hits"), [(300, 0.2), (1_000, 0.1), (6_000, 0.03)])
def test_intervals_cover_the_mean_in_93_to_97_of_100(users, hits):
    draw = np.random.default_rng(2)
    true = hits * np.mean(1 / np.log2(np.arange(1, 11) + 1))
    told = [summary(ndcg(draw, (users,), hits)) for _ in range(1_000)]
    covered = np.mean([t.low <= true <= t.high for t in told])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("models", [2, 6])
def test_equal_models_have_a_winner_in_at_most_5_of_100(models):
    draw = np.random.default_rng(3)
    won, runs = 0, 200
    for _ in range(runs):
        base = ndcg(draw, (100,))
        values = {
            str(m): np.where(draw.random(100) < 0.5, base, ndcg(draw, (100,)))
            for m in range(models)
        }
        pairs = every_pair(values, dict.fromkeys(values, ONE_TRAINING), "ndcg@10")
        best = max(values, key=lambda m: values[m].mean())
        won += all(p.clear for p in pairs if p.best == best)
    # 5 % of 200 and two standard errors of such a count
    assert won <= 0.05 * runs + 2 * (0.05 * 0.95 * runs) ** 0.5


def test_a_real_difference_is_found():
    draw = np.random.default_rng(4)
    values = {
        "a": ndcg(draw, (2_000,), 0.3),
        "b": ndcg(draw, (2_000,), 0.2),
        "c": ndcg(draw, (2_000,), 0.2),
    }
    pairs = every_pair(values, dict.fromkeys(values, ONE_TRAINING), "ndcg@10")
    assert {(p.best, p.other) for p in pairs if p.clear} == {("a", "b"), ("a", "c")}
    assert all(p.p_holm >= max(p.p_t, p.p_randomisation) for p in pairs)
