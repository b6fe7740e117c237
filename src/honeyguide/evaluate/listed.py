"""Lists that somebody else made, as a Ranker, so that the one evaluator measures them too.

An item that training never saw keeps its place in the list as PAD, which is never a hit. Where
seen items are excluded, they are taken out and what follows moves up, as in our own lists.
Letters: N entries of all lists, U users, B queries, K cut-off.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from honeyguide.data.interactions import take_rows
from honeyguide.data.query import Query
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.types import NEVER, Ranking

Few = Int64[Tensor, " C"] | Int64[Tensor, "B C"]


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The list of user u is entries offsets[u] to offsets[u + 1], best first.

    items: PAD where training does not know the item. scores: minus the place of the score among the
    different ones of the list, so that equal scores stay equal in f32. strangers: users of the
    table who are unknown, and whose lists are left out.
    """

    offsets: Int64[np.ndarray, " U1"]
    items: Int64[np.ndarray, " N"]
    scores: Float32[np.ndarray, " N"]
    strangers: int = 0

    @staticmethod
    def of(table: pl.DataFrame, users: Vocab, items: Vocab) -> "Listed":
        """From user_id, item_id and rank (ascending) or score (descending); see read_lists.

        Equal ones stand in the order of the rows.
        """
        number = users.numbers(table["user_id"])
        known = number >= 0
        key = table["rank"] if "rank" in table.columns else -table["score"]
        order = np.lexsort((key.to_numpy(), number))  # is stable
        order = order[known[order]]
        user, sorted_key = number[order], key.to_numpy()[order]
        offsets = np.searchsorted(user, np.arange(len(users) + 1)).astype(np.int64)
        other = np.ones(len(order), dtype=bool)
        other[1:] = (user[1:] != user[:-1]) | (sorted_key[1:] != sorted_key[:-1])
        so_far = np.concatenate([[0], np.cumsum(other)])
        place = so_far[1:] - 1 - so_far[offsets[:-1]][user]
        return Listed(
            offsets=offsets,
            items=items.numbers(table["item_id"])[order],
            scores=-place.astype(np.float32),
            strangers=table["user_id"].filter(pl.Series(~known)).n_unique(),
        )

    def rank(
        self,
        query: Query,
        k: int,
        *,
        candidates: Few | None = None,
        allow: Bool[Tensor, " I"] | None = None,
        exclude: Int64[Tensor, "B E"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Ranking:
        """See types.Ranker. Whoever has no list gets an empty one."""
        users = query.user.cpu().numpy()
        rows, ends = take_rows(self.offsets, users.clip(min=0))
        owner = np.repeat(np.arange(len(users)), np.diff(ends))
        items = self.items[rows]
        kept = users[owner] >= 0
        if exclude is not None:
            kept &= ~_within(owner, items, exclude)
        if candidates is not None:
            kept &= _within(owner, items, candidates.expand(len(users), -1))
        if allow is not None:
            kept &= allow.cpu().numpy()[items]
        so_far = np.concatenate([[0], np.cumsum(kept)])
        place = so_far[1:] - 1 - so_far[ends[:-1]][owner]  # among the kept ones of its list
        kept &= place < k
        out = np.zeros((len(users), k), dtype=np.int64)
        scores = np.full((len(users), k), NEVER, dtype=np.float32)
        out[owner[kept], place[kept]] = items[kept]
        scores[owner[kept], place[kept]] = np.where(
            items[kept] == PAD, np.float32(NEVER), self.scores[rows][kept]
        )
        device = query.user.device
        return Ranking(torch.from_numpy(out).to(device), torch.from_numpy(scores).to(device))


@dataclass(frozen=True, slots=True)
class Counts:
    """What stands in the lists of the users who are asked, and who has none.

    asked: users. without_list: of these, those who have none, which are misses. not_asked: lists of
    others, left out. unknown: entries of items that training never saw. seen: entries that the user
    had seen. tied: lists with equal scores beside each other. shorter: lists that end before the
    deepest place that is looked at.
    """

    asked: int
    without_list: int
    not_asked: int
    unknown: int
    seen: int
    tied: int
    shorter: int


def counts(listed: Listed, holdout: Holdout, depth: int, *, exclude_seen: bool) -> Counts:
    """Count before anything is measured."""
    lengths = np.diff(listed.offsets)
    rows, ends = take_rows(listed.offsets, holdout.users)
    owner = np.repeat(np.arange(len(holdout.users)), np.diff(ends))
    items, scores = listed.items[rows], listed.scores[rows]
    history = holdout.history.seen()
    width = holdout.history.n_items
    seen = np.isin(
        holdout.users[owner] * width + items, history.user.astype(np.int64) * width + history.item
    )
    tied = np.zeros(len(holdout.users), dtype=bool)
    tied[owner[1:][(owner[1:] == owner[:-1]) & (scores[1:] == scores[:-1])]] = True
    asked = lengths[holdout.users]
    left = asked - np.bincount(owner[seen], minlength=len(asked)) if exclude_seen else asked
    return Counts(
        asked=len(holdout.users),
        without_list=int((asked == 0).sum()),
        not_asked=int((lengths > 0).sum() - (asked > 0).sum()) + listed.strangers,
        unknown=int((items == PAD).sum()),
        seen=int(seen.sum()),
        tied=int(tied.sum()),
        shorter=int(((left < depth) & (asked > 0)).sum()),
    )


def _within(
    owner: Int64[np.ndarray, " N"], items: Int64[np.ndarray, " N"], few: Int64[Tensor, "B E"]
) -> Bool[np.ndarray, " N"]:
    """Which entries stand in the row `few` of their owner; PAD stands in none."""
    theirs = few.cpu().numpy()
    width = int(max(items.max(initial=0), theirs.max(initial=0))) + 1
    keys = np.arange(len(theirs))[:, None] * width + theirs
    found: Bool[np.ndarray, " N"] = np.isin(owner * width + items, keys[theirs != PAD])
    return found
