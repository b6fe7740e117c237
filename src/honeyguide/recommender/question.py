"""Who asks, with what history, and the Query that comes of it: the one that training builds.

A trained row goes with the question only of those who have one; whether the history is still the
one it was trained on is the model's to see (`as_of`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Int64

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query, query
from honeyguide.data.vocab import UNKNOWN_USER
from honeyguide.models.spec import AnsweredBy
from honeyguide.rank.rankers import Exhaustive
from honeyguide.recommender.names import are_histories, checked, column, histories_asked
from honeyguide.recommender.state import State
from honeyguide.types import Ranking


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """B people: their events (numbered 0 to B - 1), how many of these the model cannot use, their
    trained rows or -1, and their names."""

    past: Interactions
    skipped: Int64[np.ndarray, " B"]
    trained: Int64[np.ndarray, " B"]
    names: pl.Series


def people_asked(state: State, asked: list[Any]) -> People:
    """Users by name, or histories of strangers. Raises CallError, InputError: see names."""
    if are_histories(asked):
        past, skipped = histories_asked(asked, state.items.vocab)
        names, trained = past.users.names, np.full(len(asked), UNKNOWN_USER)
    else:
        asked = checked(asked, "a user")
        names, past = column(asked, "users"), state.histories
        rows = state.users.vocab.numbers(asked)
        trained = np.where(rows < state.model.schema.users, rows, UNKNOWN_USER)
        if (rows < 0).any():
            # a user nobody knows gets an empty row behind all others
            past = replace(past, offsets=np.append(past.offsets, past.offsets[-1]))
            rows = np.where(rows < 0, state.histories.n_users, rows)
        past, skipped = past.of_users(rows), np.zeros(len(asked), np.int64)
    late = past.item >= state.scorable
    if late.any():
        skipped = skipped + np.bincount(past.user[late], minlength=len(asked))
    return People(past, skipped, trained, names)


def question_of(state: State, people: People) -> Query:
    """The same Query that training and evaluation build."""
    spec = state.model.spec
    counted = scorable(state, people.past).counting(spec.rule)
    asked = query(counted, np.arange(len(people.trained)), history=spec.past)
    return replace(asked, user=torch.from_numpy(people.trained))


def scorable(state: State, past: Interactions) -> Interactions:
    """Events of items that the model knows."""
    return past.only(past.item < state.scorable)


class Known(Exhaustive):
    """Asks the model with trained rows only: who came after training has a number but no row."""

    def rank(self, query: Query, k: int, **rest: Any) -> Ranking:
        """See types.Ranker."""
        return super().rank(self._asked(query), k, **rest)

    def answered_by(self, query: Query) -> Iterable[AnsweredBy]:
        """What each answer rests on."""
        return super().answered_by(self._asked(query))

    def _asked(self, query: Query) -> Query:
        late = query.user >= self.model.schema.users
        return replace(query, user=query.user.masked_fill(late, UNKNOWN_USER))
