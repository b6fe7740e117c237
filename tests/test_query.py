"""A question is the padded lists of what people did, and values pairs as training does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.query import Pairs, Query, fingerprints, query
from honeyguide.data.rule import POSITIVE, Rule
from honeyguide.data.vocab import PAD, UNKNOWN_USER, Vocab
from logs import entries, log, moments, pairs_by_hand, random_events, table, views
from matrices import random_log

KIND_SETS = st.sets(st.sampled_from(list(KINDS))).filter(lambda kinds: kinds & set(POSITIVE))


def ask(events: Interactions, *users: int, history: int | None = None, **rest: bool) -> Query:
    return query(events, np.array(users, dtype=np.int64), history=history, **rest)


def as_dict(pairs: Pairs) -> dict[tuple[int, int], float]:
    rows = pairs.rows().tolist()
    places = zip(rows, pairs.items.tolist(), strict=True)
    found = dict(zip(places, pairs.weights.tolist(), strict=True))
    assert len(found) == len(rows)
    return found


@given(random_events(), st.integers(1, 6) | st.none(), st.lists(st.integers(0, 3), max_size=5))
def test_padded_lists_are_the_last_events(events, history, chosen):
    past = log(events, value=[float(n) for n in range(len(events))]).counting(Rule())
    users = [user % past.n_users for user in chosen]
    asked = ask(past, *users, history=history)
    assert len(asked) == len(users)
    for row, user in enumerate(users):
        mine = slice(past.offsets[user], past.offsets[user + 1])
        kept = past.item[mine].tolist()[-history if history else None :]
        pad = [PAD] * (asked.item.shape[1] - len(kept))
        assert asked.item[row].tolist() == kept + pad
        assert asked.kind[row].tolist() == past.kind[mine].tolist()[-len(kept) or 99 :] + pad
        assert asked.length[row] == len(kept)
        assert asked.mask()[row].tolist() == [True] * len(kept) + [False] * len(pad)
        if past.value is not None and asked.value is not None:
            values = past.value[mine].tolist()[-len(kept) or 99 :]
            assert asked.value[row].tolist() == values + [0.0] * len(pad)
    assert asked.user.tolist() == users


def test_times_and_strangers():
    past = log(views("ax", "ay", "bx"), time=[1.0, 2.0, 1.5])
    now = np.array([9.0, 8.0])
    asked = query(past, np.array([1, 0]), history=None, known=False, now=now)
    assert asked.time is not None
    assert asked.time.tolist() == [[1.5, 0.0], [1.0, 2.0]]
    assert asked.now is not None
    assert asked.now.tolist() == [9.0, 8.0]
    assert asked.user.tolist() == [UNKNOWN_USER] * 2
    with pytest.raises(AssertionError, match="unknown user"):
        ask(past, UNKNOWN_USER)


def test_someone_without_history():
    past = Interactions.of(table(views("ax")), users=Vocab.of_users(["a", "b"]))
    asked = ask(past, 1)
    assert asked.item.tolist() == [[PAD]]
    assert (asked.length.item(), asked.as_of.item()) == (0, 0)
    assert as_dict(asked.pairs(Rule())) == {}
    assert len(ask(past)) == 0
    assert as_dict(ask(past).pairs(Rule())) == {}


@given(random_events(), st.integers(1, 3))
def test_fingerprints_of_a_log_and_of_a_question_agree(events, history):
    past = log(events).counting(Rule())
    everyone = np.arange(past.n_users)
    whole = fingerprints(past)
    assert ask(past, *everyone).as_of.tolist() == whole.tolist()
    # of the whole history, whatever part of it is read, and in whatever company
    assert ask(past, *everyone[::-1], history=history).as_of.tolist() == whole[::-1].tolist()
    assert ((whole == 0) == (past.lengths == 0)).all()


@given(random_events(), st.sampled_from("abcd"), st.sampled_from("uvwxyz"))
def test_one_more_event_changes_one_fingerprint(events, user, item):
    vocabs = Vocab.of_users(list("abcd")), Vocab.of_items(list("uvwxyz"))
    before, after = (
        fingerprints(Interactions.of(table(rows), *vocabs).counting(Rule()))
        for rows in (events, [*events, (user, item, "view")])
    )
    assert [name for name, b, a in zip("abcd", before, after, strict=True) if b != a] == [user]


def test_a_change_of_kind_changes_the_fingerprint_and_the_order_of_equals_does_not():
    one = fingerprints(log([("a", "x", "view"), ("b", "x", "like")]))
    assert one[0] != one[1]
    there, back = fingerprints(log(views("ax", "ay", "by", "bx")))
    assert there == back


@given(random_events(most=80), KIND_SETS, st.sampled_from(["one", "count", "time"]))
def test_pairs_are_those_of_training(events, kinds, value):
    rule = Rule(kinds=tuple(sorted(kinds)), value=value)
    everything = log(events, time=moments(events))
    past = everything.counting(rule)
    asked = ask(past, *range(past.n_users))
    wanted = pairs_by_hand(past, rule)
    assert as_dict(asked.pairs(rule)) == wanted == entries(past.pairs(rule))
    # also from a question that holds more than the rule looks at
    assert as_dict(ask(everything, *range(everything.n_users)).pairs(rule)) == wanted


def test_an_unknown_item_counts_for_nothing():
    past = Interactions.of(table(views("ax", "ay", "bx")), items=Vocab.of_items(["y"]))
    assert as_dict(ask(past, 0, 1).pairs(Rule())) == {(0, 1): 1.0} == entries(past.pairs(Rule()))


def test_pairs_times_a_table():
    past = log(views("ax", "ay", "ax", "by"))
    table_ = torch.tensor([[9.0, 9.0], [1.0, 2.0], [10.0, 20.0]])
    sums = ask(past, 1, 0).pairs(Rule(value="count")).times(table_)
    assert sums.tolist() == [[10.0, 20.0], [12.0, 24.0]]
    assert ask(past, 0, 1).pairs(Rule()).offsets.tolist() == [0, 2, 3]


def test_moved_to_a_device_it_is_the_same():
    asked = ask(log(views("ax", "ay")), 0)
    moved = asked.to(torch.device("meta"))
    assert moved.item.device.type == "meta"
    assert moved.value is None
    assert moved.item.shape == asked.item.shape


def test_a_part_is_no_wider_than_its_longest_history():
    log = random_log()
    asked = query(log, np.arange(log.n_users), history=None)
    order = asked.length.argsort()
    rows = slice(int(order[0]), int(order[0]) + 1)
    part = asked.part(rows.start, rows.stop)
    longest = int(asked.length[rows].max())
    assert part.item.shape == (1, longest)
    assert longest < asked.item.shape[1]
    for name in Query.__slots__:
        column, whole = getattr(part, name), getattr(asked, name)
        assert (column is None) == (whole is None), name
        if column is not None:
            kept = whole[rows] if column.ndim == 1 else whole[rows, :longest]
            assert torch.equal(column, kept), name
    assert asked.part(0, 0).item.shape == (0, 1)
