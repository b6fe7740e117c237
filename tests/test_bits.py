"""Kernels read and write bf16 as torch does."""

import numpy as np
import pytest
import torch
from numba import njit
from numba.core.errors import TypingError

from honeyguide.nn.bits import bits_of, in_order, narrow, wide

EDGES = [0.0, -0.0, 1.0, -1.0, 3.1415927, 1e-40, -1e-40, 3e38, float("inf"), -float("inf")]


@njit
def copied(given, made):
    for n in range(len(made)):
        made[n] = narrow(wide(given[n]), made[n])


@njit
def largest(bits):
    key = in_order(bits[0])
    for n in range(len(bits)):
        key = max(key, in_order(bits[n]))
    return wide(in_order(key))


def numbers() -> torch.Tensor:
    drawn = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.tensor(EDGES), drawn, drawn * 1e30])


@pytest.mark.parametrize("into", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("of", [torch.float32, torch.bfloat16])
def test_a_copy_is_torchs(of, into):
    given = numbers().to(of)
    made = torch.empty(len(given), dtype=into)
    copied(bits_of(given), bits_of(made))
    assert torch.equal(made, given.to(into))


def test_nan_stays_nan():
    given, made = torch.tensor([float("nan"), -float("nan")]), torch.empty(2, dtype=torch.bfloat16)
    copied(bits_of(given), bits_of(made))
    assert made.isnan().all()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_largest_by_integers_is_the_largest(kind):
    drawn = torch.randn(200, 7, generator=torch.Generator().manual_seed(1)).to(kind)
    below = -drawn.abs() - 1
    for row in [*drawn, *below, torch.tensor([-float("inf"), -1e38]).to(kind)]:
        assert largest(bits_of(row)) == row.float().max().item()


def test_other_integers_are_refused():
    with pytest.raises(TypingError):
        largest(np.zeros(3, np.int64))
