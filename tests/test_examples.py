"""Examples: some users as they are, with the lists of every model."""

from honeyguide.data.shop import simulate
from honeyguide.experiment import compare

SHOP = simulate(6_000, users=120, items=80, seed=3).table
TITLES = dict(zip(SHOP.items["item_id"], SHOP.items["title"], strict=True))


def test_the_same_users_for_every_model_with_titles_and_hits():
    told = compare(SHOP, ["popular", "ease"], metrics=("recall@10",), examples=2)
    assert len(told.examples) == 2
    by_user = {}
    for result in told.results:
        names = told.users.of(result.evaluation.users).to_list()
        recalls = result.evaluation.per_user["recall@10"].tolist()
        by_user[result.model] = dict(zip(names, recalls, strict=True))
    for one in told.examples:
        assert set(one["lists"]) == {"popular", "ease"}
        truth = {item["item"] for item in one["found"]}
        seen = SHOP.events.filter(user_id=one["user"])
        history = [event["item"] for event in one["history"]]
        assert set(history) <= set(seen["item_id"])
        for model, listed in one["lists"].items():
            assert [row["title"] for row in listed] == [TITLES[row["item"]] for row in listed]
            assert [row["hit"] for row in listed] == [row["item"] in truth for row in listed]
            hits = sum(row["hit"] for row in listed)
            assert by_user[model][one["user"]] == hits / len(truth)
            scores = [row["score"] for row in listed]
            assert scores == sorted(scores, reverse=True)
            assert not {row["item"] for row in listed} & set(history)


def test_nobody_is_shown_where_nobody_may_be():
    told = compare(SHOP, ["popular"], metrics=("recall@10",), examples=0)
    assert told.examples == []
    assert told.document()["examples"] == []


def test_a_table_without_titles():
    told = compare(SHOP.events, ["popular"], metrics=("recall@10",), examples=1)
    assert told.examples[0]["lists"]["popular"][0]["title"] is None
