"""What a comparison says, on evaluations made by hand."""

import json

import numpy as np
import polars as pl
import pytest

from honeyguide.data.vocab import Vocab
from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.experiment.compare import Comparison, Result
from honeyguide.experiment.results import differences
from honeyguide.experiment.run import Run
from honeyguide.models.table import MODELS
from honeyguide.train.trainer import Fitted

NAME = "ndcg@10"
USERS = 40
NOISE = np.random.default_rng(0).normal(0, 0.02, USERS)


def evaluation(mean: float, spread: float = 1.0) -> Evaluation:
    return Evaluation(
        np.arange(USERS), {NAME: mean + spread * NOISE}, {"coverage@10": 0.5}, {"history": 40}, 0.1
    )


def result(model: str, value: Evaluation | str, seed: int = 0, seconds: float = 1.0) -> Result:
    told = value if isinstance(value, Evaluation) else None
    fitted = Fitted(3, 1, 0.5, seconds, 0.2, []) if told else None
    why = None if told else str(value)
    return Result(
        model, seed, MODELS[model](), told, fitted, 12.34, why, "history" if told else None
    )


def comparison(*results: Result, **changes) -> Comparison:
    run = Run(models=tuple(dict.fromkeys(r.model for r in results)), metrics=(NAME,)).but(**changes)
    found = {(r.model, r.seed): r.evaluation for r in results if r.evaluation}
    users = Vocab(pl.Series([f"u{i}" for i in range(USERS)]), 0)
    return Comparison(run, users, {}, {}, list(results), differences(found, run.metrics[0]))


def test_a_clear_winner():
    told = comparison(
        result("popular", evaluation(0.1)),
        result("mf", evaluation(0.25, -1)),
        result("ease", evaluation(0.3)),
    )
    assert told.chosen == "ease"
    assert told.verdict.startswith("Choose ease: its ndcg@10 is 0.0")
    assert "above mf's, the next best" in told.verdict
    assert not told.failed
    second = next(d for d in told.differences if d.b == "mf")
    assert second.clear
    assert second.low < second.mean < second.high
    pairs = evaluation(0.3).per_user[NAME] - evaluation(0.25, -1).per_user[NAME]
    assert second.mean == pytest.approx(pairs.mean())


def test_a_tie_goes_to_the_quickest():
    told = comparison(
        result("mf", evaluation(0.3, -1), seconds=9.0),
        result("ease", evaluation(0.3 - 1e-5), seconds=2.0),
        result("popular", evaluation(0.1), seconds=0.1),
    )
    best = told.differences[0].a
    assert told.chosen == "ease"
    assert told.verdict.startswith(f"No clear winner: {best} leads")
    assert "Choose ease, which trains in 2.0 s" in told.verdict
    assert "popular" not in told.verdict


def test_one_model_has_nothing_to_be_compared_with():
    told = comparison(result("ease", evaluation(0.3)), result("ease", evaluation(0.5), seed=1))
    mean = 0.4 + NOISE.mean()
    assert told.verdict == f"ease has ndcg@10 {mean:.4f}; nothing to compare it with."
    assert told.chosen == "ease"
    assert told.differences == []


def test_all_failed():
    told = comparison(result("mf", "no memory"), result("sasrec", "sasrec needs order"))
    assert told.failed
    assert told.chosen is None
    assert told.verdict == ("No model could be measured: mf: no memory; sasrec: sasrec needs order")


def test_a_metric_without_values_by_user_decides_nothing():
    told = comparison(
        result("mf", evaluation(0.3)), result("ease", evaluation(0.2)), metrics=("coverage@10",)
    )
    assert "no value per user" in told.verdict


def test_one_user_has_no_interval():
    one = [Evaluation(np.arange(1), {NAME: np.array([v])}, {}, {}, 0.1) for v in (0.3, 0.2)]
    told = comparison(result("mf", one[0]), result("ease", one[1]))
    assert told.verdict.startswith("Only one user was asked")


def test_seeds_are_averaged_by_user_before_they_are_compared():
    told = comparison(
        result("mf", evaluation(0.1)),
        result("mf", evaluation(0.5), seed=1),
        result("ease", evaluation(0.25)),
        result("ease", evaluation(0.25), seed=1),
    )
    assert [(d.a, d.b) for d in told.differences] == [("mf", "ease")]
    assert told.differences[0].mean == pytest.approx(0.05)
    by_model = {row["model"]: row for row in told.document()["aggregate"]}
    assert by_model["mf"]["seeds"] == 2
    values = by_model["mf"]["metrics"][NAME]
    assert values["mean"] == pytest.approx(0.3 + NOISE.mean())
    assert values["sd"] == pytest.approx(np.std([0.1, 0.5], ddof=1))


def test_the_document():
    told = comparison(
        result("ease", evaluation(0.3)),
        result("sasrec", "sasrec needs order"),
        data="/srv/someone/log.csv",
        inputs={"items": "/srv/someone/items.csv", "k_core": 3},
    )
    document = told.document("out.per_user")
    text = json.dumps(document, allow_nan=False)
    assert "someone" not in text
    assert document["run"]["inputs"]["items"] == "items.csv"
    assert {"machine", "data", "results", "aggregate", "tests"} <= set(document)
    done, skipped = document["results"]
    assert set(done) >= {
        "model",
        "seed",
        "query",
        "metrics",
        "seconds",
        "peak_memory_mb",
        "config",
        "skipped",
        "per_user",
    }
    assert set(done["metrics"][NAME]) == {"mean", "low", "high"}
    assert done["metrics"]["coverage@10"] == {"mean": 0.5, "low": None, "high": None}
    assert set(done["seconds"]) == {"fit", "evaluate", "epoch"}
    assert done["config"] == {"l2": 500.0}
    assert (done["skipped"], done["query"]) == (None, "history")
    assert done["per_user"] == "out.per_user/ease-0.parquet"
    assert skipped["skipped"] == "sasrec needs order"
    assert (skipped["metrics"], skipped["per_user"], skipped["query"]) == ({}, None, None)
    assert told.document()["results"][0]["per_user"] is None
    assert [row["model"] for row in document["aggregate"]] == ["ease"]
