"""What a model learns from in a step equals what a plain loop over the log would give."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from honeyguide.data.batch import Asked, Batch, examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import EVENTS_FOR, SIGN, Rule
from honeyguide.data.shop import simulate
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError
from logs import log, pairs_by_hand, random_events, views
from tables import refused


def asked(unit: str, **changes: Any) -> Asked:
    plain: dict[str, Any] = {
        "rule": Rule(),
        "history": None,
        "negatives": 0,
        "shared": False,
        "sampling": "uniform",
    }
    return Asked(unit=unit, **plain | changes)  # type: ignore[arg-type]


def everything(events: Interactions, wanted: Asked, size: int = 3, seed: int = 0) -> list[Batch]:
    """All batches of an epoch in a mixed order."""
    source = examples(events, wanted)
    order = np.random.default_rng(seed).permutation(len(source))
    return [source.batch(order[n : n + size], seed) for n in range(0, len(order), size)]


@given(random_events(), st.sampled_from(["one", "count"]))
def test_each_pair_is_an_example(events, value):
    whole, rule = log(events), Rule(value=value)
    batches = everything(whole, asked("pair", rule=rule))
    found = [
        pair
        for batch in batches
        for pair in zip(batch.query.user.tolist(), batch.target[:, 0].tolist(), strict=True)
    ]
    assert sorted(found) == sorted(pairs_by_hand(whole, rule))
    assert examples(whole, asked("pair", rule=rule)).targets == len(found)
    for batch in batches:
        assert (batch.at == 0).all()
        assert batch.query.length.tolist() == [0] * len(batch.query)
        assert batch.negatives is batch.log_p is batch.row is None


@given(random_events(), st.sampled_from(["one", "count"]))
def test_each_user_with_something_is_a_row(events, value):
    whole, rule = log(events), Rule(value=value)
    wanted: dict[int, dict[int, float]] = {}
    for (user, item), weight in pairs_by_hand(whole, rule).items():
        wanted.setdefault(user, {})[item] = weight
    found = {}
    for batch in everything(whole, asked("user row", rule=rule)):
        assert batch.row is not None
        for n, user in enumerate(batch.query.user.tolist()):
            place = slice(*batch.row.offsets[n : n + 2].tolist())
            assert user not in found
            items, weights = batch.row.items[place].tolist(), batch.row.weights[place].tolist()
            found[user] = dict(zip(items, weights, strict=True))
        assert batch.target.shape == (len(batch.query), 0)
    assert found == wanted
    source = examples(whole, asked("user row", rule=rule))
    assert (len(source), source.targets) == (len(wanted), sum(map(len, wanted.values())))


@settings(max_examples=60)
@given(random_events(most=60, users="ab"), st.integers(1, 7) | st.none(), st.booleans())
def test_each_event_but_the_first_is_a_target_once(events, history, all_kinds):
    rule = Rule() if all_kinds else EVENTS_FOR
    whole = log(events, value=[float(n) for n in range(len(events))])
    past = whole.counting(rule)
    wanted = asked("sequence", rule=rule, history=history)
    found = []
    for batch in everything(whole, wanted):
        query, places = batch.query, batch.query.item.shape[1]
        assert batch.at.tolist() == [list(range(places))] * len(query)
        assert ((batch.target == PAD) | query.mask()).all()
        assert (query.length >= 1).all()
        assert history is None or places <= history
        for row, user in enumerate(query.user.tolist()):
            mine = past.of_users(np.array([user]))
            length = int(query.length[row])
            read = query.item[row, :length].tolist()
            assert mine.value is not None
            assert query.value is not None
            # values are the row numbers of the table, so they tell which event this is
            start = mine.value.tolist().index(float(query.value[row, 0]))
            assert read == mine.item[start : start + length].tolist()
            assert query.kind[row, :length].tolist() == mine.kind[start : start + length].tolist()
            after = slice(start + 1, start + 1 + length)
            target = np.where(SIGN[mine.kind[after]] > 0, mine.item[after], PAD)
            assert batch.target[row, :length].tolist() == target.tolist()
            assert target.any()
            found += [(user, start + 1 + n) for n in np.flatnonzero(target)]
            # no shorter than it could be
            assert length == history or start == 0
    by_user = [past.of_users(np.array([user])) for user in range(past.n_users)]
    every = [
        (user, n)
        for user, mine in enumerate(by_user)
        for n in range(1, len(mine))
        if SIGN[mine.kind[n]] > 0
    ]
    assert sorted(found) == every
    assert examples(whole, wanted).targets == len(every)


def test_windows_are_cut_from_the_end():
    whole = log(views("ap", "aq", "ar", "as", "at", "bp"))
    batch = examples(whole, asked("sequence", history=3)).batch(np.array([0, 1]), 0)
    assert batch.query.item.tolist() == [[2, 3, 4], [1, PAD, PAD]]
    assert batch.target.tolist() == [[3, 4, 5], [2, PAD, PAD]]


def test_a_sequence_needs_an_order():
    unordered = log(views("ax", "ay"), ordered=False)
    refused(CallError, lambda: examples(unordered, asked("sequence")), "--order")
    assert len(examples(unordered, asked("pair"))) == 2


LOG = log(views(*(f"{u}{i}" for u in "abc" for i in "uvw"), "du", "dv", "dx", "dy", "ux"))


@pytest.mark.parametrize("unit", ["pair", "sequence"])
@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_own_negatives_are_no_positives(unit, sampling):
    wanted = asked(unit, negatives=5, sampling=sampling)
    for batch in everything(LOG, wanted):
        assert batch.negatives is not None
        assert batch.log_p is not None
        assert batch.negatives.shape == (*batch.target.shape, 5)
        for user, drawn in zip(batch.query.user.tolist(), batch.negatives, strict=True):
            assert not set(drawn.flatten().tolist()) & set(LOG.item[LOG.user == user].tolist())
        assert torch.isfinite(batch.log_p[batch.negatives]).all()


def test_who_knows_every_item_gives_no_example_with_own_negatives():
    greedy = log(views("ax", "ay", "az", "bx", "by"))
    for unit, targets in (("pair", 2), ("sequence", 1)):
        source = examples(greedy, asked(unit, negatives=2))
        assert source.targets == targets
        batch = source.batch(np.arange(len(source)), 0)
        assert set(batch.query.user.tolist()) == {1}
        assert batch.negatives is not None
        assert set(batch.negatives.flatten().tolist()) == {3}
        assert examples(greedy, asked(unit, negatives=2, shared=True)).targets > targets


def test_shared_negatives_are_one_list():
    batch = examples(LOG, asked("pair", negatives=7, shared=True)).batch(np.arange(4), 3)
    assert batch.negatives is not None
    assert batch.negatives.shape == (7,)


def test_the_same_seed_gives_the_same_batch():
    source = examples(LOG, asked("pair", negatives=6))
    rows = np.array([3, 1, 7])
    once, again, other = source.batch(rows, 1), source.batch(rows, 1), source.batch(rows, 2)
    assert once.negatives is not None
    assert again.negatives is not None
    assert other.negatives is not None
    assert torch.equal(once.negatives, again.negatives)
    assert not torch.equal(once.negatives, other.negatives)
    assert torch.equal(once.target, other.target)


@pytest.mark.parametrize("unit", ["pair", "user row", "sequence"])
def test_moved_to_a_device(unit):
    negatives = 0 if unit == "user row" else 2
    batch = examples(LOG, asked(unit, negatives=negatives)).batch(np.arange(2), 0)
    moved = batch.to(torch.device("meta"))
    assert moved.query.item.device.type == moved.target.device.type == "meta"
    assert (moved.row is None) == (batch.row is None)
    assert moved.row is None or moved.row.items.device.type == "meta"
    assert moved.negatives is None or moved.negatives.device.type == "meta"


def test_nothing_to_learn_from_is_no_example():
    alone = log(views("ax", "by"))
    assert len(examples(alone, asked("sequence"))) == 0
    against = log([("a", "x", "hide")])
    assert len(examples(against, asked("pair"))) == len(examples(against, asked("user row"))) == 0


def test_in_batch_negatives_are_the_targets_and_positives_are_marked() -> None:
    log = Interactions.of(simulate(2_000, users=40, items=30).table)
    asked = Asked("pair", EVENTS_FOR, None, 1, True, "in-batch")
    made = examples(log, asked)
    batch = made.batch(np.arange(25), seed=0)
    positives = log.pairs(EVENTS_FOR).toarray() > 0
    assert batch.negatives is not None
    assert batch.accidental is not None
    assert set(batch.negatives.tolist()) == set(batch.target.flatten().tolist())
    expected = positives[batch.query.user.numpy()][:, batch.negatives.numpy()]
    assert np.array_equal(batch.accidental.numpy(), expected)
    # the correction is the share of the data that an item is
    share = positives.sum(0) / positives.sum()
    assert batch.log_p is not None
    assert np.allclose(
        np.exp(batch.log_p.numpy())[1:], share[1:].clip(1 / positives.sum()), atol=0.01
    )
