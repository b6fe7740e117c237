"""Another framework's files: lists and predictions measured by our evaluator on our split."""

import json

import numpy as np
import polars as pl
import pytest

import honeyguide as hg
from commands import refused as refused_command
from commands import typed
from honeyguide.data.shop import simulate
from honeyguide.errors import CallError, InputError
from honeyguide.experiment import compare
from honeyguide.experiment.splitting import open_split
from honeyguide.models.ease import EASE
from matrices import fitted
from tables import refused

SHOP = simulate(6_000, users=120, items=80, seed=3).table
METRICS = ("ndcg@10", "recall@5", "coverage@10")


@pytest.fixture(scope="module")
def parts():
    return open_split(SHOP, hg.Inputs())[1]


@pytest.fixture(scope="module")
def lists(parts) -> pl.DataFrame:
    """What EASE would list, as another framework might have written it down."""
    holdout = parts.test
    model = fitted(EASE(), parts.train)
    from honeyguide.data.query import query
    from honeyguide.evaluate.evaluator import padded_items
    from honeyguide.rank.rankers import Exhaustive

    asked = query(holdout.history.counting(EASE().rule), holdout.users, history=None)
    exclude = padded_items(holdout.history.seen(), holdout.users)
    ranking = Exhaustive(model).rank(asked, 10, exclude=exclude)
    items, row = ranking.items.numpy(), np.repeat(np.arange(len(asked)), 10)
    kept = items.ravel() > 0
    return pl.DataFrame(
        {
            "user_id": holdout.history.users.of(holdout.users[row[kept]]),
            "item_id": holdout.history.items.of(items.ravel()[kept]),
            "score": ranking.scores.numpy().ravel()[kept],
        }
    )


def test_our_lists_from_a_file_are_worth_what_the_model_was(lists, tmp_path):
    lists.sample(fraction=1, shuffle=True, seed=0).write_parquet(tmp_path / "theirs.parquet")
    told = hg.evaluate_lists(tmp_path / "theirs.parquet", SHOP, metrics=METRICS)
    ours = compare(SHOP, ["ease"], metrics=METRICS).results[0].evaluation
    assert told.evaluation.users.tolist() == ours.users.tolist()
    for name in METRICS[:2]:
        np.testing.assert_allclose(told.evaluation.per_user[name], ours.per_user[name], atol=1e-9)
    assert told.evaluation.overall == ours.overall
    assert (told.counts.unknown, told.counts.seen, told.counts.without_list) == (0, 0, 0)


def test_ranks_do_as_well_as_scores(lists):
    ranked = lists.with_columns(
        rank=pl.col("score").rank("ordinal", descending=True).over("user_id")
    )
    by_rank = hg.evaluate_lists(ranked.drop("score"), SHOP, metrics=METRICS)
    by_score = hg.evaluate_lists(lists, SHOP, metrics=METRICS)
    assert by_rank.evaluation.overall == by_score.evaluation.overall
    assert by_rank.evaluation["ndcg@10"] == pytest.approx(by_score.evaluation["ndcg@10"], abs=0.01)


def test_what_a_file_may_do_is_counted_and_said(lists, parts):
    some = lists["user_id"][0]
    theirs = lists.filter(pl.col("user_id") == some)
    odd = pl.concat(
        [
            lists.filter(pl.col("user_id") != lists["user_id"][-1]),  # one user has no list
            theirs.head(1).with_columns(
                item_id=pl.lit("never made"), score=pl.lit(1e6, pl.Float32)
            ),
            theirs.head(1).with_columns(user_id=pl.lit("nobody")),
        ]
    )
    told = hg.evaluate_lists(odd, SHOP, metrics=["recall@10", "mrr@10"])
    assert told.counts.without_list == 1
    assert told.counts.unknown == 1
    assert told.counts.not_asked == 1
    assert any("never saw" in note for note in told.notes)
    # the unknown item holds the first place, so what was first is second
    before = hg.evaluate_lists(lists, SHOP, metrics=["mrr@10"]).evaluation
    place = told.evaluation.users.tolist().index(int(parts.train.users.numbers([some])[0]))
    was, now = before.per_user["mrr@10"][place], told.evaluation.per_user["mrr@10"][place]
    assert now == pytest.approx(1 / (1 / was + 1) if was > 0.1 else 0.0)


def test_seen_items_are_taken_out_or_are_misses(lists, parts):
    events = SHOP.events.filter(kind="view")
    history = parts.test.history.frame().filter(pl.col("kind") == "view")
    user, item = history["user_id"][0], history["item_id"][0]
    assert len(events)
    extra = lists.head(1).with_columns(
        user_id=pl.lit(user), item_id=pl.lit(item), score=pl.lit(1e6)
    )
    odd = pl.concat([lists.cast({"score": pl.Float64}), extra])
    plain = hg.evaluate_lists(lists, SHOP, metrics=["mrr@9"])
    out = hg.evaluate_lists(odd, SHOP, metrics=["mrr@9"])
    left = hg.evaluate_lists(odd, SHOP, metrics=["mrr@9"], exclude_seen=False)
    if user in set(parts.test.history.users.of(parts.test.users)):
        assert out.counts.seen == 1
    np.testing.assert_array_equal(
        out.evaluation.per_user["mrr@9"], plain.evaluation.per_user["mrr@9"]
    )
    assert left.evaluation["mrr@9"] <= plain.evaluation["mrr@9"]


def test_files_that_cannot_be_measured(lists):
    twice = pl.concat([lists, lists.head(1)])
    refused(InputError, lambda: hg.evaluate_lists(twice, SHOP), "stand twice in the list")
    strangers = lists.with_columns(user_id=pl.lit("x") + pl.col("user_id"))
    refused(InputError, lambda: hg.evaluate_lists(strangers, SHOP), "None of the", "same user ids")


def test_predictions_of_ratings(tmp_path):
    draw = np.random.default_rng(0)
    rows = [(u, i) for u in range(30) for i in draw.choice(40, 12, replace=False).tolist()]
    events = pl.DataFrame(
        {
            "user_id": [u for u, _ in rows],
            "item_id": [i for _, i in rows],
            "value": draw.integers(1, 6, len(rows)).astype(np.float64),
            "part": np.where(draw.random(len(rows)) < 0.2, "test", "train"),
        }
    )
    test = events.filter(part="test")
    guess = draw.normal(3, 1, len(test))
    file = test.select("user_id", "item_id").with_columns(prediction=pl.Series(guess))
    told = hg.evaluate_predictions(file, events, metrics=["rmse", "mae"])
    apart = test["value"].to_numpy() - guess
    assert told.rows == len(test)
    assert told.metrics["rmse"].mean == pytest.approx(np.sqrt((apart**2).mean()))
    assert told.metrics["mae"].mean == pytest.approx(np.abs(apart).mean())
    labels = hg.evaluate_predictions(file, events, metrics=["auc"], min_label=4.0)
    assert 0 < labels.metrics["auc"].mean < 1
    ask = hg.evaluate_predictions
    refused(InputError, lambda: ask(file.head(5), events), "have no prediction")
    refused(CallError, lambda: ask(file, events, metrics=["ece"], min_label=4.0), "probabilities")
    refused(CallError, lambda: ask(file, events, metrics=["auc"]), "labels 0 and 1", "min-label")
    refused(CallError, lambda: ask(file, events.drop("value")), "needs values", "--rating")


def test_the_command(lists, tmp_path, capsys):
    lists.write_csv(tmp_path / "theirs.csv")
    SHOP.events.drop("session_id", "position").write_csv(tmp_path / "log.csv")
    words = (tmp_path / "theirs.csv", tmp_path / "log.csv")
    said = typed(capsys, "evaluate", *words, "--metrics", "ndcg@10", "--json")
    assert said.status == 0, said.err
    document = json.loads(said.out)
    told = hg.evaluate_lists(lists, SHOP, metrics=["ndcg@10"])
    assert document["metrics"]["ndcg@10"]["mean"] == pytest.approx(told.evaluation["ndcg@10"])
    shown = typed(capsys, "evaluate", *words, "--metrics", "ndcg@10")
    assert "users asked" in shown.out
    mixed = typed(capsys, "evaluate", *words, "--metrics", "ndcg@10,rmse")
    refused_command(mixed, 2, "rmse is measured on predictions")
    wrong = typed(capsys, "evaluate", *words, "--metrics", "rmse")
    assert wrong.status != 0
