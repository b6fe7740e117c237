"""Keeping up without training: new events, new users, new items."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.table import Table
from honeyguide.models.ease import EASE
from honeyguide.models.spec import UserRows
from honeyguide.models.table import MODELS
from honeyguide.recommender import Recommender, load
from honeyguide.recommender.growth import grown, merged
from logs import log, table, views
from served import events, fitted, item_names, late, taken, users

DAY = 86_400.0


def history(rec: Recommender, user: object) -> list:
    state = rec.state
    return state.items.vocab.of(
        state.histories.of_users(state.users.vocab.numbers([user])).item
    ).to_list()


# --- events


def rated(*rows: tuple[object, object, float]) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=["user_id", "item_id", "rating"], orient="row")
    return frame.with_columns(time=pl.int_range(len(frame)) + 1e9)


def test_the_minimum_rating_of_training_holds_afterwards(tmp_path):
    log = rated(*((user, item, 5.0) for user in range(4) for item in range(user, user + 4)))
    rec = Recommender(EASE()).fit(log, inputs=Inputs(min_rating=4))
    rec = load(rec.save(tmp_path / "bundle"))
    told = rec.evaluate(rated((0, 5, 5.0), (1, 6, 1.0)), ["recall@2"])
    assert rec.state.users.vocab.of(told.users).to_list() == [0]
    rec.update(rated((0, 6, 3.5), (0, 5, 4.0), (99, 5, 1.0)))
    assert sorted(history(rec, 0)) == [0, 1, 2, 3, 5]
    assert 99 not in rec.state.users.vocab.names


@pytest.mark.parametrize("name", [name for name in MODELS if name != "popular"])
def test_the_next_answer_knows_an_event(name):
    rec, user = fitted(name), users()[0]
    before = rec.recommend([user], k=10)
    clicked = before["item_id"][0]
    rec.update(events((user, clicked, late())))
    after = rec.recommend([user], k=10)
    assert clicked not in after["item_id"].to_list()
    assert not np.array_equal(before["score"].to_numpy()[1:], after["score"].to_numpy()[:9])
    rows = [part for part in rec.state.model.modules() if isinstance(part, UserRows)]
    if not rows:  # a trained row is where they start from
        stranger = rec.recommend([[*taken(user), clicked]], k=10)
        assert_frame_equal(stranger.drop("user_id"), after.drop("user_id"), abs_tol=1e-4)


@pytest.mark.parametrize(("name", "most"), [("mf", 3), ("ease", 3)])
def test_one_event_does_not_overturn_a_list(name, most):
    rec = fitted(name)
    asked = users()[:40]
    before = rec.recommend(asked, k=11, exclude_seen=False)
    click = [(user, item_names()[i % 60], late()) for i, user in enumerate(asked)]
    rec.update(events(*click))
    after = rec.recommend(asked, k=10, exclude_seen=False)
    changed = [
        len(set(after.filter(user_id=u)["item_id"]) - set(before.filter(user_id=u)["item_id"]))
        for u in asked
    ]
    assert 0 < np.mean(changed) <= most


def test_a_trained_row_answers_until_the_history_changes():
    rec = fitted("mf")
    asked = users()
    rests_on = rec.answer(asked, k=3).answered_by
    row = asked[rests_on.index("trained-row")]
    rec.update(events((row, item_names()[3], late())))
    assert rec.answer([row], k=3).answered_by == ["fold-in"]
    assert rests_on.count("fold-in") <= len(asked) // 10 + 1  # those held out to stop early


def test_a_new_user_is_served_from_their_events():
    rec = fitted()
    some = taken(users()[0])
    assert rec.answer(["late"], k=5).fallback.tolist() == [True]
    rec.update(events(*[("late", item, late() + i) for i, item in enumerate(some)]))
    told = rec.answer(["late"], k=5)
    assert told.fallback.tolist() == [False]
    want = rec.recommend([some], k=5)
    assert told.frame["item_id"].to_list() == want["item_id"].to_list()
    assert len(rec.similar_users(["late"], k=3)) == 3


def test_a_new_item_is_remembered_and_has_no_score():
    rec, user = fitted(), users()[0]
    before = rec.recommend([user], k=5)
    rec.update(events((user, "brand new", late()), ("late", "brand new", late())))
    assert history(rec, user)[-1] == "brand new"
    told = rec.answer([user, "late"], k=5)
    assert told.skipped.tolist() == [1, 1]
    assert told.fallback.tolist() == [False, True]
    assert told.frame.head(5).equals(before)
    assert rec.score([user], ["brand new"])["score"].to_list() == [None]
    asked = rec.recommend([user], candidates=["brand new", item_names()[0]])
    assert asked["item_id"].to_list() == [item_names()[0], "brand new"]


def test_an_earlier_event_is_inserted_at_its_place():
    frame = events(("a", "x", 10.0), ("a", "y", 30.0), ("b", "x", 20.0), ("b", "z", 40.0))
    rec = Recommender(EASE(l2=1.0)).fit(frame)
    rec.update(events(("a", "z", 20.0), ("b", "y", 10.0), ("a", "y", 10.0)))
    assert history(rec, "a") == ["x", "y", "z", "y"]
    assert history(rec, "b") == ["y", "x", "z"]
    assert rec.state.histories.frame()["time"].to_list()[:4] == [10, 10, 20, 30]


def test_without_times_new_events_come_last_in_their_own_order():
    frame = pl.DataFrame({"user_id": [1, 2, 1, 2], "item_id": [5, 5, 6, 7], "order": [9, 8, 7, 6]})
    rec = Recommender(EASE(l2=1.0)).fit(frame)
    assert history(rec, 1) == [6, 5]
    rec.update(pl.DataFrame({"user_id": [1, 1], "item_id": [7, 8], "order": [2, 1]}))
    assert history(rec, 1) == [6, 5, 8, 7]
    rec.update(pl.DataFrame({"user_id": ["1"], "item_id": ["5"]}))
    assert history(rec, "1") == [6, 5, 8, 7, 5]


def test_impressions_are_no_history():
    rec, user = fitted(), users()[0]
    before = rec.state
    rec.update(events((user, item_names()[0], late())).with_columns(kind=pl.lit("impression")))
    assert history(rec, user) == taken(user)
    assert rec.state.users is before.users


KINDS = [f"{u}{i}" for u in "abc" for i in "xyz"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5)), min_size=1, max_size=12),
    st.lists(
        st.tuples(st.sampled_from([*KINDS, "dx", "aw"]), st.integers(0, 5)), min_size=1, max_size=8
    ),
)
def test_events_merged_are_events_read_together(first, second):
    def told(rows):
        return table(views(*(pair for pair, _ in rows)), time=[float(t) for _, t in rows])

    old = Interactions.of(told(first))
    later = told(second).events
    users, items = grown(old.users, later["user_id"]), grown(old.items, later["item_id"])
    both = merged(old, Interactions.of(Table(later), users=users, items=items))
    want = Interactions.of(Table(pl.concat([told(first).events, later])), users=users, items=items)
    assert both.frame().equals(want.frame())
    assert np.array_equal(both.offsets, want.offsets)


def test_columns_that_one_side_lacks_and_sessions_of_both():
    old = log(views("ax", "ay", "bx"), session_id=[5, 5, 6], value=[1.0, 2.0, 3.0])
    new = Interactions.of(
        table(views("ax", "bz"), order=[1, 2], session_id=["5", None]),
        users=old.users,
        items=grown(old.items, pl.Series(["z"])),
    )
    both = merged(old, new)
    assert both.frame()["session_id"].to_list() == [1, 1, 3, 2, None]
    assert both.frame()["value"].to_list() == [1, 2, None, 3, None]


# --- items


def test_items_are_told_of_and_said_to_be_unscorable():
    rec = fitted()
    known = item_names()[0]
    told = rec.add_items({"item_id": ["fresh", known], "title": ["Fresh", "no"], "shelf": [1, 2]})
    assert told.rows() == [("fresh", False), (known, True)]
    features = rec.state.items
    assert features.column("title")[-1] == "Fresh"
    assert features.column("title")[1] != "no"
    assert features.column("shelf").to_list()[-1] == 1
    assert features.vocab.numbers(["fresh"]).tolist() == [len(item_names()) + 1]
    told = rec.recommend([users()[0]], candidates=["fresh", known])
    assert told["item_id"].to_list() == [known, "fresh"]
    again = rec.add_items(pl.DataFrame({"item_id": ["fresh", "fresher"]}).to_pandas())
    assert again["scorable"].to_list() == [False, False]
    assert len(rec.state.items.frame) == len(rec.state.items.vocab)


def test_an_item_that_was_added_lives_through_a_bundle(tmp_path):
    from honeyguide.recommender import load

    rec = fitted()
    rec.add_items({"item_id": ["fresh"], "title": ["Fresh"]})
    rec.update(events((users()[0], "fresh", late())))
    rec.save(tmp_path)
    back = load(tmp_path)
    assert back.state.items.frame.equals(rec.state.items.frame)
    assert history(back, users()[0])[-1] == "fresh"
    assert back.answer([users()[0]], k=2).skipped.tolist() == [1]
