"""Vectors passed along the edges between users and items.

Special: the mean over layers is one function with one backward pass. Passing along an edge is
linear and symmetric, so the gradient is passed along the same edges (Horner's scheme, one sweep per
layer) and no layer is kept for it. The kernel takes eight neighbours at a time and is as fast as
MKL's sparse product, which not every build of torch has.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor

from honeyguide.nn.parallel import over_rows


@dataclass(frozen=True, eq=False)
class Edges:
    """Who took what, (U, I), each edge weighted 1 / sqrt(degree of user * degree of item).

    A node without an edge receives nothing. Nodes are numbered users first: U + I of them.
    """

    matrix: sp.csr_array

    @staticmethod
    def of(pairs: sp.csr_array) -> "Edges":
        """The edges of a (U, I) matrix of pairs, whatever its values are."""
        users = np.maximum(np.diff(pairs.indptr), 1)
        items = np.maximum(np.bincount(pairs.indices, minlength=pairs.shape[1]), 1)
        values = np.repeat(users, np.diff(pairs.indptr)).astype(np.float64) * items[pairs.indices]
        weights = (values**-0.5).astype(np.float32)
        return Edges(sp.csr_array((weights, pairs.indices, pairs.indptr), shape=pairs.shape))

    @cached_property
    def transposed(self) -> sp.csr_array:
        """(I, U)."""
        return sp.csr_array(self.matrix.T)

    def spread(self, nodes: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """What each node receives from its neighbours; no gradient is kept."""
        users = self.matrix.shape[0]
        if nodes.device.type != "cpu":
            return self._by_torch(nodes)
        out = torch.empty_like(nodes, memory_format=torch.contiguous_format)
        times(self.matrix, nodes[users:], out[:users])
        times(self.transposed, nodes[:users], out[users:])
        return out

    def _by_torch(self, nodes: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """The same by torch's sparse product, for other devices."""
        users = self.matrix.shape[0]
        table = self._on(nodes.device)
        return torch.cat([table[0] @ nodes[users:], table[1] @ nodes[:users]])

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._moved:
            self._moved[device] = (
                _tensor(self.matrix).to(device),
                _tensor(self.transposed).to(device),
            )
        return self._moved[device]

    @cached_property
    def _moved(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}


def layers_mean(
    nodes: Float[Tensor, "N D"], edges: Edges, weights: tuple[float, ...]
) -> Float[Tensor, "N D"]:
    """weights[0] of the nodes themselves + weights[k] of what has passed along k edges."""
    mean: Tensor = _Mean.apply(nodes, edges, weights)  # type: ignore[no-untyped-call]
    return mean


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, nodes: Tensor, edges: Edges, weights: tuple[float, ...]) -> Tensor:
        ctx.edges, ctx.weights = edges, weights
        return _horner(nodes.detach(), edges, weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _horner(grads[0], ctx.edges, ctx.weights), None, None


def _horner(nodes: Tensor, edges: Edges, weights: tuple[float, ...]) -> Tensor:
    """w0 x + A (w1 x + A (w2 x + ...))."""
    summed = nodes * weights[-1]
    for weight in reversed(weights[:-1]):
        summed = edges.spread(summed)
        if weight:
            summed.add_(nodes, alpha=weight)
    return summed


def disturbed_layers(
    nodes: Float[Tensor, "N D"],
    edges: Edges,
    layers: int,
    size: float,
    seen: int,
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Mean over layers 1 to `layers`, and layer `seen`, with noise of length `size` on each layer.

    The noise has the signs of the vector that it is added to (Yu et al. 2023, equation 8); its
    gradient is zero, so the way back is again linear.
    """
    mean, layer = _Disturbed.apply(nodes, edges, layers, size, seen)  # type: ignore[no-untyped-call]
    return mean, layer


class _Disturbed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, nodes: Tensor, edges: Edges, layers: int, size: float, seen: int
    ) -> tuple[Tensor, Tensor]:
        ctx.edges, ctx.layers, ctx.seen = edges, layers, seen
        layer, mean, picked = nodes.detach(), torch.zeros_like(nodes), nodes
        for number in range(1, layers + 1):
            layer = edges.spread(layer)
            noise = torch.nn.functional.normalize(torch.rand_like(layer))
            layer.addcmul_(layer.sign(), noise, value=size)
            mean.add_(layer, alpha=1 / layers)
            if number == seen:
                picked = layer.clone()
        return mean, picked

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        of_mean, of_picked = grads
        summed = torch.zeros_like(of_mean)
        for number in range(ctx.layers, 0, -1):
            summed.add_(of_mean, alpha=1 / ctx.layers)
            if number == ctx.seen:
                summed.add_(of_picked)
            summed = ctx.edges.spread(summed)
        return summed, None, None, None, None


def _tensor(matrix: sp.csr_array) -> Tensor:
    places = np.stack(matrix.tocoo().coords).astype(np.int64)
    made = torch.sparse_coo_tensor(
        torch.from_numpy(places),
        torch.from_numpy(matrix.data),
        size=matrix.shape,
        check_invariants=False,
    )
    return made.coalesce()


def times(
    matrix: sp.csr_array, table: Float[Tensor, "J D"], out: Float[Tensor, "N D"] | None = None
) -> Float[Tensor, "N D"]:
    """A sparse (N, J) matrix times a dense table, on the CPU; into `out` where that is given."""
    if out is None:
        out = torch.empty(matrix.shape[0], table.shape[1])
    held, received = table.contiguous().numpy(), out.numpy()
    # unsigned, or each look at a row is a branch: a negative number would count from the end
    nodes = matrix.indices.view(f"u{matrix.indices.dtype.itemsize}")
    over_rows(
        len(out),
        lambda a, b: _neighbours(matrix.indptr[a : b + 1], nodes, matrix.data, held, received[a:b]),
    )
    return out


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")
def _neighbours(ends, nodes, weights, held, out):  # type: ignore[no-untyped-def]
    width = held.shape[1]
    for row in range(len(out)):
        summed = out[row]
        summed[:] = 0
        k, last = ends[row], ends[row + 1]
        while k + 8 <= last:  # weights are looked up one by one: a slice of them cost half the time
            a, b, c, d = held[nodes[k]], held[nodes[k + 1]], held[nodes[k + 2]], held[nodes[k + 3]]
            p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            k += 4
            e, f, g, h = held[nodes[k]], held[nodes[k + 1]], held[nodes[k + 2]], held[nodes[k + 3]]
            t, u, v, w = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            k += 4
            for x in range(width):
                first = p * a[x] + q * b[x] + r * c[x] + s * d[x]
                summed[x] += first + t * e[x] + u * f[x] + v * g[x] + w * h[x]
        while k < last:
            a, p = held[nodes[k]], weights[k]
            for x in range(width):
                summed[x] += p * a[x]
            k += 1
