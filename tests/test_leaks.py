"""Each leak planted once is caught, and its clean twin passes."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from honeyguide.data.features import Features
from honeyguide.data.leaks import refuse_target_in_features
from honeyguide.data.protocol import Protocol
from honeyguide.data.split import Split, split
from honeyguide.errors import LeakError
from logs import Event, log, views
from tables import refused

READY = Protocol(split="ready-made")
TRAIN, TEST = views("ax", "ay", "bx", "bz"), views("az", "by")


def made(
    train: list[Event], test: list[Event], *, allow_repeats: bool = False, **columns: Any
) -> Split:
    part = ["train"] * len(train) + ["test"] * len(test)
    events = log(train + test, ordered=False, part=part, **columns)
    return split(events, READY, allow_repeats=allow_repeats)


def test_the_same_event_without_times():
    assert made(TRAIN, TEST).test.repeats == 0
    planted = [*TEST, ("a", "x", "view")]
    refused(LeakError, lambda: made(TRAIN, planted), "1 events", "test", "--allow-repeats")
    allowed = made(TRAIN, planted, allow_repeats=True)
    assert allowed.test.repeats == 1
    assert len(allowed.test.truth) == 2


def test_another_kind_is_another_event():
    assert made(TRAIN, [*TEST, ("a", "x", "purchase")]).test.repeats == 1


def test_what_says_nothing_may_repeat_without_times():
    nothing: list[Event] = [("a", "", "search"), ("a", "x", "impression")]
    assert made(TRAIN + nothing, TEST + nothing).test.repeats == 0


def test_the_same_event_with_times():
    times = [1.0, 2, 3, 4]
    again = [*TEST, ("b", "z", "view")]
    # the same pair later is a repeat and no leak
    assert made(TRAIN, again, time=[*times, 5, 6, 7]).test.repeats == 1
    for allow in (False, True):
        refused(
            LeakError,
            lambda allow=allow: made(TRAIN, again, time=[*times, 5, 6, 4], allow_repeats=allow),
            "1 events",
            "time",
        )


def test_validation_is_looked_at_too():
    def parts(kind: str) -> Split:
        events = log(
            [*TRAIN, ("a", "z", "view"), ("b", "y", "view"), ("a", "z", kind), ("b", "p", "view")],
            ordered=False,
            part=["train"] * 4 + ["valid"] * 2 + ["test"] * 2,
        )
        return split(events, READY)

    assert parts("purchase").test.repeats == 1
    refused(LeakError, lambda: parts("view"), "test part")


def test_future_events():
    clean = [1.0, 2, 3, 4]
    assert made(TRAIN, TEST, time=[*clean, 5, 6]).test.repeats == 0
    # another user's later events are none of this user's future
    assert made(TRAIN, TEST, time=[*clean, 2.5, 6]).test.repeats == 0
    refused(LeakError, lambda: made(TRAIN, TEST, time=[*clean, 1.5, 6]), "1 events", "older")


def test_validation_is_the_past_of_the_test():
    def parts(last: float) -> Split:
        rows = [*TRAIN, *views("ap", "aq")]
        part = ["train"] * 4 + ["valid", "test"]
        return split(log(rows, part=part, time=[1.0, 2, 3, 4, 7, last]), READY)

    assert len(parts(7.0).test.truth) == 1
    refused(LeakError, lambda: parts(6.0), "1 events", "test part", "older")


def test_an_event_logged_twice_at_the_end_is_no_answer_of_leave_last_out():
    rows, last = views("ax", "ay", "az"), Protocol(split="leave-last-out")
    assert len(split(log([*rows, *views("ap")], time=[1.0, 2, 3, 4]), last).test.truth) == 1
    twice = log([*rows, *views("az")], time=[1.0, 2, 3, 3])
    refused(LeakError, lambda: split(twice, last), "1 events", "copies")


RNG = np.random.default_rng(0)
PEOPLE = [f"u{n:03d}" for n in range(60)]
FILMS = [f"{n}" for n in range(40)]
SHELVES = [RNG.choice(FILMS, 6, replace=False).tolist() for _ in PEOPLE]
PARTS = made(
    [
        (user, item, "view")
        for user, shelf in zip(PEOPLE, SHELVES, strict=True)
        for item in shelf[:5]
    ],
    [(user, shelf[5], "view") for user, shelf in zip(PEOPLE, SHELVES, strict=True)],
)
ANSWERS = [shelf[5] for shelf in SHELVES]
BUYERS = [
    [user for user, answer in zip(PEOPLE, ANSWERS, strict=True) if answer == film] for film in FILMS
]


@pytest.mark.parametrize(
    ("column", "leaks"),
    [
        (ANSWERS, True),
        ([[a, "39"] for a in ANSWERS], True),
        ([int(a) for a in ANSWERS], True),
        ([a if n % 4 == 0 else None for n, a in enumerate(ANSWERS)], True),
        (ANSWERS[1:] + ANSWERS[:1], False),
        ([shelf[0] for shelf in SHELVES], False),
        ([shelf[:5] for shelf in SHELVES], False),
        (RNG.integers(0, 40, 60).tolist(), False),  # ages that look like ids
        ([n / 7 for n in range(60)], False),
        (["7"] * 60, False),
        ([True] * 60, False),
    ],
)
def test_the_target_among_the_features_of_users(column, leaks):
    people = pl.DataFrame({"user_id": PEOPLE, "title": PEOPLE, "guess": pl.Series(column)})
    users = Features.of(PARTS.train.users, people, "user_id")
    if leaks:
        refused(
            LeakError,
            lambda: refuse_target_in_features(PARTS.test.truth, users=users),
            '"guess" of the users',
        )
    else:
        refuse_target_in_features(PARTS.test.truth, users=users)


@pytest.mark.parametrize(("column", "leaks"), [(BUYERS, True), (BUYERS[1:] + BUYERS[:1], False)])
def test_the_target_among_the_features_of_items(column, leaks):
    films = pl.DataFrame({"item_id": FILMS, "buyers": column})
    items = Features.of(PARTS.train.items, films, "item_id")
    if leaks:
        refused(
            LeakError,
            lambda: refuse_target_in_features(PARTS.test.truth, items=items),
            '"buyers" of the items',
        )
    else:
        refuse_target_in_features(PARTS.test.truth, items=items)
