"""Sizes are rounded to few, and batches of sequences have shapes that come again."""

import numpy as np
import torch

from honeyguide.data.epoch import by_length
from honeyguide.nn.causal import attend
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
    lengths = np.minimum(draw.geometric(0.01, 20_000), 200)
    seen: list[tuple[int, int]] = []
    for _ in range(6):
        batches = by_length(lengths, 128, draw)
        seen += [(len(rows), rounded_up(int(lengths[rows].max()))) for rows in batches]
    assert len(seen) > 900
    assert len(set(seen)) < 0.2 * len(seen)


def test_attention_by_blocks_that_overlap(monkeypatch):
    q, k, v = (torch.randn(7, 5, 4, requires_grad=True) for _ in range(3))
    whole = torch.autograd.grad(attend(q, k, v).sin().sum(), (q, k, v))
    monkeypatch.setattr("honeyguide.nn.causal.BLOCK_BYTES", 3 * 5 * 5 * 4)
    parts = torch.autograd.grad(attend(q, k, v).sin().sum(), (q, k, v))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)
