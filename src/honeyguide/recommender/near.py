"""Who is like whom and what is like what, for any model."""

from collections.abc import Iterable

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn.functional import normalize

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query, query
from honeyguide.data.vocab import Vocab
from honeyguide.models.spec import Vectors
from honeyguide.rank.topk import top_k
from honeyguide.recommender.names import histories_asked
from honeyguide.recommender.state import State
from honeyguide.types import NEVER, Ranking


@torch.inference_mode()
def items(
    state: State, numbers: Int64[np.ndarray, " B"], wanted: pl.Series, k: int
) -> pl.DataFrame:
    """item_id, similar_id, score, rank: see Recommender.similar."""
    rows = torch.from_numpy(numbers)
    if isinstance(state.model, Vectors):
        vectors = normalize(state.model.item_vectors())
        scores = vectors[rows] @ vectors.T
    else:
        alone, _ = histories_asked([[name] for name in wanted], state.items.vocab)
        scores = _above_zero(state.model.score(_alone(alone, state)))
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
) -> pl.DataFrame:
    """user_id, similar_id, score, rank: see Recommender.similar_users. blocks: all users."""
    rows = torch.from_numpy(numbers)
    if isinstance(state.model, Vectors):
        vectors = normalize(torch.cat([state.model.query_vectors(block) for block in blocks]))
        scores = vectors[rows] @ vectors.T
    else:
        scores = _above_zero(_history_cosine(state, numbers))
    scores[torch.arange(len(rows)), rows] = NEVER
    return _named(top_k(scores, k), wanted, "user_id", state.users.vocab)


def _above_zero(scores: Float32[Tensor, "B N"]) -> Float32[Tensor, "B N"]:
    """Nothing in common is no likeness: such a list would be filled by the order of numbers."""
    return scores.masked_fill(scores <= 0, NEVER)


def _alone(past: Interactions, state: State) -> Query:
    spec = state.model.spec
    return query(past.counting(spec.rule), np.arange(past.n_users), history=spec.past, known=False)


def _history_cosine(state: State, numbers: Int64[np.ndarray, " B"]) -> Float32[Tensor, "B U"]:
    matrix = state.histories.pairs(state.model.spec.rule)
    size = np.sqrt(np.maximum(np.asarray(matrix.power(2).sum(axis=1)).ravel(), 1e-12))
    dots = (matrix[numbers] @ matrix.T).toarray() / (size[numbers, None] * size)
    return torch.from_numpy(dots.astype(np.float32))


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
