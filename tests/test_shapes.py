"""Sizes are rounded to few, and batches of sequences have shapes that come again."""

import numpy as np
import polars as pl
import torch

from honeyguide.data.batch import examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.models.sasrec import SASRec
from honeyguide.nn.attend import attend
from honeyguide.nn.softmax import softmax
from honeyguide.shapes import rounded, rounded_up


def test_sizes_have_four_leading_bits():
    sizes = range(1, 5000)
    up = [rounded_up(size) for size in sizes]
    assert all(size <= above < 1.13 * size for size, above in zip(sizes, up, strict=True))
    assert all(rounded_up(size) == size for size in up)
    assert len({size for size in up if 1024 <= size < 2048}) == 8
    near = [rounded(size) for size in sizes]
    assert all(abs(size - by) <= size / 16 for size, by in zip(sizes, near, strict=True))
    assert set(near) <= {*up, 5120}


def test_shapes_of_batches_come_again():
    draw = np.random.default_rng(0)
    lengths = np.minimum(draw.geometric(0.01, 5_000), 250)
    users = np.repeat(np.arange(len(lengths)), lengths)
    events = pl.DataFrame({"user_id": users, "item_id": draw.integers(0, 50, len(users))})
    events = events.with_columns(order=pl.int_range(len(users)))
    spec = SASRec(history=200, loss="softmax")
    cut = examples(Interactions.of(Table(events)), spec.asked())
    seen = [
        tuple(cut.batch(rows, 0).query.item.shape)
        for _ in range(4)
        for rows in cut.epoch(128, draw)
    ]
    assert len(seen) > 150
    assert len(set(seen)) < 0.4 * len(seen)
    assert max(width for _, width in seen) == 200, "and none is wider than the history"


def test_blocks_of_the_softmax_have_sizes_that_come_again(monkeypatch):
    seen, plain = set(), torch.mm

    def watched(left, right, out):
        seen.add(len(left))
        return plain(left, right, out=out)

    monkeypatch.setattr(torch, "mm", watched)
    table = torch.randn(30, 4, requires_grad=True)
    for count in range(500, 600):
        softmax(torch.randn(count, 4), table, torch.ones(count, dtype=torch.int64))
    assert len(seen) <= 3


def test_attention_by_blocks_that_overlap(monkeypatch):
    q, k, v = (torch.randn(7, 5, 4, requires_grad=True) for _ in range(3))
    whole = torch.autograd.grad(attend(q, k, v).sin().sum(), (q, k, v))
    monkeypatch.setattr("honeyguide.nn.attend.BLOCK_BYTES", 3 * 5 * 5 * 4)
    parts = torch.autograd.grad(attend(q, k, v).sin().sum(), (q, k, v))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)
