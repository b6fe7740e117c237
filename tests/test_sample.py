"""Negatives: never a positive, rightly distributed, the same for the same numbers."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import chisquare

from honeyguide.data import sample
from honeyguide.data.sample import Negatives, step_seed
from honeyguide.errors import InputError
from tables import refused

ITEMS = 20


def known(*rows: list[int], items: int = ITEMS) -> sp.csr_array:
    matrix = np.zeros((len(rows), items), np.float32)
    for row, columns in enumerate(rows):
        matrix[row, columns] = 1
    return sp.csr_array(matrix)


def test_never_a_positive():
    rng = np.random.default_rng(0)
    matrix = known(*(sorted(rng.choice(np.arange(1, ITEMS), n, False)) for n in range(ITEMS - 1)))
    users = np.repeat(np.arange(ITEMS - 1), 3)
    for sampling in ("uniform", "popularity"):
        drawn = Negatives.of(matrix, sampling).for_users(users, 50, 1)
        assert drawn.min() >= 1
        assert drawn.max() < ITEMS
        for user, items in zip(users, drawn, strict=True):
            assert not set(items) & set(matrix[[user]].indices)


POPULAR = known([1, 2, 3], *([1, 5, 6, 7],) * 9, *([5, 6],) * 30, [19])


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_distribution(sampling):
    source = Negatives.of(POPULAR, sampling)
    drawn = source.for_users(np.zeros(200, dtype=np.int64), 200, 7).ravel()
    p = np.exp(source.log_p.astype(np.float64))
    p[[0, 1, 2, 3]] = 0
    seen = np.bincount(drawn, minlength=ITEMS)
    assert seen[p == 0].sum() == 0
    assert chisquare(seen[p > 0], p[p > 0] / p.sum() * len(drawn)).pvalue > 0.001


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_counting_out_what_is_unknown_has_the_same_distribution(sampling):
    source = Negatives.of(POPULAR, sampling)
    mine = POPULAR[[0]].indices
    fractions = (np.arange(20_000) + 0.5) / 20_000
    items = [sample._unknown(source.cumulative, sampling == "uniform", mine, u) for u in fractions]
    p = np.exp(source.log_p.astype(np.float64))
    p[[0, 1, 2, 3]] = 0
    share = np.bincount(items, minlength=ITEMS) / len(items)
    np.testing.assert_allclose(share, p / p.sum(), atol=2e-4)


def test_popularity_is_count_to_the_power():
    source = Negatives.of(POPULAR, "popularity", power=0.5)
    p = np.exp(source.log_p.astype(np.float64))
    assert p[0] == 0
    assert p[5] / p[19] == pytest.approx(39**0.5, rel=1e-5)
    assert p[4] == pytest.approx(p[19], rel=1e-6)  # never taken counts as taken once
    assert p.sum() == pytest.approx(1, rel=1e-5)


def test_shared_negatives_are_drawn_from_all():
    source = Negatives.of(POPULAR, "popularity")
    drawn = source.shared(40_000, 3)
    p = np.exp(source.log_p.astype(np.float64))[1:]
    assert chisquare(np.bincount(drawn, minlength=ITEMS)[1:], p / p.sum() * 40_000).pvalue > 0.001


def test_one_unknown_item_is_found_and_a_user_who_knows_all_is_refused():
    nearly, everything = [i for i in range(1, 5000) if i != 4321], list(range(1, 5000))
    source = Negatives.of(known(nearly, everything, [], items=5000))
    assert source.possible().tolist() == [True, False, True]
    assert set(source.for_users(np.array([0, 0]), 100, 0).ravel()) == {4321}
    refused(InputError, lambda: source.for_users(np.array([2, 1]), 1, 0), "every item")
    popular = Negatives.of(known(nearly, everything, items=5000), "popularity")
    assert set(popular.for_users(np.array([0]), 50, 0).ravel()) == {4321}


def test_one_item_is_refused():
    refused(InputError, lambda: Negatives.of(known([1], items=2)), "only one item")


def test_the_same_numbers_draw_the_same():
    source, users = Negatives.of(POPULAR), np.array([0, 5, 0])
    once = source.for_users(users, 8, 11)
    assert (once == source.for_users(users, 8, 11)).all()
    # a draw depends on its own row and column and on nothing drawn before
    assert (once[:2, :3] == source.for_users(users[:2], 3, 11)).all()
    assert (once != source.for_users(users, 8, 12)).any()
    assert (once[0] != once[2]).any()
    assert (source.shared(9, 4)[:5] == source.shared(5, 4)).all()


def test_unsorted_positives_are_sorted_first():
    matrix = sp.csr_array((np.ones(4), [7, 2, 5, 2], [0, 4]), shape=(1, 9))
    drawn = Negatives.of(matrix).for_users(np.zeros(1, dtype=np.int64), 500, 0)
    assert set(drawn.ravel()) == {1, 3, 4, 6, 8}
    assert matrix.indices.tolist() == [7, 2, 5, 2]


def test_step_seeds_differ():
    seeds = {step_seed(s, e, t) for s in range(4) for e in range(4) for t in range(4)}
    assert len(seeds) == 64
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3)


def test_known_marks_every_positive_among_shared_draws() -> None:
    rng = np.random.default_rng(3)
    dense = rng.random((20, 31)) < 0.3
    dense[:, 0] = False
    source = Negatives.of(sp.csr_array(dense.astype(np.float32)))
    users = rng.integers(0, 20, 50)
    items = source.shared(200, seed=1)  # with repeats
    assert np.array_equal(source.known(users, items), dense[users][:, items])
