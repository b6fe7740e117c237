"""Sparse times sparse, into a dense block: what neighbourhood models score with.

`add_up` is for square matrices with as many entries in each row, which stand in (I, K) of two
tables; `dense_product` for any.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64
from numba import njit
from torch import Tensor

from honeyguide.data.query import Pairs
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


def dense_product(rows: Pairs, matrix: Pairs, width: int) -> Float32[Tensor, "B N"]:
    """Sparse rows (B, J) times a sparse matrix (J, N) of ones; width is N."""
    count = len(rows.offsets) - 1
    if rows.items.device.type != "cpu":
        summed: Tensor = torch.sparse.mm(_coo(rows, len(matrix.offsets) - 1), _coo(matrix, width))
        return summed.to_dense()
    out = torch.zeros(count, width)
    ends, items, weights = rows.offsets.numpy(), rows.items.numpy(), rows.weights.numpy()
    starts, columns, received = matrix.offsets.numpy(), matrix.items.numpy(), out.numpy()
    over_rows(
        count,
        lambda a, b: _multiply(ends[a : b + 1], items, weights, starts, columns, received[a:b]),
    )
    return out


def _coo(rows: Pairs, width: int) -> Tensor:
    places = torch.stack([rows.rows(), rows.items])
    size = (len(rows.offsets) - 1, width)
    return torch.sparse_coo_tensor(places, rows.weights, size=size, check_invariants=False)


def keep_largest(
    block: Float32[np.ndarray, "N J"],
    rows: Int64[np.ndarray, " N"],
    columns: Int64[np.ndarray, " J"],
    neighbour: Int32[Tensor, "I K"],
    value: Float32[Tensor, "I K"],
) -> None:
    """Keep the K largest entries of these rows, whose columns are those of these items."""
    top = torch.from_numpy(block).topk(min(neighbour.shape[1], len(columns)), dim=1)
    neighbour[rows, : top.indices.shape[1]] = torch.from_numpy(columns)[top.indices].int()
    value[rows, : top.values.shape[1]] = top.values


@njit(cache=True, nogil=True)
def _add_up(offsets, items, weights, neighbour, value, out):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        for place in range(offsets[row], offsets[row + 1]):
            item, weight = items[place], weights[place]
            for n in range(neighbour.shape[1]):
                out[row, neighbour[item, n]] += value[item, n] * weight


@njit(cache=True, nogil=True)
def _multiply(ends, items, weights, starts, columns, out):  # type: ignore[no-untyped-def]
    for row in range(len(ends) - 1):
        received = out[row]
        for place in range(ends[row], ends[row + 1]):
            item, weight = items[place], weights[place]
            if weight != 0:
                for n in range(starts[item], starts[item + 1]):
                    received[columns[n]] += weight
