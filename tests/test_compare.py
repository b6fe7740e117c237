"""Several models on one split: measured alike, honest, the same twice."""

import json
import sys
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from commands import refused as refused_command
from commands import typed
from honeyguide.data.opening import Inputs
from honeyguide.data.protocol import Protocol
from honeyguide.data.sets import DataSet
from honeyguide.data.shop import simulate
from honeyguide.data.table import Table
from honeyguide.errors import CallError, InputError, LeakError, TrainingError, UnknownName
from honeyguide.experiment import Run, compare
from honeyguide.experiment.compare import per_user_frame
from honeyguide.experiment.measuring import train_on
from honeyguide.experiment.splitting import open_split
from honeyguide.models.ease import EASEModel
from honeyguide.models.mf import MF
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.table import MODELS, spec_named
from honeyguide.train import Quiet, Training
from tables import refused

SHOP = simulate(3_000, users=90, items=70, seed=1).table
FRAME = SHOP.events
SETTINGS: dict[str, dict[str, Any]] = {
    "mf": {"width": 8, "batch": 32, "epochs": 3},
    "ials": {"width": 8, "epochs": 2},
    "convncf": {"width": 8, "channels": 4, "batch": 64, "epochs": 1},
    "cp": {"width": 8, "batch": 64, "epochs": 2},
} | {
    name: {"width": 8, "layers": 1, "history": 8, "batch": 32, "epochs": 2}
    for name, spec in MODELS.items()
    if issubclass(spec, SequenceSpec)
}
METRICS = ("ndcg@10", "recall@20", "coverage@10")
SPLITS = ("time", "leave-last-out", "random", "new-users", "new-items", "k-fold")
FOLD: dict[str, dict[str, Any]] = {"k-fold": {"folds": 3, "fold": 1}}
TRAINING = Training(device="cpu", precision="f32")


def quick(*models: str, data=FRAME, **changes):
    settings = {name: s for name, s in SETTINGS.items() if name in models}
    plain = {"settings": settings, "metrics": METRICS, "training": TRAINING}
    return compare(data, list(models), **{**plain, **changes})


def lasting(document: dict) -> dict[str, Any]:
    """A document without what depends on the clock and the machine's load."""
    kept: dict[str, Any] = json.loads(json.dumps(document))
    for result in kept["results"]:
        del result["seconds"], result["peak_memory_mb"]
        for line in result["curve"]:
            del line["seconds"]
    del kept["verdict"]  # names seconds where models cannot be told apart
    return kept


def test_every_model_is_measured_on_the_same_users_and_twice_alike():
    heard = []
    told = quick(*MODELS, on_result=lambda result: heard.append(result.model))
    assert heard == list(MODELS)
    assert [r.skipped for r in told.results] == [None] * len(MODELS)
    for result in told.results:
        assert np.array_equal(result.evaluation.users, told.results[0].evaluation.users)
        assert set(result.evaluation.summaries()) == set(METRICS)
        assert result.peak_memory_mb > 10
    query = {r.model: r.query for r in told.results}
    assert query["ease"] == query["sasrec"] == "history"
    assert query["mf"] in ("trained-row", "fold-in")
    assert lasting(told.document()) == lasting(quick(*MODELS).document())
    assert json.loads(json.dumps(told.document(), allow_nan=False))["data"]["name"] == "your table"
    assert told.verdict.startswith(("Choose", "No clear winner"))


def test_values_by_user_and_seeds():
    told = quick("mf", "popular", seeds=(0, 1), data=SHOP)
    assert [(r.model, r.seed) for r in told.results] == [
        ("mf", 0),
        ("mf", 1),
        ("popular", 0),
        ("popular", 1),
    ]
    one, other = (r.evaluation for r in told.results[:2])
    assert not np.array_equal(one.per_user["ndcg@10"], other.per_user["ndcg@10"])
    frame = per_user_frame(one, told.users.of(one.users))
    assert frame.columns == ["user_id", "ndcg@10", "recall@20"]
    assert set(frame["user_id"]) <= set(FRAME["user_id"])
    assert frame["ndcg@10"].mean() == pytest.approx(one["ndcg@10"])
    mf, popular = told.document()["aggregate"]
    assert mf["metrics"]["ndcg@10"]["sd"] > 0
    assert popular["metrics"]["ndcg@10"]["sd"] == 0


def test_a_model_that_fails_is_skipped_with_the_reason(monkeypatch):
    pairs = FRAME.drop("time", "session_id", strict=False)
    told = quick("sasrec", "popular", data=pairs)
    assert "needs order" in told.results[0].skipped
    assert told.results[1].skipped is None
    assert not told.failed

    def broken(error):
        def solve(*_):
            raise error

        return solve

    for error, said in (
        (TrainingError("it broke.", "mend it"), "it broke."),
        (MemoryError(), "Not enough memory for ease with 63 items."),
        (RuntimeError("not positive\nat all"), "RuntimeError: not positive"),
    ):
        monkeypatch.setattr(EASEModel, "solve", broken(error))
        told = quick("ease")
        assert [r.skipped for r in told.results] == [said]
        assert told.failed
    monkeypatch.setattr(EASEModel, "solve", broken(TypeError("a slip of ours")))
    with pytest.raises(TypeError):
        quick("ease")


class Untouchable:
    """Test, for whoever may not look."""

    def __getattr__(self, name):
        raise AssertionError(f"a model was handed test.{name}")


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("split", [*SPLITS, "ready-made"])
def test_learning_is_never_handed_test(name, split):
    frame = FRAME
    inputs = Inputs() if split == "ready-made" else Inputs(split=split, **FOLD.get(split, {}))
    if split == "ready-made":
        last = FRAME.select(pl.col("time") >= FRAME["time"].quantile(0.9)).to_series()
        frame = FRAME.with_columns(
            part=pl.when(last).then(pl.lit("test")).otherwise(pl.lit("train"))
        )
    opened, parts = open_split(frame, inputs)
    assert (parts.valid is None) == (split == "ready-made")
    blind = object.__new__(type(parts))
    for field in ("train", "valid", "notes"):
        object.__setattr__(blind, field, getattr(parts, field))
    object.__setattr__(blind, "test", Untouchable())
    spec = spec_named(name)(**SETTINGS.get(name, {}))
    model, _ = train_on(spec, blind, opened, TRAINING, Quiet())
    assert model.schema.items == parts.train.n_items


def test_without_validation_a_tenth_of_training_chooses_the_epochs():
    table = simulate(3_000, users=90, items=70, seed=1).table
    part = np.where(np.arange(len(table.events)) < 2_600, "train", "test")
    opened, parts = open_split(table.events.with_columns(part=pl.Series(part)), Inputs())
    spec = MF(width=8, batch=32, epochs=12, patience=2, learning_rate=0.05)
    fitted_on = []

    class Watch:
        def step(self, at):
            fitted_on.append((at.epochs, at.value is not None))

    _, fitted = train_on(spec, parts, opened, TRAINING, Watch())
    epochs = [epochs for epochs, _ in fitted_on]
    assert epochs[0] == 12  # the search for the number of epochs, with validation
    assert epochs[-1] == fitted.epochs < 12  # all of training, for as many
    assert fitted.best_epoch is None
    assert not fitted_on[-1][1]


# --- refused


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"metrics": ("ndgc@10",)}, UnknownName, "'ndgc@10'"),
        ({"metrics": ("ndcg",)}, CallError, "no cut-off"),
        ({"metrics": ("ndcg@10", "recall@900")}, CallError, "looks at 900 items"),
        ({"settings": {"mf": {"width": 8}}}, CallError, "'mf', which is not compared"),
        ({"training": Training(metric="ndgc@10")}, UnknownName, "'ndgc@10'"),
        ({"run": Run(), "sedes": (1,)}, UnknownName, "Did you mean 'seeds'?"),
    ],
)
def test_calls_that_cannot_be(changes, kind, said):
    refused(kind, lambda: compare(FRAME, ["ease"], **changes), said)


def test_data_that_cannot_be():
    refused(UnknownName, lambda: compare(FRAME, ["easy"]), "'ease'")
    refused(CallError, lambda: compare(None, ["ease"]), "No data was given")
    refused(InputError, lambda: compare("no/such.csv", ["ease"]), "such.csv")


@pytest.mark.parametrize("split", SPLITS)
def test_a_column_that_names_the_answer_fails_the_run(split, tmp_path, capsys):
    inputs = Inputs(split=split, **FOLD.get(split, {}))
    events = FRAME.with_columns(user_id=pl.col("user_id").rank("dense").cast(pl.Int64))
    _, parts = open_split(Table(events), inputs)
    truth = parts.test.truth.frame()
    people = truth.group_by("user_id").agg(pl.col("item_id").alias("will_like")).sort("user_id")
    clean = people.with_columns(pl.col("will_like").shift(1).fill_null([]))
    for column, leaks in ((people, True), (clean, False)):
        asked = partial(compare, Table(events, users=column), ["popular"], inputs=inputs)
        if leaks:
            refused(LeakError, asked, "will_like")
        else:
            assert asked().results[0].skipped is None
        events.write_parquet(tmp_path / "log.parquet")
        column.write_parquet(tmp_path / "people.parquet")
        words = ["compare", tmp_path / "log.parquet", "--users", tmp_path / "people.parquet"]
        words += ["--models", "popular", "--split", split]
        words += [
            word for key, value in FOLD.get(split, {}).items() for word in (f"--{key}", value)
        ]
        said = typed(capsys, *words)
        if leaks:
            refused_command(said, 1, "will_like")
        else:
            assert said.status == 0, said.err


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_measures_every_model(split):
    inputs = Inputs(split=split, **({"folds": 3} if split == "k-fold" else {}))
    told = compare(
        FRAME, list(MODELS), inputs=inputs, settings=SETTINGS, training=TRAINING, metrics=METRICS
    )
    assert [r.skipped for r in told.results] == [None] * len(told.results)
    assert len(told.results) == len(MODELS) * (3 if split == "k-fold" else 1)
    assert len(told.differences) == len(MODELS) * (len(MODELS) - 1) / 2
    found = {r.model: r.evaluation[METRICS[0]] for r in told.results if not r.fold}
    if split == "new-items":
        # nobody can list what training never saw: all are misses, and it is said
        assert set(found.values()) == {0.0}
        assert told.about["test_pairs_of_unknown_items"] == told.about["test_pairs"]
    else:
        assert min(found.values()) >= 0.0
        assert found["ease"] > 0.0


def test_a_file_and_its_frame_are_one(tmp_path):
    FRAME.write_parquet(tmp_path / "log.parquet")
    told = quick("popular", data=tmp_path / "log.parquet").document()
    assert told["run"]["data"] == told["data"]["name"] == "log.parquet"
    assert str(tmp_path) not in json.dumps(told)
    assert told["results"][0]["metrics"] == quick("popular").document()["results"][0]["metrics"]


def test_how_the_split_was_guessed_is_said():
    told, _ = open_split(FRAME, Inputs())
    assert any("split by time" in note for note in told.table.notes)


def test_a_named_set_is_measured_by_its_protocol(monkeypatch):
    made = DataSet("made", Table(FRAME), Protocol(split="leave-last-out", k_core=2))
    # by its name the module cannot be had: the package offers the function under it
    monkeypatch.setattr(sys.modules[open_split.__module__], "open_data", lambda *_: made)
    _, parts = open_split("made", Inputs())
    assert (np.diff(parts.test.truth.offsets)[parts.test.users] == 1).all()
    told = quick("popular", data="made").document()["data"]
    assert told["protocol"]["split"] == "leave-last-out"
    assert told["name"] == "made"
