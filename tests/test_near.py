"""What is like what, and who is like whom."""

import polars as pl
import pytest

from honeyguide.models.spec import Vectors
from honeyguide.models.table import MODELS
from honeyguide.recommender import Recommender
from served import fitted, item_names, taken, users

BLOCKS = pl.DataFrame(  # two tastes that share nothing
    [
        {"user_id": f"{side}{u}", "item_id": f"{side}{i}"}
        for side in "ab"
        for u in range(8)
        for i in range(6)
        if (u + i) % 4
    ]
)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("popular", "sasrec", "mf")])
def test_the_eye_can_see_who_is_alike(name):
    rec = Recommender(name).fit(BLOCKS)
    items = rec.similar(["a0", "b1"], k=4)
    assert items["item_id"].to_list() == ["a0"] * 4 + ["b1"] * 4
    assert all(i[0] == j[0] for i, j in items.select("item_id", "similar_id").rows())
    people = rec.similar_users(["b3"], k=5)
    assert all(user[0] == "b" for user in people["similar_id"])


@pytest.mark.parametrize("name", list(MODELS))
def test_nothing_is_like_itself_and_likeness_falls(name):
    rec = fitted(name)
    for asked, told, key in (
        (item_names()[:9], rec.similar(item_names()[:9], k=20), "item_id"),
        (users()[:9], rec.similar_users(users()[:9], k=20), "user_id"),
    ):
        assert told.columns == [key, "similar_id", "score", "rank"]
        assert not (told[key] == told["similar_id"]).any()
        for one in asked:
            rows = told.filter(pl.col(key) == one)
            assert rows["score"].is_sorted(descending=True)
            assert rows["rank"].to_list() == list(range(1, len(rows) + 1))
            assert rows["similar_id"].n_unique() == len(rows)
        if isinstance(rec.state.model, Vectors):
            assert len(told) == 20 * 9
            assert told["score"].max() <= 1 + 1e-5


def test_without_vectors_what_shares_nothing_is_left_out():
    rec = Recommender("item-knn").fit(BLOCKS)
    told = rec.similar(["a0"], k=10)
    assert 0 < len(told) <= 5
    assert (told["score"] > 0).all()
    assert len(rec.similar_users(["a0"], k=15)) == 7


def test_an_item_asked_as_often_as_wanted_and_an_id_as_text():
    rec = fitted()
    one = item_names()[4]
    twice = rec.similar([one, one], k=2)["similar_id"].to_list()
    assert twice[:2] == twice[2:]


def test_users_with_one_history_are_most_alike():
    rec = fitted()
    user = users()[0]
    rec.update(
        pl.DataFrame({"user_id": "twin", "item_id": taken(user), "time": 1.7e9}).with_columns(
            kind=pl.lit("view")
        )
    )
    told = rec.similar_users([user], k=1)
    assert told["similar_id"].to_list() == ["twin"]
    assert told["score"][0] == pytest.approx(1, abs=1e-5)
