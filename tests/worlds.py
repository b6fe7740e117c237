"""Small random worlds, as the oracles see them and as the package does."""

import numpy as np
import polars as pl

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.data.vocab import Vocab
from oracles.beyond import World

GENRES = ("drama", "comedy", "war", "noir")
BRANDS = ("acme", "ajax")


def drawn_world(seed: int, users: int = 25, items: int = 30) -> World:
    """Some users without a history, some items that nobody took or of which nothing is known."""
    draw = np.random.default_rng(seed)
    catalogue = list(range(1, items + 1))
    weight = draw.dirichlet(np.full(items - 3, 0.5))
    histories: dict[int, dict[int, int]] = {0: {1: 1}}
    for user in range(1, users):
        histories[user] = {}
        for item in draw.choice(catalogue[:-3], draw.integers(0, 15), p=weight).tolist():
            histories[user][item] = histories[user].get(item, 0) + 1
    genres = {i: set(draw.choice(GENRES, draw.integers(0, 4)).tolist()) for i in catalogue}
    brands = {i: set(draw.choice(BRANDS, draw.integers(0, 2)).tolist()) for i in catalogue}
    genres[1], brands[1] = set(GENRES), {"acme"}
    return World(
        catalogue=catalogue,
        histories=histories,
        seen={user: set(history) for user, history in histories.items()},
        contents={i: genres[i] | brands[i] for i in catalogue},
        categories=genres,
    )


def history_of(world: World) -> Interactions:
    """Its events; users and items have the numbers of their names."""
    events = [
        (user, item)
        for user, history in world.histories.items()
        for item, times in history.items()
        for _ in range(times)
    ]
    frame = pl.DataFrame(events, schema=["user_id", "item_id"], orient="row")
    frame = frame.with_columns(kind=pl.lit("view"))
    return Interactions.of(
        Table(frame), Vocab.of_users(list(world.histories)), Vocab.of_items(world.catalogue)
    )


def features_of(world: World) -> Features:
    """Its items in a table with two columns that describe and two that do not."""
    brands = [world.contents[i] - world.categories[i] for i in world.catalogue]
    table = pl.DataFrame(
        {
            "item_id": world.catalogue,
            "title": [f"item {i}" for i in world.catalogue],
            "genres": ["|".join(sorted(world.categories[i])) for i in world.catalogue],
            "brand": [next(iter(brand), None) for brand in brands],
            "text": [f"about item {i}" for i in world.catalogue],
            "price": [float(i) for i in world.catalogue],
        }
    )
    return Features.of(Vocab.of_items(world.catalogue), table, "item_id")


def drawn_lists(world: World, seed: int) -> tuple[list[list[int]], list[set[int]]]:
    """A list of 0 to 12 items for each user, and what they took that they had not seen; some of it
    nobody knows."""
    draw = np.random.default_rng(seed)
    top = len(world.catalogue)
    lists = [(draw.permutation(top) + 1)[: draw.integers(0, 13)].tolist() for _ in world.histories]
    lists[0] = []
    taken = [
        {top + 5, *(draw.choice(top + 4, draw.integers(0, 16), replace=False) + 1).tolist()} - seen
        for seen in world.seen.values()
    ]
    return lists, taken
