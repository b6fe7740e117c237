"""What a recommender refuses, in two lines: what is wrong, what to do."""

import inspect
from functools import partial

import polars as pl
import pytest

from honeyguide.bundle import Contents
from honeyguide.bundle import load as load_bundle
from honeyguide.bundle import save as save_bundle
from honeyguide.data.opening import Inputs
from honeyguide.errors import (
    BundleError,
    CallError,
    ColumnError,
    HoneyguideError,
    InputError,
    UnknownName,
    ValueInColumn,
)
from honeyguide.models.sasrec import SASRec
from honeyguide.recommender import Recommender, load
from honeyguide.recommender.names import allowed
from served import PLAIN, SPECS, events, fitted, item_names, late, shop, users
from tables import refused

ITEMS = len(item_names())
PAIRS = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [5, 6, 5, 7]})


def test_before_fit():
    refused(CallError, lambda: Recommender("ease").recommend(["a"]), "nothing yet", "fit(log)")


def test_a_model_nobody_knows():
    refused(UnknownName, lambda: Recommender("easy"), "'easy'", "Did you mean 'ease'?")


def test_an_order_that_is_not_there():
    refused(
        CallError, lambda: Recommender(SASRec()).fit(PAIRS), "sasrec needs order", "--order file"
    )


@pytest.mark.parametrize(
    ("k", "said"),
    [(0, "k = 0"), (-1, "k = -1"), (ITEMS + 1, f"are {ITEMS} items"), (True, "no whole number")],
)
def test_k(k, said):
    refused(CallError, lambda: fitted().recommend([users()[0]], k=k), said, f"1 to {ITEMS}.")


def test_k_of_the_others(tmp_path):
    rec = fitted()
    refused(CallError, lambda: rec.similar([item_names()[0]], k=ITEMS), "other items")
    refused(CallError, lambda: rec.similar_users([users()[0]], k=100), "other users")
    refused(CallError, lambda: rec.recommend_all(tmp_path / "x", k=ITEMS + 1), f"{ITEMS} items")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ann", "One name, 'ann'"),
        (3, "One name, 3"),
        ([None], "None is no id"),
        ([1.5], "1.5 is no id"),
        ([True], "True is no id"),
        ([{"a": 1}], "no id of a user"),
        (["a", 3], "two types, such as 3 and 'a'"),
        (["a", ["b"]], "some are lists"),
        ([["a"], None], "some are lists"),
        ([["a", None]], "None is no id of an item"),
        ([[["a"]]], "['a'] is no id of an item"),
        ({"a": 1}, "from a dict"),
        (None, "from a NoneType"),
        (pl.DataFrame({"user": ["a"]}), "no column named 'user_id'"),
    ],
)
def test_a_question_of_a_wrong_type(asked, said):
    refused_somehow(lambda: fitted().recommend(asked), said)


def refused_somehow(call, said):
    with pytest.raises(CallError) as caught:
        call()
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_a_history_of_unknown_items_only():
    rec = fitted()
    refused(InputError, lambda: rec.recommend([["?", "??"]]), "history 0", "'?', '??'")
    refused(InputError, lambda: rec.recommend([[item_names()[0]], ["?"]]), "history 1")


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        ([], "is empty"),
        ([[], []], "is empty"),
        ("milk", "One name, 'milk'"),
        ([["a"], ["b"], ["c"]], "3 lists of candidates were given for 2 questions"),
        (["a", ["b"]], "some are lists"),
        ([None], "None is no id of an item"),
    ],
)
def test_candidates(candidates, said):
    refused_somehow(lambda: fitted().recommend(users()[:2], candidates=candidates), said)


@pytest.mark.parametrize(
    ("wanted", "kind", "said"),
    [
        (pl.col("prize") > 1, UnknownName, "Did you mean 'price'?"),
        ({"prize": 1}, UnknownName, "item_id, title, "),
        (pl.col("price"), CallError, "yes or no"),
        (pl.col("price").max() > 3, CallError, "yes or no"),
        (pl.col("title").str.to_date() > 3, CallError, "does not work"),
        ({"price": "cheap"}, CallError, "does not work"),
        ({}, CallError, "no filter"),
    ],
)
def test_filters(wanted, kind, said):
    refused(kind, lambda: fitted().recommend([users()[0]], filter=wanted), said)


def test_score_and_similar():
    rec, (a, b), item = fitted(), users()[:2], item_names()[0]
    refused(CallError, lambda: rec.score([a, b], [item]), "2 users were given for 1 items")
    refused(InputError, lambda: rec.similar([item, "?"]), "1 of these items", "'?'")
    refused(InputError, lambda: rec.similar_users([a, "nobody"]), "'nobody'")


def test_evaluate():
    rec = fitted()
    refused(
        InputError,
        lambda: rec.evaluate(events(("nobody", item_names()[0], late()))),
        "No user has both",
    )
    refused(
        UnknownName,
        lambda: rec.evaluate(events((users()[0], item_names()[0], late())), ["ndgc@10"]),
        "ndcg@k",
    )


def test_events_that_do_not_fit():
    rec, user, item = fitted(), users()[0], item_names()[0]
    before = rec.state
    no_time = events((user, item, late())).drop("time")
    refused(InputError, lambda: rec.update(no_time), "no times", "Give each event its time")
    refused(UnknownName, lambda: rec.update(no_time.with_columns(kind=pl.lit("kiss"))), "kiss")
    refused(ColumnError, lambda: rec.update(no_time.drop("user_id")), "user")
    numbered = Recommender("popular").fit(PAIRS)
    refused(
        InputError,
        lambda: numbered.update(pl.DataFrame({"user_id": ["ann"], "item_id": [5]})),
        "'ann'",
        "whole numbers",
    )
    assert rec.state is before


def test_items_that_do_not_fit():
    rec = fitted()
    refused(ColumnError, lambda: rec.add_items({"item": ["x"]}), "item_id")
    refused(ValueInColumn, lambda: rec.add_items({"item_id": ["x", "x"]}), "more than one row")
    refused(ValueInColumn, lambda: rec.add_items({"item_id": ["x", None]}), "item id")
    refused(InputError, lambda: rec.add_items({"item_id": ["x"], "price": ["much"]}), "do not fit")


def test_types_that_tests_would_see_anyway():
    # unwrapped, for here every signature is checked at the call
    check_k, filtered = inspect.unwrap(Recommender._check_k), inspect.unwrap(allowed)
    for k in (1.5, "3", None):
        refused(CallError, partial(check_k, k, 5, "items"), "no whole number", "1 to 5")
    items = fitted().state.items
    refused(CallError, lambda: filtered("price > 1", items, 5), "'price > 1' is no filter")


def test_an_inputs_that_does_not_fit():
    refused(
        CallError, lambda: Recommender("ease").fit(PAIRS, inputs=Inputs(min_rating=3)), "no ratings"
    )


def test_folders_that_cannot_be(tmp_path, monkeypatch):
    rec = fitted()
    refused(CallError, lambda: rec.recommend_all(tmp_path), "exists")
    (tmp_path / "file").write_text("")
    inside = tmp_path / "file" / "x"
    refused(HoneyguideError, lambda: rec.recommend_all(inside), "cannot be written")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("honeyguide.recommender.parts.replace_file", full)
    everyone = tmp_path / "all"
    refused(HoneyguideError, lambda: rec.recommend_all(everyone), "No space left", "Make room")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- bundles


def changed(contents: Contents, **changes) -> Contents:
    plain = {name: getattr(contents, name) for name in Contents.__slots__}
    return Contents(**{**plain, **changes})


def test_bundles_that_no_recommender_can_be_made_of(tmp_path):
    rec = Recommender(SPECS["mf"], training=PLAIN).fit(shop())
    whole = load_bundle(rec.save(tmp_path / "whole"))
    small = load_bundle(Recommender("popular").fit(PAIRS).save(tmp_path / "small"))
    tables, tensors = whole.tables, whole.tensors
    histories = tables["histories"]
    wrong = {
        "not known here": changed(whole, model="mff"),
        "widht": changed(whole, settings={"widht": 3}),
        "user.weight": changed(
            whole, tensors={k: v for k, v in tensors.items() if k != "user.weight"}
        ),
        "popular.weight": changed(
            whole, tensors={k: v for k, v in tensors.items() if k != "popular.weight"}
        ),
        "histories": changed(whole, tables={k: v for k, v in tables.items() if k != "histories"}),
        '"item" not found': changed(whole, tables={**tables, "histories": histories.drop("item")}),
        "item of the histories": changed(
            whole, tables={**tables, "histories": histories.with_columns(pl.col("item") + 1000)}
        ),
        "user of the histories": changed(
            whole, tables={**tables, "histories": histories.with_columns(pl.col("user") + 1000)}
        ),
        "order of users": changed(whole, tables={**tables, "histories": histories.reverse()}),
        "about": changed(whole, documents={"resolved": {}}),
        "size mismatch": changed(whole, schema={**whole.schema, "users": 3}),
        "more users or items": changed(
            small, schema={**small.schema, "users": 99}, tables=small.tables
        ),
    }
    for number, (said, contents) in enumerate(wrong.items()):
        folder = tmp_path / str(number)
        save_bundle(contents, folder)
        refused(BundleError, partial(load, folder), said)


def test_a_folder_that_is_no_bundle(tmp_path):
    refused(BundleError, lambda: load(tmp_path), "no bundle")
