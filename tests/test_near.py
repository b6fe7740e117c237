"""What is like what, and who is like whom."""

import numpy as np
import polars as pl
import pytest

from honeyguide.errors import CallError
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


# of the others the defaults learn nothing from so few events, or there are no ratings; a
# score of spectral-mf says how far above the mean over all items, and with twelve of them an item's
# own score lifts that mean above the rest of its block
AT_ONCE = ("item-knn", "user-knn", "ease", "chebycf", "ials", "lightgcn", "xsimgcl")


@pytest.mark.parametrize("name", AT_ONCE)
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


@pytest.mark.parametrize("by", ["dot", "cosine", "euclid"])
@pytest.mark.parametrize("name", ["ials", "ease"])
def test_likeness_by_any_measure_is_what_its_definition_says(name, by):
    rec, asked = fitted(name), item_names()[:4]
    told = rec.similar(asked, k=5, by=by)
    if name == "ials":
        vectors = rec.state.model.item_vectors().double().numpy()
    else:
        vectors = rec.state.histories.pairs(rec.spec.rule).toarray().T.astype(float)
    numbers = rec.state.items.vocab.numbers
    for item, other, score in told.select("item_id", "similar_id", "score").rows():
        a, b = vectors[int(numbers([item])[0])], vectors[int(numbers([other])[0])]
        wanted = {
            "dot": a @ b,
            "cosine": a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12),
            "euclid": -np.linalg.norm(a - b),
        }[by]
        assert score == pytest.approx(wanted, abs=1e-3)
    people = rec.similar_users(users()[:3], k=4, by=by)
    for rows in people.partition_by("user_id"):
        assert rows["score"].is_sorted(descending=True)


def test_an_unknown_measure_is_refused():
    with pytest.raises(CallError, match="'hamming' is no measure of likeness") as caught:
        fitted().similar(item_names()[:1], by="hamming")
    assert caught.value.do == "Choose one of cosine, dot, euclid."
