"""Metrics of lists beyond hits equal their plain re-telling, and a few values known by hand."""

from math import log, sqrt

import numpy as np
import polars as pl
import pytest

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.table import Table
from honeyguide.data.vocab import Vocab
from honeyguide.errors import CallError
from honeyguide.evaluate import beyond
from honeyguide.evaluate.beyond import OF_LISTS, OVERALL, Lists
from honeyguide.evaluate.knowledge import Knowledge
from honeyguide.evaluate.overlap import Sets
from logs import log as log_of
from logs import views
from oracles import beyond as oracle
from tables import refused
from worlds import drawn_lists, drawn_world, features_of, history_of

WORLDS = 40  # of 25 users each: 1,000 lists
CUTS = (1, 2, 5, 12, 20)


def as_array(lists: list[list[int]], width: int) -> np.ndarray:
    items = np.zeros((len(lists), width), dtype=np.int64)
    for row, ranked in enumerate(lists):
        items[row, : len(ranked[:width])] = ranked[:width]
    return items


def knowledge(world) -> Knowledge:
    history = history_of(world)
    return Knowledge(history, history, features_of(world))


@pytest.fixture(scope="module")
def cases():
    """(world, what the package knows of it, lists, what was taken)"""
    worlds = [drawn_world(seed) for seed in range(WORLDS)]
    return [
        (world, knowledge(world), *drawn_lists(world, seed)) for seed, world in enumerate(worlds)
    ]


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("name", OF_LISTS)
def test_a_list_equals_the_oracle(cases, name, k):
    different = set()
    for world, known, lists, taken in cases:
        items = as_array(lists, k)
        hits = np.array([[i in taken[row] for i in ranked] for row, ranked in enumerate(items)])
        got = OF_LISTS[name](Lists(np.arange(len(lists)), items, hits & (items > 0)), known)
        wanted = [
            oracle.OF_LISTS[name](ranked, user, taken[user], world, k)
            for user, ranked in enumerate(lists)
        ]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9)
        different |= set(np.round(got, 6).tolist())
    if not (k == 1 and "diversity" in name):
        assert len(different) > 1, "nothing is tested"


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("name", OVERALL)
def test_all_lists_equal_the_oracle(cases, name, k):
    for world, known, lists, _ in cases:
        for some in (lists, lists[:2], [[]]):
            shown = np.bincount(as_array(some, k).ravel(), minlength=len(world.catalogue) + 1)[1:]
            wanted = oracle.OVERALL[name](some, world, k)
            assert OVERALL[name](shown, known) == pytest.approx(wanted, abs=1e-9)


def test_in_small_parts_as_in_one(cases, monkeypatch):
    _, known, lists, _ = cases[0]
    items = as_array(lists, 12)
    all_at_once = Lists(np.arange(len(lists)), items, items > 20)
    whole = {name: metric(all_at_once, known) for name, metric in OF_LISTS.items()}
    monkeypatch.setattr(beyond, "PAIRS", 70)
    monkeypatch.setattr(beyond, "CELLS", 9)
    for name, metric in OF_LISTS.items():
        np.testing.assert_array_equal(metric(all_at_once, known), whole[name], err_msg=name)


def test_cosines_of_pairs_in_any_order():
    draw = np.random.default_rng(0)
    members = [
        set(draw.choice(50, draw.integers(0, 30), replace=False).tolist()) for _ in range(40)
    ]
    ends = np.cumsum([0, *map(len, members)])
    sets = Sets(ends, np.array([m for each in members for m in sorted(each)]), 50)
    one, other = draw.integers(0, 40, (2, 3_000))
    wanted = [oracle.cosine(members[a], members[b]) for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(sets.cosines(one, other), wanted, rtol=0, atol=1e-12)


def test_values_known_by_hand():
    # a took x y, b took x, c took x z; z and y share no taker
    events = log_of(views("ax", "ay", "bx", "cx", "cz"))
    table = pl.DataFrame({"item_id": ["x", "y", "z"], "genre": ["war", "war|noir", "noir"]})
    known = Knowledge(events, events, Features.of(events.items, table, "item_id"))
    x, y, z = events.items.numbers(["x", "y", "z"]).tolist()
    a, b = range(2)

    def of(name: str, user: int, *items: int, hits: tuple[bool, ...] = ()) -> float:
        hit = np.array([hits or (False,) * len(items)])
        lists = Lists(np.array([user]), np.array([items]), hit)
        return float(OF_LISTS[name](lists, known)[0])

    assert of("diversity", a, y, z) == 1
    assert of("diversity", a, x, y) == pytest.approx(1 - 1 / sqrt(3))
    assert of("content_diversity", a, x, y) == pytest.approx(1 - 1 / sqrt(2))
    assert of("popularity_lift", b, y, z) == pytest.approx((1 / 3) / 1 - 1)
    # b has seen x, so the popular list of one is y
    assert of("serendipity", b, y, hits=(True,)) == 0
    assert of("serendipity", b, z, hits=(True,)) == 1
    assert of("calibration", b, x) == pytest.approx(0)
    assert of("calibration", b, z) == pytest.approx(log(100))
    assert of("calibration", b, 0) == pytest.approx(log(100))
    # x has three of five events: more than a third, so it is the head alone; y reaches past 2/3
    assert known.third[[x, y, z]].tolist() == [0, 1, 2]


def test_what_the_items_are_must_be_known():
    world = drawn_world(0)
    history = history_of(world)
    blank = Features.of(history.items, None, "item_id")
    numbers = pl.DataFrame({"item_id": world.catalogue, "price": [1.0] * len(world.catalogue)})
    priced = Features.of(history.items, numbers, "item_id")
    for name, need in beyond.NEEDS.items():
        refused(CallError, lambda need=need: need(Knowledge(history)), name, "--items FILE")
        refused(CallError, lambda need=need: need(Knowledge(history, items=blank)), name, "item_id")
        refused(
            CallError,
            lambda need=need: need(Knowledge(history, items=priced)),
            name,
            "item_id, price",
        )


def test_text_of_its_own_describes_no_item():
    vocab = Vocab.of_items(range(1, 7))
    table = pl.DataFrame(
        {
            "item_id": range(1, 7),
            "name": ["same"] * 6,
            "text": [f"about {i}" for i in range(6)],
            "tags": [["a", "b"], ["b", "b"], [], None, ["a"], ["a"]],
        }
    )
    events = pl.DataFrame({"user_id": ["a"], "item_id": [1], "kind": "view"})
    history = Interactions.of(Table(events), items=vocab)
    sets = Knowledge(history, items=Features.of(vocab, table, "item_id")).contents
    assert np.diff(sets.offsets).tolist() == [0, 2, 1, 0, 0, 1, 1]
    assert sets.width == 2
