"""Windows of like lengths share a batch, each example comes once, and batches are as many."""

import numpy as np
import pytest

from honeyguide.data.epoch import POOL, by_length, permuted

LENGTHS = np.minimum(np.random.default_rng(0).geometric(0.02, 3000), 100)


def draw(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [1, 2, 15, 1000, 3000])
@pytest.mark.parametrize("batch", [1, 3, 64, 5000])
def test_every_example_once_in_as_many_batches(count, batch):
    for batches in (by_length(LENGTHS[:count], batch, draw()), permuted(count, batch, draw())):
        assert sorted(np.concatenate(batches)) == list(range(count))
        assert len(batches) == -(-count // batch)
        assert min(map(len, batches)) >= 1


def test_little_is_padding_and_batches_hold_as_much():
    batches = by_length(LENGTHS, 64, draw())
    padded = sum(len(rows) * LENGTHS[rows].max() for rows in batches)
    plain = sum(len(rows) * LENGTHS[rows].max() for rows in permuted(len(LENGTHS), 64, draw()))
    assert LENGTHS.sum() > 0.85 * padded
    assert padded < 0.6 * plain
    held = [LENGTHS[rows].sum() for rows in batches]
    # a last pool of few windows may be cut a little coarser or finer
    assert max(held) < 1.3 * LENGTHS.sum() / len(batches)


def test_another_epoch_has_other_batches_and_the_same_draw_the_same():
    one, other = by_length(LENGTHS, 64, draw()), by_length(LENGTHS, 64, draw())
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    alike = {frozenset(rows.tolist()) for rows in one}
    later = {frozenset(rows.tolist()) for rows in by_length(LENGTHS, 64, draw(2))}
    assert not alike & later
    assert len(LENGTHS) > POOL * 64, "windows of more than one pool meet by chance"
