"""Sparse rows times a dense table: the first layer of a network that reads what someone took."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from honeyguide.data.query import Pairs
from honeyguide.nn.graph import times


def rows_times(
    rows: Pairs, weights: Float[Tensor, " M"], table: Float[Tensor, "N H"]
) -> Float[Tensor, "B H"]:
    """The sum of the table's rows that each row names, by these weights; the dense (B, N) is never
    made. The gradient is the table's alone."""
    summed: Tensor = _SparseRows.apply(table, rows.items, weights, rows.offsets)  # type: ignore[no-untyped-call]
    return summed


class _SparseRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, items: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(items, weights, offsets)
        ctx.rows = len(table)
        if table.device.type != "cpu":
            return Pairs(items, weights, offsets).times(table.detach())
        return times(_matrix(items, weights, offsets, len(table)), table.detach())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        items, weights, offsets = ctx.saved_tensors
        grad = grads[0].float()
        if grad.device.type == "cpu":
            matrix = _matrix(items, weights, offsets, ctx.rows)
            return times(sp.csr_array(matrix.T), grad), None, None, None
        row = Pairs(items, weights, offsets).rows()
        summed = grad.new_zeros(ctx.rows, grad.shape[1])
        return summed.index_add_(0, items, grad[row] * weights[:, None]), None, None, None


def _matrix(items: Tensor, weights: Tensor, offsets: Tensor, width: int) -> sp.csr_array:
    values: np.ndarray = weights.detach().float().numpy()
    return sp.csr_array(
        (values, items.numpy(), offsets.numpy()), shape=(len(offsets) - 1, width), copy=False
    )
