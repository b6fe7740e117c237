"""Whether an order of reasons is true to the model: take the reasons away, or give them alone.

Deletion: the items of a history are removed, the first of the order first; the sooner the explained
item falls, the truer the order. Insertion: it starts from nothing and adds them; the sooner the
item rises, the truer. Petsiuk et al. 2018 (RISE); the rank stands in place of a class probability,
as Barkan et al. 2024 have it for recommenders. Special: all people and all steps are rows of one
question, and a model is asked for nothing but scores.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from honeyguide.data.interactions import Interactions, take_rows
from honeyguide.data.vocab import PAD
from honeyguide.evaluate.evaluator import padded_items
from honeyguide.explain.effects import ranks
from honeyguide.explain.histories import remade, scores
from honeyguide.models.spec import Model
from honeyguide.rank.topk import exclude_items

Way = Literal["deletion", "insertion"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What became of the target of each of B people after 1 to S steps.

    rank: 0 where nothing was asked, because the order had ended or no event was left. score: the
    model's, NaN there.
    """

    rank: Int64[np.ndarray, "B S"]
    score: Float32[np.ndarray, "B S"]

    @property
    def gain(self) -> Float64[np.ndarray, "B S"]:
        """1 / log2(1 + rank): 1 while it stands first, towards 0 as it falls; NaN, not asked."""
        gain: Float64[np.ndarray, "B S"] = np.where(self.rank > 0, self.rank, np.nan)
        told: Float64[np.ndarray, "B S"] = 1 / np.log2(1 + gain)
        return told

    @property
    def area(self) -> Float64[np.ndarray, " B"]:
        """The mean gain over the steps: of deletion less is better, of insertion more. NaN where
        no step was asked."""
        steps = (self.rank > 0).sum(1)
        total = np.nan_to_num(self.gain).sum(1)
        return np.where(steps > 0, total / np.maximum(steps, 1), np.nan)


@torch.inference_mode()
def curve(
    model: Model,
    past: Interactions,
    targets: Int64[np.ndarray, " B"],
    order: Int64[np.ndarray, "B L"],
    *,
    way: Way,
    steps: int,
) -> Curve:
    """Follow the target of each of B people for so many steps.

    past: their events which count (Spec.rule). order: item numbers of each history, the most
    important first, PAD behind; an item that is not in it is never removed, nor added. Ranks are
    among the items that are not in the whole history.
    """
    person, step = (index.ravel() for index in np.indices((len(targets), steps)))
    rows, ends = take_rows(past.offsets, person)
    reached = _places(past, order)[rows] <= np.repeat(step, np.diff(ends))
    made = remade(past, person, reached if way == "insertion" else ~reached)
    asked = (step < (order != PAD).sum(1)[person]) & (made.lengths > 0)
    seen = padded_items(past, np.arange(past.n_users))
    rank, score = np.zeros(len(person), np.int64), np.full(len(person), np.nan, np.float32)
    stop = 0
    for block in scores(model, made):
        start, stop = stop, stop + len(block)
        who = torch.from_numpy(person[start:stop])
        target = torch.from_numpy(targets)[who, None]
        own = block.gather(1, target)
        rank[start:stop] = ranks(exclude_items(block, seen[who]), own, target)[:, 0]
        score[start:stop] = own[:, 0]
    rank[~asked], score[~asked] = 0, np.nan
    shape = (len(targets), steps)
    return Curve(rank.reshape(shape), score.reshape(shape))


def _places(past: Interactions, order: Int64[np.ndarray, "B L"]) -> Int64[np.ndarray, " N"]:
    """By event: the place of its item in the order of its person, from 0; behind all if it has
    none."""
    person, place = np.nonzero(order != PAD)
    if not len(place):  # histories of searches only
        return np.full(len(past), past.n_items)
    keys = person * past.n_items + order[person, place]
    by_key = np.argsort(keys)
    wanted = past.user.astype(np.int64) * past.n_items + past.item
    found = np.searchsorted(keys[by_key], wanted).clip(max=len(keys) - 1)
    is_there = keys[by_key[found]] == wanted
    return np.where(is_there, place[by_key[found]], past.n_items)
