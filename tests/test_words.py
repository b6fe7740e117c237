"""Searches among the events: their words as numbers, in questions, and what models make of them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import honeyguide as hg
from honeyguide.data.batch import examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.query import query
from honeyguide.data.split import holdout
from honeyguide.data.table import Table
from honeyguide.data.validation import sampled_holdout
from honeyguide.data.vocab import PAD
from honeyguide.data.words import MOST, NUMBERS, word_numbers
from honeyguide.errors import BundleError, CallError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import Event
from honeyguide.rank.rankers import Exhaustive
from honeyguide.recommender.state import save_state
from matrices import fitted, random_log

SEARCH = KINDS["search"].number
ITEMS, DAYS = 20, 12
READS = SASRec(
    width=16, layers=1, dropout=0.0, history=40, epochs=40, batch=16, learning_rate=1e-2, words=True
)


def searched(users: int, seed: int) -> pl.DataFrame:
    """Everyone types what they want and views it; what they want next, no one can know before."""
    draw = np.random.default_rng(seed)
    wanted = draw.integers(ITEMS, size=(users, DAYS))
    rows = []
    for user, items in enumerate(wanted):
        for day, item in enumerate(items):
            asked = {"item_id": None, "kind": "search", "text": f"Thing no. {item}, please"}
            took = {"item_id": f"item {item}", "kind": "view", "text": None}
            rows += [
                {"user_id": f"user {user}", "time": 1.7e9 + 9e4 * day + late, **what}
                for late, what in enumerate((asked, took))
            ]
    return pl.DataFrame(rows)


def test_words_are_numbers():
    found = word_numbers(pl.Series(["Red shoes!", "red  SHOES", None, "", "...", "größe 42-43"]))
    assert found.shape == (6, MOST)
    assert found[0].tolist() == found[1].tolist()
    assert (found[2:5] == 0).all()
    assert (found[5] > 0).tolist() == [True] * 3 + [False] * (MOST - 3)
    assert found[0, 0] != found[0, 1]
    assert found.min() >= 0
    assert found.max() < NUMBERS
    # one word is one however it is put together, and marks of other scripts do not part it
    parted, whole = word_numbers(pl.Series(["gro\u0308ße", "GRÖßE"])).tolist()
    assert parted == whole
    assert (word_numbers(pl.Series(["हिन्दी किताब"]))[0] > 0).sum() == 2
    # stands in bundles, so it may never become another
    assert found[0, 0] == 4825


def test_of_a_long_search_the_first_words_are_kept():
    many = " ".join(f"w{n}" for n in range(MOST + 3))
    first = " ".join(f"w{n}" for n in range(MOST))
    assert word_numbers(pl.Series([many])).tolist() == word_numbers(pl.Series([first])).tolist()


def test_words_follow_their_events():
    frame = searched(4, 0)
    log = Interactions.of(Table(frame.sample(fraction=1, shuffle=True, seed=1)))
    assert log.words is not None
    assert log.text is not None
    np.testing.assert_array_equal(log.words, word_numbers(log.text))
    assert ((log.words[:, 0] > 0) == (log.kind == SEARCH)).all()
    some = log.of_users(np.array([2, 0]))
    np.testing.assert_array_equal(some.words, word_numbers(some.text))


def test_only_searches_have_words_and_no_search_has_an_item():
    rows = {
        "user_id": [1, 1, 1],
        "item_id": ["a", "b", "b"],
        "kind": ["view", "search", "view"],
        "text": ["a review", "tea", None],
    }
    log = Interactions.of(Table(pl.DataFrame({**rows, "order": [1, 2, 3]})))
    assert log.words is not None
    assert (log.words[:, 0] > 0).tolist() == [False, True, False]
    assert log.item.tolist() == [1, PAD, 2]
    assert log.counting(READS.but(words=False).rule).words is None
    silent = {**rows, "text": ["a review", "?", None], "order": [1, 2, 3]}
    assert Interactions.of(Table(pl.DataFrame(silent))).counting(READS.rule).item.tolist() == [1, 2]
    views = {**rows, "kind": ["view"] * 3, "order": [1, 2, 3]}
    assert Interactions.of(Table(pl.DataFrame(views))).words is None


def test_a_validation_part_is_not_told_by_a_later_search():
    frame = searched(40, 0)
    late = {"kind": "search", "item_id": None, "text": "nothing", "time": 1.75e9}
    users = frame.select("user_id").unique(maintain_order=True)
    both = pl.concat(
        [frame, users.with_columns(pl.lit(v).alias(k) for k, v in late.items())],
        how="diagonal_relaxed",
    )
    log = Interactions.of(Table(both))
    learned, valid = sampled_holdout(log, 0)
    assert valid is not None
    for user in valid.users:
        mine = learned.of_users(np.array([user]))
        assert mine.kind[-1] == SEARCH
        assert mine.time is not None
        assert mine.time.max() < 1.74e9
    assert len(log) - len(learned) == 2 * (len(valid.users) + valid.without_truth)


def test_without_a_text_there_are_no_words():
    assert random_log().words is None
    frame = searched(2, 0).with_columns(text=pl.lit(None, pl.String))
    assert Interactions.of(Table(frame)).words is None


def test_training_and_question_read_the_same_searches():
    log = Interactions.of(Table(searched(3, 0)))
    asked = examples(log, READS.asked()).batch(np.arange(3), 0)
    told = query(log.counting(READS.rule), asked.query.user.numpy(), history=None)
    assert asked.query.words is not None
    assert told.words is not None
    length = asked.query.item.shape[1]
    for name in ("item", "kind", "words"):
        assert torch.equal(getattr(asked.query, name), getattr(told, name)[:, :length]), name
    # a search is read and never asked for
    following = told.kind[:, 1 : length + 1]
    assert bool(((asked.target == PAD) == (following == SEARCH)).all())
    plain = query(log.counting(READS.but(words=False).rule), np.arange(3), history=None)
    assert not bool((plain.kind == SEARCH).any())


def test_what_is_searched_for_is_found():
    """The next item stands in the search before it and nowhere else."""
    log = Interactions.of(Table(searched(100, 0)))
    last = np.zeros(len(log), bool)
    last[log.offsets[1:] - 1] = True
    held = holdout(log.only(~last), log.only(last), None)
    found = {}
    for words in (True, False):
        model = fitted(READS.but(words=words), held.history)
        found[words] = evaluate(
            Exhaustive(model),
            held,
            rule=model.spec.rule,
            past=model.spec.past,
            metrics=["hit_rate@1"],
            exclude_seen=False,
        )["hit_rate@1"]
    assert found[True] > 0.9
    assert found[False] < 0.3  # one of twenty, or a little luck


def test_a_state_reads_searches():
    log = Interactions.of(Table(searched(30, 0)))
    model = fitted(READS.but(epochs=2), log)
    asked = query(log.counting(READS.rule), np.array([0]), history=None)
    assert asked.words is not None
    events = [
        Event(int(asked.item[0, n]), int(asked.kind[0, n]), words=tuple(asked.words[0, n].tolist()))
        for n in range(2 * DAYS)
    ]
    with torch.inference_mode():
        whole = model.query_vectors(asked)[0]
    state = model.start(events[:3])
    for event in events[3:]:
        state = model.advance(state, event)
    torch.testing.assert_close(state.vector, whole, rtol=1e-4, atol=1e-5)
    other = replace(events[-2], words=tuple(word_numbers(pl.Series(["something"]))[0].tolist()))
    changed = model.start([*events[:-2], other, events[-1]]).vector
    assert not torch.allclose(changed, whole, rtol=1e-3)


def test_a_recommender_keeps_reads_and_saves_searches(tmp_path):
    frame = searched(150, 0)
    guide = hg.Recommender(READS).fit(frame)
    late = {"user_id": ["user 0"], "item_id": [None], "kind": ["search"], "time": [1.75e9]}
    guide.update(pl.DataFrame({**late, "text": ["thing no. 7 please"]}))
    asked = guide.recommend(["user 0"], k=1, exclude_seen=False)
    assert asked["item_id"].to_list() == ["item 7"]
    guide.save(tmp_path / "bundle")
    again = hg.load(tmp_path / "bundle")
    assert again.recommend(["user 0"], k=1, exclude_seen=False).equals(asked)
    assert set(again.explain(["user 0"])["because_id"].drop_nulls()) <= set(frame["item_id"])
    stored = b"".join(path.read_bytes() for path in (tmp_path / "bundle").rglob("*"))
    assert b"please" not in stored


def test_who_only_searched_is_answered_and_told_why():
    guide = hg.Recommender(READS).fit(searched(100, 0))
    only = {"user_id": ["new"], "item_id": [None], "kind": ["search"], "time": [1.75e9]}
    guide.update(pl.DataFrame({**only, "text": ["thing no. 3 please"]}))
    assert guide.recommend(["new"], k=1)["item_id"].to_list() == ["item 3"]
    (told,) = guide.explanations(["new"])
    assert told.because == ()
    assert any("searches only" in note for note in told.notes)


@pytest.mark.parametrize("words", [None, np.full((1, MOST), NUMBERS), np.full((1, 2), 1)])
def test_a_bundle_with_other_words_is_refused(tmp_path, words):
    guide = hg.Recommender(READS.but(epochs=1)).fit(searched(10, 0))
    histories = guide.state.histories
    other = None if words is None else np.repeat(words, len(histories), 0).astype(np.int32)
    save_state(replace(guide.state, histories=replace(histories, words=other)), tmp_path / "b")
    with pytest.raises(BundleError, match="words"):
        hg.load(tmp_path / "b")


def test_a_model_that_does_not_read_them_keeps_none():
    guide = hg.Recommender(READS.but(words=False, epochs=1)).fit(searched(10, 0))
    histories = guide.state.histories
    assert histories.words is None
    assert not (histories.kind == SEARCH).any()


def test_words_need_searches():
    with pytest.raises(CallError, match="sasrec with words needs searches"):
        READS.refuse(random_log())
