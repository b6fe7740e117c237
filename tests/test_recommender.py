"""One object from a table to an answer: what the verbs promise, for every model."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import torch
from polars.testing import assert_frame_equal

from honeyguide.bundle import load as load_bundle
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.split import holdout
from honeyguide.data.table import Table
from honeyguide.data.vocab import UNKNOWN_USER
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.ease import EASE
from honeyguide.models.table import MODELS
from honeyguide.rank.rankers import Exhaustive
from honeyguide.recommender import Recommender, load
from honeyguide.recommender.recommender import BLOCK
from honeyguide.types import Ranking
from served import PLAIN, SPECS, events, fitted, item_names, late, shop, taken, users

ALL = list(MODELS)
LOG = pl.DataFrame(
    {
        "user_id": [1, 1, 1, 2, 2, 3, 3, 3, 4, 4],
        "item_id": [10, 11, 12, 10, 11, 12, 13, 14, 13, 14],
        "time": [float(i) for i in range(1, 11)],
    }
)
ITEMS = pl.DataFrame(
    {
        "item_id": [10, 11, 12, 13, 14],
        "title": ["ant", "bee", "cat", "dog", "eel"],
        "price": [1.0, 2.0, 3.0, 4.0, None],
        "tags": [["x"], ["x", "y"], [], ["y"], None],
    }
)


def small(log=LOG, **rest) -> Recommender:
    return Recommender(EASE(l2=1.0)).fit(log, items=ITEMS, **rest)


def items_of(frame: pl.DataFrame) -> list:
    return frame["item_id"].to_list()


def test_the_tests_know_every_model():
    assert set(SPECS) == set(ALL)


# --- asking


def test_two_names_are_two_users_and_a_list_of_them_is_one_history():
    rec = fitted()
    a, b = users()[:2]
    two = rec.recommend([a, b], k=3)
    assert two["user_id"].to_list() == [a] * 3 + [b] * 3
    assert two.columns == ["user_id", "item_id", "score", "rank"]
    assert two["rank"].to_list() == [1, 2, 3] * 2
    one = rec.recommend([taken(a)], k=3)
    assert one["user_id"].to_list() == [0] * 3
    assert items_of(one) == items_of(two)[:3]  # EASE: the same history, the same list


@pytest.mark.parametrize("name", ALL)
def test_a_list_holds_no_seen_item_and_its_scores_fall(name):
    rec = fitted(name)
    for user in users()[:5]:
        frame = rec.recommend([user], k=20)
        assert not set(items_of(frame)) & set(taken(user))
        assert (np.diff(frame["score"].to_numpy()) <= 0).all()
        assert set(items_of(rec.recommend([user], k=69, exclude_seen=False))) == set(item_names())


@pytest.mark.parametrize("name", ALL)
def test_many_asked_at_once_are_answered_like_each_alone(name):
    rec, many = fitted(name), users()[:6]
    alone = pl.concat([rec.recommend([user], k=5) for user in many])
    assert_frame_equal(rec.recommend(many, k=5), alone, abs_tol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_the_unknown_and_the_empty_get_what_is_popular_and_it_is_said(name):
    rec = fitted(name)
    known = users()[0]
    told = rec.answer([known, "nobody"], k=5)
    empty = rec.answer([[], taken(known)], k=5)
    popular = items_of(fitted("popular").recommend([[]], k=5))
    assert items_of(told.frame)[5:] == items_of(empty.frame)[:5] == popular
    assert told.fallback.tolist() == [False, True]
    assert empty.fallback.tolist() == [True, False]
    counts = shop().events.filter(pl.col("kind").is_in(["view", "cart", "purchase", "rating"]))
    best = counts["item_id"].value_counts(sort=True)["count"][0]
    assert empty.frame["score"][0] == best


def test_a_partly_unknown_history_is_answered_and_the_skipped_are_counted():
    rec, known = fitted(), taken(users()[0])
    told = rec.answer([[*known, "?", "??"], known], k=5)
    assert told.skipped.tolist() == [2, 0]
    assert items_of(told.frame)[:5] == items_of(told.frame)[5:]


def test_nobody_asked_is_an_empty_frame():
    frame = fitted().recommend([])
    assert len(frame) == 0
    assert frame.columns == ["user_id", "item_id", "score", "rank"]


def test_a_number_typed_as_text_finds_the_number():
    rec = small()
    assert items_of(rec.recommend(["1"], k=2)) == items_of(rec.recommend([1], k=2))
    assert items_of(rec.recommend([["10", "11"]], k=2)) == items_of(rec.recommend([[10, 11]], k=2))
    assert items_of(rec.recommend([1], 5, candidates=["13", 14])) == items_of(
        rec.recommend([1], 5, candidates=[13, 14])
    )
    by_text = small(LOG.cast({"user_id": pl.String}))
    assert items_of(by_text.recommend([1], k=2)) == items_of(rec.recommend([1], k=2))


# --- candidates


@pytest.mark.parametrize("name", ALL)
def test_candidates_are_ranked_like_the_whole_list_restricted_to_them(name):
    rec, some = fitted(name), item_names()[::4]
    for user in users()[:4]:
        whole = [i for i in items_of(rec.recommend([user], k=69, exclude_seen=False)) if i in some]
        assert items_of(rec.recommend([user], k=69, candidates=some)) == whole
        unseen = [i for i in whole if i not in taken(user)]
        told = rec.recommend([user], k=69, candidates=some, exclude_seen=True)
        assert items_of(told) == unseen


def test_unknown_candidates_come_last_once_with_a_null_score():
    rec, user = fitted(), users()[0]
    a, b = item_names()[:2]
    told = rec.recommend([user], k=10, candidates=["?", a, b, a, "!", "?"])
    assert set(items_of(told)[:2]) == {a, b}
    assert items_of(told)[2:] == ["?", "!"]
    assert told["score"].is_null().to_list() == [False, False, True, True]
    assert told["rank"].to_list() == [1, 2, 3, 4]
    assert len(rec.recommend([user], k=3, candidates=["?", a, b, a, "!"])) == 3


def test_unknown_candidates_stand_with_their_own_question():
    rec = small()
    told = rec.recommend([1, 2, 3], k=5, candidates=[[13, 99], [14], ["new", 10]])
    assert told["user_id"].to_list() == [1, 1, 2, 3, 3]
    assert items_of(told) == ["13", "99", "14", "10", "new"]
    assert items_of(rec.recommend([1], k=5, candidates=[99, 13])) == [13, 99]


def test_one_list_of_candidates_may_serve_all():
    rec, some = fitted(), item_names()[:7]
    told = rec.recommend(users()[:3], candidates=pl.Series(some))
    assert told.group_by("user_id").len()["len"].to_list() == [7] * 3


# --- filter


def test_filters_by_expression_and_by_values():
    rec = small()

    def passed(wanted):
        return sorted(items_of(rec.recommend([1], k=5, filter=wanted, exclude_seen=False)))

    assert passed(pl.col("price") > 2) == [12, 13]
    assert passed({"title": "dog"}) == [13]
    assert passed({"title": ["dog", "ant", "no such"]}) == [10, 13]
    assert passed({"title": ["dog", "ant"], "price": 1.0}) == [10]
    assert passed({"price": None}) == [14]
    assert passed({"tags": "y"}) == [11, 13]
    assert passed({"title": "no such"}) == []


def test_a_filter_joins_with_candidates_and_fallback():
    rec = small()
    some = [10, 13, 14]
    both = rec.recommend([1], k=5, candidates=some, filter=pl.col("price") < 5)
    assert sorted(items_of(both)) == [10, 13]
    told = rec.answer(["nobody"], filter={"title": ["bee", "eel"]}, k=5)
    assert told.fallback.tolist() == [True]
    assert sorted(items_of(told.frame)) == [11, 14]


# --- score, similar


@pytest.mark.parametrize("name", ALL)
def test_score_is_the_score_of_the_list(name):
    rec, user = fitted(name), users()[1]
    told = rec.recommend([user], k=8)
    again = rec.score([user] * 8, items_of(told))
    assert again.columns == ["user_id", "item_id", "score"]
    assert again["score"].to_numpy() == pytest.approx(told["score"].to_numpy(), abs=1e-4)


def test_score_is_null_where_nothing_can_be_said():
    rec, user = fitted(), users()[0]
    item = item_names()[0]
    told = rec.score([user, user, "nobody"], [item, "?", item])
    assert told["score"].is_null().to_list() == [False, True, True]


# --- frames


def test_a_frame_is_answered_by_its_own_kind_and_a_list_as_fitted():
    polars, pandas, arrow = LOG, LOG.to_pandas(), LOG.to_arrow()
    kinds = {pl.DataFrame: polars, pd.DataFrame: pandas, pa.Table: arrow}
    for kind, log in kinds.items():
        rec = small(log)
        assert type(rec.recommend([1], k=2)) is kind
        assert type(rec.similar([10], k=2)) is kind
        assert type(rec.score([1], [10])) is kind
        assert type(rec.similar_users([1], k=2)) is kind
        for asking, frame in kinds.items():
            assert type(rec.recommend(frame, k=2)) is asking
    people = pd.DataFrame({"user_id": [2, 1]})
    assert small().recommend(people, k=1)["user_id"].to_list() == [2, 1]
    assert items_of(small().recommend(pl.Series([2, 1]), k=1)) == items_of(
        small().recommend(np.array([2, 1]), k=1)
    )


def test_fit_takes_a_path_and_a_table_alike(tmp_path):
    LOG.write_csv(tmp_path / "log.csv")
    ITEMS.drop("tags").write_csv(tmp_path / "items.csv")
    asked = [[10, 11]]
    want = small().recommend(asked, k=2)
    by_path = Recommender(EASE(l2=1.0)).fit(tmp_path / "log.csv", items=tmp_path / "items.csv")
    assert_frame_equal(by_path.recommend(asked, k=2), want)
    assert by_path.state.items.column("title").to_list()[1:] == ITEMS["title"].to_list()
    assert_frame_equal(small(Table(LOG)).recommend(asked, k=2), want)


def test_fit_follows_minimum_rating_and_leaves_a_test_part_out():
    rated = LOG.with_columns(value=pl.Series([5.0] * 7 + [1.0] * 3))
    rec = Recommender("popular").fit(rated, inputs=Inputs(min_rating=3))
    assert sorted(rec.state.items.vocab.names.to_list()) == [10, 11, 12, 13]
    parted = LOG.with_columns(part=pl.Series(["train"] * 8 + ["test"] * 2))
    rec = Recommender("popular").fit(parted)
    assert rec.state.users.vocab.names.to_list() == [1, 2, 3]
    assert any("2 events of the test part" in note for note in rec.notes)


def test_fit_by_name():
    rec = Recommender("popular").fit("simulated-shop")
    assert rec.state.resolved["data"] == "simulated-shop"
    assert len(rec.recommend(["nobody"], k=3)) == 3


# --- evaluation and service ask the same


class Heard(Exhaustive):
    """Keeps what it was asked and what it answered."""

    def rank(self, query, k, **rest) -> Ranking:
        self.asked, self.heard = query, self.model.score(query)
        return super().rank(query, k, **rest)


@pytest.mark.parametrize("name", ALL)
def test_evaluation_and_service_build_the_same_question(name):
    rec = fitted(name)
    state, spec = rec.state, rec.spec
    after = Interactions.of(
        Table(events(*[(user, item, late()) for user in users() for item in item_names()])),
        users=state.users.vocab,
        items=state.items.vocab,
    )
    held = holdout(state.histories, after, None)
    if spec.rule.value == "time":  # evaluation tells the time and service cannot yet (models/cp.py)
        held = replace(held, now=None)
    heard = Heard(state.model)
    evaluate(heard, held, rule=spec.rule, past=spec.past, metrics=["ndcg@5"])
    order = heard.asked.user.numpy()
    names = state.users.vocab.of(order).to_list()
    told = rec.answer(names, k=69, exclude_seen=False)
    served = torch.gather(heard.heard, 1, told.ranking.items)
    own = ~torch.from_numpy(told.fallback)
    assert bool(own.any()) == (name != "popular" or not told.fallback.all())
    torch.testing.assert_close(served[own], told.ranking.scores[own], rtol=1e-5, atol=1e-5)
    counted = list(Exhaustive(state.model).answered_by(heard.asked))
    assert counted == told.answered_by


def test_evaluate_measures_what_came_after():
    rec, user = fitted(), users()[0]
    first, second = items_of(rec.recommend([user], k=2))
    told = rec.evaluate(events((user, first, late())), metrics=["recall@1", "ndcg@2"])
    assert (told["recall@1"], told["ndcg@2"]) == (1, 1)
    told = rec.evaluate(events((user, second, late()), ("nobody", first, late())), ["recall@1"])
    assert told["recall@1"] == 0
    assert len(told.users) == 1


@pytest.mark.parametrize("name", ["mf", "ease"])
def test_who_came_after_training_is_measured_without_a_row(name):
    rec = fitted(name)
    rec.update(events(*[("late", item, late()) for item in item_names()[:4]]))
    wanted = items_of(rec.recommend(["late"], k=1))[0]
    told = rec.evaluate(events(("late", wanted, late() + 1), ("late", "?", late() + 2)), ["mrr@1"])
    assert told["mrr@1"] == 1


# --- all users


def test_all_users_in_a_folder_that_appears_at_once(tmp_path, monkeypatch):
    rec = fitted()
    monkeypatch.setattr("honeyguide.recommender.recommender.BLOCK", 32)
    rec.recommend_all(tmp_path / "deep" / "all", k=4)
    parts = sorted((tmp_path / "deep" / "all").iterdir())
    names = rec.state.users.vocab.names
    assert len(parts) == -(-len(names) // 32)
    assert_frame_equal(
        pl.concat([pl.read_parquet(part) for part in parts]), rec.recommend(names, k=4)
    )
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["all"]
    assert BLOCK > 32


# --- bundles


@pytest.mark.parametrize("name", ALL)
def test_a_bundle_answers_bit_by_bit_as_before(name, tmp_path):
    rec = fitted(name)
    rec.update(events((users()[0], item_names()[5], late()), ("late", "new item", late())))
    rec.save(tmp_path / "bundle")
    back = load(tmp_path / "bundle")
    asked = [*users()[:8], "late", "nobody"]
    one, other = rec.answer(asked, k=20), back.answer(asked, k=20)
    assert one.frame.equals(other.frame)
    assert one.answered_by == other.answered_by
    assert one.ranking.scores.numpy().tobytes() == other.ranking.scores.numpy().tobytes()
    assert back.spec == rec.spec
    for table in ("items", "users"):
        assert getattr(rec.state, table).frame.equals(getattr(back.state, table).frame)
    assert rec.state.histories.frame().equals(back.state.histories.frame())
    assert back.state.items.titles is not None


def test_a_bundle_is_saved_over_an_old_one_and_keeps_the_kind_of_frame(tmp_path):
    fitted("popular").save(tmp_path)
    small(LOG.to_pandas()).save(tmp_path)
    back = load(tmp_path)
    assert back.spec == EASE(l2=1.0)
    assert isinstance(back.recommend([1], k=2), pd.DataFrame)
    assert items_of(back.recommend([1], k=5, filter={"tags": "y"}, exclude_seen=False))


@pytest.mark.parametrize("name", ALL)
def test_people_stand_only_where_erasure_looks(name, tmp_path):
    odd = 71  # a number of users that no other size has
    log = shop().events.with_columns(user_id="person " + pl.col("user_id"))
    kept = log["user_id"].unique(maintain_order=True)[:odd]
    log = log.filter(pl.col("user_id").is_in(kept.implode()))
    rec = Recommender(SPECS[name], training=PLAIN).fit(log).save(tmp_path)
    for path in rec.iterdir():
        if not path.name.startswith(("users-", "histories-")):
            assert b"person " not in path.read_bytes(), path.name
    contents = load_bundle(tmp_path)
    sizes = {key: t.shape for key, t in contents.tensors.items() if "user" not in key.split(".")}
    assert [key for key, shape in sizes.items() if {odd, odd + 1} & set(shape)] == []
    rows = {key: len(table) for key, table in contents.tables.items()}
    assert rows["users"] == odd
    assert set(rows) == {"users", "items", "histories"}


def test_fit_is_seeded():
    one, other = (
        Recommender(SPECS["mf"], training=PLAIN).fit(shop()).recommend(users(), k=5)
        for _ in range(2)
    )
    assert one.equals(other)


def test_a_stranger_has_no_row():
    from honeyguide.recommender.question import people_asked

    state = fitted("mf").state
    assert people_asked(state, [taken(users()[0])]).trained.tolist() == [UNKNOWN_USER]
    assert people_asked(state, [users()[0], "nobody"]).trained.tolist() == [
        int(state.users.vocab.numbers([users()[0]])[0]),
        UNKNOWN_USER,
    ]


def test_one_answer_takes_no_more_than_ten_times_what_it_should():
    rec, long = fitted(), (item_names() * 4)[:200]
    times = []
    for _ in range(20):
        started = perf_counter()
        rec.recommend([long])
        times.append(perf_counter() - started)
    assert np.median(times) < 0.030  # the goal is 3 ms for nearly all, on a quiet machine
