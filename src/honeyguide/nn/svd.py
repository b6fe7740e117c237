"""The largest singular values of a large sparse matrix, by random projection.

Halko, Martinsson and Tropp 2011, algorithm 4.4 (subspace iteration). Deterministic for a seed.
"""

import scipy.sparse as sp
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.nn.graph import Edges, times

OVERSAMPLED = 32
SWEEPS = 4  # of Gowalla's 512th value 4 leave an error of about one per mille


def top_singular(
    matrix: sp.csr_array, rank: int, seed: int
) -> tuple[Float32[Tensor, " R"], Float32[Tensor, "I R"]]:
    """The `rank` largest singular values of (U, I), falling, and their right singular vectors."""
    draw = torch.Generator().manual_seed(seed)
    transposed = sp.csr_array(matrix.T)
    width = min(rank + OVERSAMPLED, *matrix.shape)
    basis = torch.randn(matrix.shape[1], width, generator=draw)
    for _ in range(SWEEPS):
        basis = torch.linalg.qr(times(transposed, times(matrix, basis)))[0]
    projected = times(matrix, basis)
    # the small Gram matrix instead of a tall SVD; squared values lose nothing that a filter needs
    squared, turned = torch.linalg.eigh((projected.T @ projected).double())
    top = squared.flip(0)[:rank].clamp(min=0).sqrt().float()
    vectors = basis @ turned.flip(1)[:, :rank].float()
    return top, vectors.contiguous()


def spectral_rows(
    pairs: sp.csr_array, width: int
) -> tuple[Float32[Tensor, "U R"], Float32[Tensor, "I R"], Float32[Tensor, " R"]]:
    """A vector per user and per item whose inner products are nearest to the edges of the graph,
    and the singular values, falling, that belong to their columns.

    pairs: who took what, (U, I), weighed as in graph.py. R: `width`, or the shorter side of pairs.
    """
    edges = Edges.of(pairs).matrix
    size, right = top_singular(edges, width, seed=0)
    root = size.clamp(min=1e-6).sqrt()
    return times(edges, right) / root, right * root, size
