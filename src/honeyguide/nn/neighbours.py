"""Sparse square matrices with as many entries in each row: what stands in (I, K) of two tables."""

import numpy as np
import torch
from jaxtyping import Float32, Int32
from numba import njit
from torch import Tensor

from honeyguide.nn.parallel import over_rows


def add_up(
    items: Tensor,
    weights: Tensor,
    offsets: Tensor,
    neighbour: Int32[Tensor, "I K"],
    value: Float32[Tensor, "I K"],
) -> Float32[Tensor, "B I"]:
    """Rows of pairs (see data.query.Pairs) times the (I, I) matrix of these entries."""
    rows, width = len(offsets) - 1, len(neighbour)
    scores = torch.zeros(rows, width, device=value.device)
    if value.device.type != "cpu":
        return _by_torch(scores, items, weights, offsets, neighbour, value)
    out, neighbours, values = scores.numpy(), neighbour.numpy(), value.numpy()
    ends, columns, worth = offsets.numpy(), items.numpy(), weights.numpy()
    over_rows(
        rows,
        lambda a, b: _add_up(ends[a : b + 1], columns, worth, neighbours, values, out[a:b]),
    )
    return scores


def _by_torch(
    scores: Float32[Tensor, "B I"],
    items: Tensor,
    weights: Tensor,
    offsets: Tensor,
    neighbour: Int32[Tensor, "I K"],
    value: Float32[Tensor, "I K"],
) -> Float32[Tensor, "B I"]:
    """The same without the kernel, for other devices."""
    row = torch.repeat_interleave(torch.arange(len(scores), device=items.device), offsets.diff())
    places = row[:, None] * scores.shape[1] + neighbour[items].long()
    values = value[items] * weights[:, None]
    scores.view(-1).index_add_(0, places.view(-1), values.view(-1))
    return scores


def keep_largest(
    block: Float32[np.ndarray, "N I"],
    start: int,
    neighbour: Int32[Tensor, "I K"],
    value: Float32[Tensor, "I K"],
) -> None:
    """Keep the K largest entries of these rows, the first of which is row `start`."""
    top = torch.from_numpy(block).topk(neighbour.shape[1], dim=1)
    neighbour[start : start + len(block)] = top.indices
    value[start : start + len(block)] = top.values


@njit(cache=True, nogil=True)
def _add_up(offsets, items, weights, neighbour, value, out):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        for place in range(offsets[row], offsets[row + 1]):
            item, weight = items[place], weights[place]
            for n in range(neighbour.shape[1]):
                out[row, neighbour[item, n]] += value[item, n] * weight
