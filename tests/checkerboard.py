"""A log whose answer the eye can see: nobody takes an item of the other block.

The first half of the users belongs to the first block. Numbers of items: 1 to 10 and 11 to 20 are
the blocks, 21 is an item that nobody took.
"""

import numpy as np
import polars as pl
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.table import Table
from honeyguide.data.vocab import PAD, UNKNOWN_USER, Vocab

USERS, BLOCK, TAKEN = 60, 10, 7  # users; items of a block; items that each user took
ITEMS = 2 * BLOCK + 2  # PAD, both blocks, and one item that nobody took
UNTAKEN = ITEMS - 1


def block_of(users: np.ndarray) -> np.ndarray:
    """0 for the first half of the users, 1 for the second."""
    return np.asarray(users >= USERS // 2, dtype=np.int64)


def taken(user: int) -> np.ndarray:
    """The item numbers that a user took, in order: any seven of the block, in any order.

    So the block is all there is to learn, for a model that looks at the order, too.
    """
    places = np.random.default_rng(user).permutation(BLOCK)[:TAKEN]
    return np.asarray(1 + places + BLOCK * int(user >= USERS // 2), dtype=np.int64)


def checkerboard(*, ordered: bool = True, rated: bool = False) -> Interactions:
    """The events by all users; without times or any other order if not `ordered`.

    rated: what was taken is worth 5, and each user has rated seven of the other block with 1.
    """
    items = np.concatenate([taken(user) for user in range(USERS)])
    users = np.repeat(np.arange(USERS), TAKEN)
    events = pl.DataFrame({"user_id": users, "item_id": items, "kind": "purchase"})
    if ordered:
        day = 86_400.0 * np.tile(np.arange(TAKEN), USERS)
        events = events.with_columns(time=pl.Series(1.7e9 + day))
    if rated:
        events = events.with_columns(kind=pl.lit("rating"), value=pl.lit(5.0))
        other = (pl.col("item_id") + BLOCK - 1) % (2 * BLOCK) + 1
        events = pl.concat([events, events.with_columns(item_id=other, value=pl.lit(1.0))])
    return Interactions.of(Table(events), items=Vocab.of_items(range(1, ITEMS)))


def history_of(items: list[list[int]]) -> Query:
    """The question of strangers who took these items."""
    width = max(1, *(len(row) for row in items))
    padded = torch.tensor([row + [PAD] * (width - len(row)) for row in items])
    length = torch.tensor([len(row) for row in items])
    stranger = torch.full_like(length, UNKNOWN_USER)
    time = 1.7e9 + 86_400.0 * torch.arange(width, dtype=torch.float64).repeat(len(items), 1)
    purchase = torch.where(padded == PAD, 0, 8)
    return Query(padded, purchase, length, stranger, length * 7919, time=time)


def ring_of(length: int) -> Interactions:
    """One user who goes around the first block for so many events."""
    events = pl.DataFrame({"item_id": [1 + n % BLOCK for n in range(length)]})
    events = events.with_columns(user_id=0, kind=pl.lit("purchase"), time=1.7e9 + pl.row_index())
    return Interactions.of(Table(events), items=Vocab.of_items(range(1, ITEMS)))
