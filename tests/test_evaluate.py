"""Evaluation: equals a plain loop, whatever memory it may take, and keeps to that memory."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from given import given
from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.shop import simulate
from honeyguide.data.split import Holdout, Split, split
from honeyguide.data.table import Table
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.evaluate.evaluator import Evaluation, evaluate, padded_items
from honeyguide.models.ease import EASE
from honeyguide.models.popular import Popular
from honeyguide.rank.rankers import Exhaustive, Fallback
from honeyguide.types import NEVER
from matrices import fitted
from oracles import beyond
from oracles import metrics as oracle
from oracles.beyond import World
from tables import refused

NAMES = (*oracle.PER_USER, *beyond.OF_LISTS, *beyond.OVERALL)
METRICS = (*(f"{name}@{k}" for name in NAMES for k in (3, 10)), "auc")
MIB = 1 << 20


@pytest.fixture(scope="module")
def parts() -> Split:
    """A shop of 20,000 events, split by time; some of the truth was never seen in training."""
    log = Interactions.of(simulate(20_000, users=200, items=150, seed=1).table)
    return split(log, Protocol(split="time"))


@pytest.fixture(scope="module")
def ease(parts) -> Exhaustive:
    return Exhaustive(fitted(EASE(l2=10.0), parts.train))


@pytest.fixture(scope="module")
def items(parts) -> Features:
    table = simulate(20_000, users=200, items=150, seed=1).table
    return Features.of(parts.train.items, table.items, "item_id")


@pytest.fixture(scope="module")
def told(items):
    def ask(ranker, holdout: Holdout, **options) -> Evaluation:
        rule = EASE().rule
        options = {"metrics": METRICS, "items": items, **options}
        return evaluate(ranker, holdout, rule=rule, past=None, **options)

    return ask


def by_item(events: Interactions, user: int) -> list[int]:
    items: list[int] = events.item[events.offsets[user] : events.offsets[user + 1]].tolist()
    return items


def world_of(holdout: Holdout, items: Features, *, exclude_seen: bool) -> World:
    everyone, history = range(holdout.history.n_users), holdout.history.counting(EVENTS_FOR)
    seen = holdout.history.seen()
    names = items.frame["category"].to_list()
    categories = {number: {name} for number, name in enumerate(names) if number}
    return World(
        catalogue=list(range(1, holdout.history.n_items)),
        histories={user: Counter(by_item(history, user)) for user in everyone},
        seen={user: set(by_item(seen, user) if exclude_seen else []) for user in everyone},
        contents=categories,  # descriptions are nearly all different
        categories=categories,
    )


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_equals_a_plain_loop_over_users(parts, ease, items, told, exclude_seen):
    holdout = parts.test
    assert holdout.unknown_items > 0
    got = told(ease, holdout, exclude_seen=exclude_seen)
    world = world_of(holdout, items, exclude_seen=exclude_seen)
    weight = ease.model.weight.double().numpy()
    history, seen = holdout.history.counting(EASE().rule), holdout.history.seen()
    lists, areas = [], []
    for user in holdout.users.tolist():
        score = np.float32(weight[sorted(set(by_item(history, user)))].sum(0)).tolist()
        ranked = sorted(set(world.catalogue) - world.seen[user], key=lambda i: (-score[i], i))
        lists.append(ranked[:10])
        scores = dict(enumerate(score[1:], start=1))
        areas.append(
            oracle.auc(scores, set(by_item(holdout.truth, user)), set(by_item(seen, user)))
        )
    truths = [set(by_item(holdout.truth, user)) for user in holdout.users.tolist()]
    np.testing.assert_allclose(got.per_user["auc"], areas, atol=0.01)
    assert np.median(np.abs(got.per_user["auc"] - areas)) < 1e-9
    for k in (3, 10):
        wanted = {
            name: [plain(r, t, k) for r, t in zip(lists, truths, strict=True)]
            for name, plain in oracle.PER_USER.items()
        }
        wanted |= {
            name: [
                listed(r, user, t, world, k)
                for r, user, t in zip(lists, holdout.users.tolist(), truths, strict=True)
            ]
            for name, listed in beyond.OF_LISTS.items()
        }
        for name, each in wanted.items():
            values = got.per_user[f"{name}@{k}"]
            # f32 sums may swap two items whose scores are a rounding apart
            assert (np.abs(values - each) > 1e-9).mean() < 0.02, name
            assert values.mean() == pytest.approx(np.mean(each), abs=1e-3)
            assert got[f"{name}@{k}"] == values.mean()
        for name, whole in beyond.OVERALL.items():
            assert got[f"{name}@{k}"] == pytest.approx(whole(lists, world, k), abs=0.01)
    assert got["ndcg@10"] > 0.03, "nothing was learned, so nothing is tested"
    assert got["auc"] > 0.6


def test_in_little_memory_as_in_much(parts, ease, told):
    much = told(ease, parts.test)
    for memory in (1, 20_000, 300_000):
        little = told(ease, parts.test, memory=memory)
        assert little.overall == much.overall
        for name, values in much.per_user.items():
            np.testing.assert_array_equal(little.per_user[name], values, err_msg=name)
        assert little.answered_by == much.answered_by
        assert little.flags == much.flags


def test_values_are_kept_by_user(parts, ease, told):
    got = told(ease, parts.test)
    assert got.users.tolist() == parts.test.users.tolist()
    for values in got.per_user.values():
        assert values.shape == (len(parts.test.users),)
    assert set(got.per_user) | set(got.overall) == set(METRICS) == set(got.summaries())
    half = replace(parts.test, users=parts.test.users[::2])
    np.testing.assert_array_equal(
        told(ease, half).per_user["ndcg@10"], got.per_user["ndcg@10"][::2]
    )
    assert got.answered_by == {"history": len(parts.test.users)}


def test_items_that_training_never_saw_are_misses():
    events = pl.DataFrame(
        {
            "user_id": [1, 1, 2, 2, 3, 1, 1, 2],
            "item_id": ["a", "b", "a", "c", "b", "c", "new", "new"],
            "kind": "view",
            "part": ["train"] * 5 + ["test"] * 3,
        }
    )
    parts = split(Interactions.of(Table(events)), Protocol(split="ready-made"))
    assert parts.test.unknown_items == 2
    got = evaluate(
        Exhaustive(fitted(Popular(), parts.train)),
        parts.test,
        rule=Popular().rule,
        past=None,
        metrics=["recall@5", "ndcg@1"],
    )
    # of user 1 one of two was found, of user 2 none of one; user 3 has nothing to find
    assert got.users.tolist() == [0, 1]
    assert got.per_user["recall@5"].tolist() == [0.5, 0.0]
    assert got.per_user["ndcg@1"].tolist() == [1.0, 0.0]


def test_what_was_seen_is_never_a_hit_and_never_listed(parts, ease):
    seen = parts.test.history.seen()
    barred = padded_items(seen, parts.test.users)
    for row, user in enumerate(parts.test.users.tolist()):
        assert sorted(barred[row][barred[row] > 0].tolist()) == sorted(by_item(seen, user))


def test_any_ranker_is_measured(parts, ease, told):
    popular = Exhaustive(fitted(Popular(), parts.train))
    both = Fallback(ease, popular, parts.train.n_items)
    got = told(both, parts.test, metrics=METRICS[:-1])
    assert got["ndcg@10"] == pytest.approx(told(ease, parts.test)["ndcg@10"], abs=0.02)
    assert got.answered_by == {}
    refused(CallError, lambda: told(both, parts.test), "auc needs the scores of all items")


def test_odd_lists_are_counted():
    """Of six items, of which everyone has seen the last and takes the first."""
    users = "abcde"
    frame = pl.DataFrame(
        [(user, "6", "view", "train") for user in users]
        + [("~", item, "view", "train") for item in "123456"]
        + [(user, "1", "view", "test") for user in users],
        schema=["user_id", "item_id", "kind", "part"],
        orient="row",
    )
    holdout = split(Interactions.of(Table(frame)), Protocol(split="ready-made")).test
    table = torch.tensor(
        [
            [0, 5, 4, 3, 2, 1, 0],  # nothing odd
            [0, 7, 7, 7, 7, 7, 0],  # constant, and so tied at the cut
            [0, 5, 4, 3, 3, 1, 0],  # tied between the third and the fourth
            [0, 5, 5, 3, 2, 1, 0],  # a tie inside the list moves nobody in or out
            [0, 5, 4, NEVER, NEVER, NEVER, 0],  # short; equal -inf are no tie
        ]
    )

    def found(*metrics: str, exclude_seen: bool = True) -> dict[str, int]:
        got = evaluate(
            given(table),
            holdout,
            rule=EASE().rule,
            past=None,
            metrics=metrics,
            exclude_seen=exclude_seen,
        )
        assert got.users.tolist() == [0, 1, 2, 3, 4]
        return got.flags

    assert found("ndcg@3", "recall@1") == {"constant": 1, "tied": 2, "short": 1}
    assert found("ndcg@1", "auc") == {"constant": 2, "tied": 2, "short": 0}
    # as deep as the list goes, nothing lies behind the cut
    assert found("ndcg@5") == {"constant": 1, "tied": 0, "short": 1}
    assert found("ndcg@9") == {"constant": 1, "tied": 0, "short": 5}
    assert found("ndcg@9", exclude_seen=False) == {"constant": 0, "tied": 0, "short": 5}


def test_auc_looks_at_no_seen_item_whatever_lists_may_hold(parts, ease, told):
    both = [
        told(ease, parts.test, metrics=["auc"], exclude_seen=seen).per_user["auc"]
        for seen in (True, False)
    ]
    np.testing.assert_array_equal(*both)


def test_a_metric_without_what_it_needs_is_refused_before_any_work(parts, told):
    class Idle:
        def rank(self, *args, **options):
            raise AssertionError("was asked")

    for name in ("content_diversity@5", "calibration@5"):
        refused(
            CallError,
            lambda name=name: told(Idle(), parts.test, metrics=[name], items=None),
            name.split("@")[0],
            "--items FILE",
        )


def test_what_cannot_be_asked_is_refused(parts, ease):
    def ask(holdout: Holdout, metrics: list[str]) -> None:
        evaluate(ease, holdout, rule=EASE().rule, past=None, metrics=metrics)

    with pytest.raises(UnknownName, match="ndcg@k"):
        ask(parts.test, ["ndgc@10"])
    with pytest.raises(CallError, match="No metric"):
        ask(parts.test, [])
    nobody = replace(parts.test, users=np.zeros(0, dtype=np.int64))
    with pytest.raises(InputError, match="No user has both"):
        ask(nobody, ["ndcg@10"])


# Room for hits by user and for small things. Large blocks go back to the system when they are freed
# (MALLOC_MMAP_THRESHOLD_), for this measures what evaluation holds: by itself glibc raises that
# threshold to 32 MiB and cuts small blocks from freed large ones, and the peak of one and the same
# run then lay anywhere between 95 and 316 MiB.
BESIDE = 16 * MIB
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": str(MIB)}


@pytest.mark.parametrize(
    ("kind", "users", "items", "memory"),
    [
        ("drawn", 3_000, 5_000, 16 * MIB),
        ("drawn", 1_500, 50_000, 128 * MIB),
        ("mf", 200, 50_000, 64 * MIB),
        ("sasrec", 1_500, 1_000, 32 * MIB),
    ],
)
def test_the_peak_of_a_process_keeps_to_the_memory(kind, users, items, memory):
    script = Path(__file__).with_name("evaluation_memory.py")
    result = subprocess.run(
        [sys.executable, script, kind, str(users), str(items), str(memory)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **AT_ONCE, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    growth = json.loads(result.stdout)["growth"]
    assert growth < memory + BESIDE
    # The measure would see a table of all scores, which is larger than what is allowed.
    if kind == "drawn" and items == 50_000:
        assert growth > memory / 4
        assert users * items * 4 > memory + BESIDE


def test_inference_leaves_no_graph(parts, told):
    model = fitted(EASE(l2=10.0), parts.train)
    assert not torch.is_inference_mode_enabled()
    told(Exhaustive(model), parts.test)
    assert not torch.is_inference_mode_enabled()
    assert not model.weight.requires_grad
