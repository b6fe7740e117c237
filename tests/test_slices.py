"""Groups of users are who they are said to be, and their gap has the interval it should."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.shop import simulate
from honeyguide.data.split import split
from honeyguide.data.table import Table
from honeyguide.data.vocab import Vocab
from honeyguide.errors import UnknownName
from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.evaluate.intervals import Summary, summary
from honeyguide.evaluate.slices import Gap, Slice, gaps, slices
from tables import refused

DAY = 86_400.0
START = 1.6e9


def holdout_of(histories: dict[str, tuple[str, int]], truth: dict[str, str]):
    """By user: the items of the history and the age in days; all ask on day 100."""
    rows = [
        (user, item, START + (100 - days) * DAY + place, "train")
        for user, (items, days) in histories.items()
        for place, item in enumerate(items)
    ]
    rows += [(user, item, START + 100.5 * DAY, "test") for user, t in truth.items() for item in t]
    columns = ["user_id", "item_id", "time", "part"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(kind=pl.lit("view"))
    return split(Interactions.of(Table(frame)), Protocol(split="ready-made")).test


def told(holdout, values) -> Evaluation:
    return Evaluation(holdout.users, {"ndcg@10": np.asarray(values, float)}, {}, {}, 0.0)


@pytest.fixture
def small():
    """Of twelve events four are of m, two of n and of o, one of p q r s: thirds m | n o | rest."""
    return holdout_of(
        {
            "a": ("mnopqr", 90),
            "b": ("mn", 40),
            "c": ("mo", 10),
            "d": ("ms", 3),
        },
        {"a": "s", "b": "op", "c": "nzz", "d": "nox"},
    )


def test_who_is_in_which_group(small):
    assert small.users.tolist() == [0, 1, 2, 3]
    values = [0.1, 0.2, 0.3, 0.4]
    users = Features.of(
        small.history.users,
        pl.DataFrame(
            {
                "user_id": ["a", "b", "d"],
                "plan": ["free", "free", "paid"],
                "age": [30, 40, 40],
                "country": ["FR"] * 3,
                "likes": [["x"], [], ["x"]],
            }
        ),
        "user_id",
    )
    found = slices(told(small, values), small, users=users)
    means = {(s.by, s.group): (s.users, round(s.metrics["ndcg@10"].mean, 9)) for s in found}
    assert means == {
        ("activity", "2 events"): (3, 0.3),
        ("activity", "6 events"): (1, 0.1),
        ("account age", "3 days"): (1, 0.4),
        ("account age", "10 days"): (1, 0.3),
        ("account age", "40 days"): (1, 0.2),
        ("account age", "90 days"): (1, 0.1),
        # one item each of two thirds goes to the more popular; items unknown to training are tail
        ("popularity", "middle"): (3, 0.3),
        ("popularity", "tail"): (1, 0.1),
        ("cold start", "at most 5 events"): (3, 0.3),
        ("cold start", "more than 5 events"): (1, 0.1),
        ("plan", "free"): (2, 0.15),
        ("plan", "paid"): (1, 0.4),
        ("plan", "unknown"): (1, 0.3),
        ("age", "30"): (1, 0.1),
        ("age", "40"): (2, 0.3),
        ("age", "unknown"): (1, 0.3),
        ("country", "FR"): (3, round(0.7 / 3, 9)),
        ("country", "unknown"): (1, 0.3),
    }


def test_a_slice_of_the_users_asked_is_a_slice(small):
    half = replace(small, users=small.users[[1, 3]])
    found = slices(told(half, [0.2, 0.4]), half)
    assert {(s.by, s.group, s.users) for s in found} == {
        ("account age", "3 days", 1),
        ("account age", "40 days", 1),
    }


def test_without_times_there_is_no_age(small):
    timeless = replace(small, history=replace(small.history, time=None), now=None)
    assert "account age" not in {s.by for s in slices(told(timeless, [0.0] * 4), timeless)}


def test_quarters_of_a_shop_hold_about_a_quarter_and_every_user_once():
    shop = simulate(20_000, users=200, items=150, seed=1).table
    holdout = split(Interactions.of(shop), Protocol(split="time")).test
    values = np.random.default_rng(0).random(len(holdout.users))
    people = Features.of(Vocab(holdout.history.users.names, 0), shop.users, "user_id")
    found = slices(told(holdout, values), holdout, users=people)
    groupings = {s.by for s in found}
    assert {"activity", "account age", "gender", "country"} <= groupings
    assert "age" not in groupings
    for by in groupings:
        mine = [s for s in found if s.by == by]
        assert sum(s.users for s in mine) == len(holdout.users)
        whole = sum(s.users * s.metrics["ndcg@10"].mean for s in mine) / len(holdout.users)
        assert whole == pytest.approx(values.mean())
    quarters = [s for s in found if s.by == "activity"]
    assert len(quarters) == 4
    assert all(abs(s.users / len(holdout.users) - 0.25) < 0.05 for s in quarters)
    assert gaps(found, "ndcg@10")


def test_the_gap_is_between_the_best_and_the_worst_of_large_groups():
    def one(by: str, group: str, users: int, mean: float) -> Slice:
        return Slice(by, group, users, {"ndcg@10": Summary(mean, mean - 0.03, mean + 0.04)})

    found = (
        one("country", "FR", 50, 0.3),
        one("country", "DE", 20, 0.5),
        one("country", "LU", 19, 0.9),
        one("country", "US", 60, 0.4),
        one("plan", "free", 40, 0.1),
        one("plan", "paid", 40, 0.6),
        one("gender", "f", 19, 0.1),
        one("gender", "m", 500, 0.6),
    )
    plan, country = gaps(found, "ndcg@10")
    assert (plan.by, plan.highest, plan.lowest) == ("plan", "paid", "free")
    assert (country.by, country.highest, country.lowest) == ("country", "DE", "FR")
    assert country.difference.mean == pytest.approx(0.2)
    assert country.difference.low == pytest.approx(0.2 - 0.05)
    assert country.difference.high == pytest.approx(0.2 + 0.05)
    refused(UnknownName, lambda: gaps(found, "recall@5"), "recall@5", "ndcg@10")
    bare = tuple(replace(s, metrics={"ndcg@10": Summary(0.0, None, None)}) for s in found[:2])
    assert gaps(bare, "ndcg@10") == (Gap("country", "DE", "FR", Summary(0.0, None, None)),)


def test_the_interval_of_a_gap_covers():
    """Two groups whose true means differ by .1; 95 % of 300 intervals, give or take 4 errors."""
    draw, covered = np.random.default_rng(0), 0
    for _ in range(300):
        groups = {"a": draw.beta(2, 3, 80), "b": draw.beta(3, 7, 120)}  # means .4 and .3
        found = tuple(
            Slice("g", name, len(values), {"m": summary(values)}) for name, values in groups.items()
        )
        (gap,) = gaps(found, "m")
        sign = 1 if gap.highest == "a" else -1
        assert gap.difference.low is not None
        covered += gap.difference.low <= 0.1 * sign <= gap.difference.high
    assert 0.90 < covered / 300 < 0.99
