"""Histories that did not happen: some events of a person left out, many such histories at once.

Special: a history is an argument, so "what if this event had not happened" is one more row of a
question. All rows are asked as a stranger's, because a trained user row has the event in it. B
people, R histories made of theirs, M events, I items with PAD.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import query
from honeyguide.data.vocab import PAD
from honeyguide.models.spec import Model

HELD = 1 << 26  # most scores, and most places of a question, held at once


def remade(
    past: Interactions, people: Int64[np.ndarray, " R"], stays: Bool[np.ndarray, " M"]
) -> Interactions:
    """A history of each of `people`, who may stand there often, of the events that stay.

    stays: for the events of the first of them, then of the second, and so on.
    """
    return past.of_users(people).only(stays)


def left_out(
    past: Interactions, people: Int64[np.ndarray, " R"], items: Int64[np.ndarray, " R"]
) -> Interactions:
    """The history of each of `people` without all events of one item; PAD leaves it whole."""
    whole = past.of_users(people)
    return whole.only((whole.item != items[whole.user]) | (whole.item == PAD))


def distinct(past: Interactions, person: int, last: int | None) -> Int64[np.ndarray, " L"]:
    """The different items among the `last` events of a person (None: all), the latest first."""
    own = past.item[past.offsets[person] : past.offsets[person + 1]][::-1][:last]
    items, first = np.unique(own, return_index=True)
    named = first[items != PAD]  # a search has no item
    found: Int64[np.ndarray, " L"] = own[np.sort(named)].astype(np.int64)
    return found


def scores(model: Model, histories: Interactions) -> Iterator[Float32[Tensor, "R I"]]:
    """The score of every item for each history in turn, in blocks that fit in HELD; usually one."""
    past, longest = model.spec.past, int(histories.lengths.max(initial=1))
    places = longest if past is None else min(longest, past)
    rows = max(1, HELD // max(model.schema.items, places))
    for start in range(0, histories.n_users, rows):
        asked = np.arange(start, min(start + rows, histories.n_users))
        with torch.inference_mode():
            block = model.score(query(histories, asked, history=past, known=False))
        yield block
