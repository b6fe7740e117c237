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
    randomised,
    summaries,
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
    assert randomised(apart[:, None]) == [pytest.approx(exact)]
    # more users than are enumerated: drawn, the same twice, and for all pairs alike
    many = np.concatenate([apart, apart * 1.1, -apart[:5]])
    one, other = randomised(np.stack([many, many], axis=1))
    assert one == other == randomised(many[:, None])[0]
    flips = np.random.default_rng(9).choice([-1, 1], (100_000, len(many))) @ many
    assert one == pytest.approx(np.mean(np.abs(flips) >= abs(many.sum()) - 1e-9), abs=0.015)


def test_holm_by_hand():
    # Holm 1979: .01 x 4, .02 x 3, .03 x 2 but not below the one before, .5
    given = np.array([0.03, 0.01, 0.5, 0.02])
    assert holm(given).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_what_has_no_spread():
    same = np.full(5, 0.25)
    told = paired(same, same)
    assert (told.mean, told.p_t, told.superiority) == (0, 1, 0.5)
    assert told.low < 0 < told.high
    assert randomised(np.zeros((5, 1))) == [1.0]
    assert paired(same[:1], same[:1]) is None


def test_luck_of_training_widens_the_interval():
    draw = np.random.default_rng(1)
    one, other = ndcg(draw, (200,), 0.5), ndcg(draw, (200,), 0.2)
    alone = paired(one, other)
    lucky = trainings(np.stack([one - 0.1, one + 0.1, one]))
    assert (lucky.variance, lucky.seen, lucky.freedom) == (
        pytest.approx(0.01 / 3),
        pytest.approx(0.01 / 3),
        2,
    )
    assert trainings(one[None]) == ONE_TRAINING
    with_luck = paired(one, other, luck=(lucky, ONE_TRAINING))
    assert alone.p_t < 0.05 < with_luck.p_t
    assert with_luck.low < alone.low
    assert with_luck.mean == alone.mean
    assert paired(one, other, luck=(ONE_TRAINING, ONE_TRAINING)) == alone


def test_noise_of_single_users_is_no_luck_of_training():
    draw = np.random.default_rng(5)
    base = ndcg(draw, (400,))
    noisy = np.stack([base + draw.normal(0, 0.3, 400) for _ in range(5)])
    told = trainings(noisy)
    assert told.seen > 0
    assert told.variance < told.seen


@pytest.mark.parametrize(("users", "hits"), [(100, 0.3), (300, 0.2), (1_000, 0.05)])
def test_intervals_cover_the_mean_in_93_to_97_of_100(users, hits):
    draw = np.random.default_rng(2)
    true = hits * np.mean(1 / np.log2(np.arange(1, 11) + 1))
    # many columns of one call are as good as many calls
    told = summaries({str(run): ndcg(draw, (users,), hits) for run in range(1_000)})
    covered = np.mean([t.low <= true <= t.high for t in told.values()])
    assert 0.93 <= covered <= 0.97


def test_many_users_need_no_resamples_for_the_same_interval():
    values = ndcg(np.random.default_rng(6), (10_000,), 0.05)
    (few,) = summaries({"x": values}).values()
    (many,) = summaries({"x": np.append(values, values.mean())}).values()
    width = few.high - few.low
    assert abs(few.low - many.low) < 0.05 * width
    assert abs(few.high - many.high) < 0.05 * width


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_users_who_are_all_alike_prove_little(value):
    told = summary(np.full(30, value))
    assert told.mean == value
    assert told.low <= value <= told.high
    assert 0.05 < told.high - told.low < 0.25
    assert summary(np.full(1, value)).low is None
    assert summary(np.full(30, 7.0)).low is None, "nothing bounds what others might have"


def test_an_interval_is_skewed_as_its_values_are():
    told = summary(ndcg(np.random.default_rng(7), (200,), 0.03))
    assert told.high - told.mean > 1.1 * (told.mean - told.low)


@pytest.mark.parametrize(("models", "runs"), [(2, 300), (6, 40)])
def test_equal_models_have_a_winner_in_at_most_5_of_100(models, runs):
    draw = np.random.default_rng(3)
    won = 0
    for _ in range(runs):
        base = ndcg(draw, (100,))
        values = {
            str(m): np.where(draw.random(100) < 0.5, base, ndcg(draw, (100,)))
            for m in range(models)
        }
        pairs = every_pair(values, dict.fromkeys(values, ONE_TRAINING), "ndcg@10")
        won += all(p.clear for p in pairs if p.a == pairs[0].a)
    # 5 % and two standard errors of such a count
    assert won <= 0.05 * runs + 2 * (0.05 * 0.95 * runs) ** 0.5


def test_a_real_difference_is_found():
    draw = np.random.default_rng(4)
    values = {
        "a": ndcg(draw, (2_000,), 0.3),
        "b": ndcg(draw, (2_000,), 0.2),
        "c": ndcg(draw, (2_000,), 0.2),
    }
    pairs = every_pair(values, dict.fromkeys(values, ONE_TRAINING), "ndcg@10")
    assert {(p.a, p.b) for p in pairs if p.clear} == {("a", "b"), ("a", "c")}
    assert all(p.p_holm >= max(p.p_t, p.p_randomisation) for p in pairs)
