"""Who is like whom and what is like what, for any model."""

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn.functional import normalize

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query, query
from honeyguide.data.vocab import Vocab
from honeyguide.errors import CallError
from honeyguide.models.spec import Vectors
from honeyguide.rank.topk import top_k
from honeyguide.recommender.names import histories_asked
from honeyguide.recommender.state import State
from honeyguide.types import NEVER, Ranking

By = Literal["cosine", "dot", "euclid"]


def by_named(text: str | None) -> By | None:
    """The measure with this name; CallError lists them."""
    if text is not None and text not in get_args(By):
        raise CallError(
            f"{text!r} is no measure of likeness.", f"Choose one of {', '.join(get_args(By))}."
        )
    return text  # type: ignore[return-value]


@torch.inference_mode()
def items(
    state: State, numbers: Int64[np.ndarray, " B"], wanted: pl.Series, k: int, by: By | None
) -> pl.DataFrame:
    """item_id, similar_id, score, rank: see Recommender.similar."""
    rows = torch.from_numpy(numbers)
    if isinstance(state.model, Vectors):
        scores = _between(state.model.kept_vectors(), rows, by or "cosine")
    elif by is None:
        alone, _ = histories_asked([[name] for name in wanted], state.items.vocab)
        scores = _above_zero(state.model.score(_alone(alone, state)))
    else:
        matrix = state.histories.pairs(state.model.spec.rule)[:, : state.scorable]
        scores = _between_sparse(matrix.T.tocsr(), numbers, by)
    scores[:, 0] = NEVER
    scores[torch.arange(len(rows)), rows] = NEVER
    return _named(top_k(scores, k), wanted, "item_id", state.items.vocab)


@torch.inference_mode()
def users(
    state: State,
    blocks: Iterable[Query],
    numbers: Int64[np.ndarray, " B"],
    wanted: pl.Series,
    k: int,
    by: By | None,
) -> pl.DataFrame:
    """user_id, similar_id, score, rank: see Recommender.similar_users. blocks: all users."""
    rows = torch.from_numpy(numbers)
    if isinstance(state.model, Vectors):
        vectors = torch.cat([state.model.query_vectors(block) for block in blocks])
        scores = _between(vectors, rows, by or "cosine")
    else:
        matrix = state.histories.pairs(state.model.spec.rule)
        scores = _between_sparse(matrix, numbers, by or "cosine")
    scores[torch.arange(len(rows)), rows] = NEVER
    return _named(top_k(scores, k), wanted, "user_id", state.users.vocab)


def _between(
    vectors: Float32[Tensor, "N D"], rows: Int64[Tensor, " B"], by: By
) -> Float32[Tensor, "B N"]:
    """The likeness of some rows to all: inner product, cosine, or minus the distance."""
    if by == "cosine":
        vectors = normalize(vectors)
    return -torch.cdist(vectors[rows], vectors) if by == "euclid" else vectors[rows] @ vectors.T


def _between_sparse(
    matrix: sp.csr_array, numbers: Int64[np.ndarray, " B"], by: By
) -> Float32[Tensor, "B N"]:
    """The same between rows of pairs; where nothing is shared, dot and cosine say nothing."""
    matrix = matrix.copy()
    matrix.data = np.nan_to_num(matrix.data, nan=1.0)
    square = np.asarray(matrix.power(2).sum(axis=1)).ravel()
    dots = (matrix[numbers] @ matrix.T).toarray()
    if by == "euclid":
        apart = np.sqrt(np.maximum(square[numbers, None] + square - 2 * dots, 0))
        return torch.from_numpy(-apart.astype(np.float32))
    if by == "cosine":
        size = np.sqrt(np.maximum(square, 1e-12))
        dots = dots / (size[numbers, None] * size)
    return _above_zero(torch.from_numpy(dots.astype(np.float32)))


def _above_zero(scores: Float32[Tensor, "B N"]) -> Float32[Tensor, "B N"]:
    """Nothing in common is no likeness: such a list would be filled by the order of numbers."""
    return scores.masked_fill(scores <= 0, NEVER)


def _alone(past: Interactions, state: State) -> Query:
    spec = state.model.spec
    return query(past.counting(spec.rule), np.arange(past.n_users), history=spec.past, known=False)


def _named(ranking: Ranking, wanted: pl.Series, key: str, vocab: Vocab) -> pl.DataFrame:
    row, place = np.nonzero(ranking.scores.numpy() > NEVER)
    return pl.DataFrame(
        {
            key: wanted.gather(row),
            "similar_id": vocab.of(ranking.items.numpy()[row, place]),
            "score": ranking.scores.numpy()[row, place],
            "rank": (place + 1).astype(np.int32),
        }
    )
