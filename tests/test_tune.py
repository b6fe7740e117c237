"""Tuning: the default first, never worse on validation, resumed seamlessly, blind to test."""

import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import honeyguide as hg
from commands import refused as refused_command
from commands import typed
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.shop import simulate
from honeyguide.data.split import split
from honeyguide.errors import CallError, TrainingError, UnknownName
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.experiment.run import Run, run_file
from honeyguide.models.ease import EASE, EASEModel
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.mf import MF
from honeyguide.models.popular import Popular
from honeyguide.models.sasrec import SASRec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train import Training
from honeyguide.tuning import Learning, Search, Trial, search
from honeyguide.tuning import search as search_function
from honeyguide.tuning.guard import Guard
from honeyguide.tuning.trials import FILE, TrialLog
from tables import refused

SHOP = simulate(4_000, users=100, items=70, seed=1).table
LOG = Interactions.of(SHOP)
PARTS = split(LOG, Protocol(split="time"))
LEARNING = Learning(PARTS.train, PARTS.valid)
TRAINING = Training(device="cpu", precision="f32")
SMALL_MF = MF(width=8, epochs=4, batch=64)
METRIC = TRAINING.metric
FIXED = {"mf": frozenset({"width"})}


def found(*specs, how: Search | None = None, **options):
    how = how or Search(budget=60, trials=4)
    return search(list(specs), LEARNING, how, TRAINING, fixed=FIXED, **options)


# --- the search


def test_the_default_is_first_and_nothing_is_ever_worse():
    ease, mf = found(EASE(), SMALL_MF)
    for one in (ease, mf):
        assert one.trials[0].number == 0
        assert one.trials[0].settings == {
            name: one.default.standing()[name] for name in one.trials[0].settings
        }
        values = [trial.value for trial in one.trials]
        assert one.best.value == max(values) >= values[0]
        assert 2 <= len(one.trials) <= 4
    told = evaluate(
        Exhaustive(ease.model), PARTS.valid, rule=EASE().rule, past=None, metrics=[METRIC]
    )
    assert told[METRIC] == ease.best.value
    assert ease.spec == EASE(**ease.best.settings)
    assert mf.spec.width == 8, "what is fixed is not searched"
    assert [line["epoch"] for line in mf.best.curve] == list(range(len(mf.best.curve)))


SMALL_GRU = GRU4Rec(width=32, epochs=4, inner=8, history=10)


def test_proven_settings_come_after_the_default_and_are_not_stopped():
    # pruning would stop whatever is not far ahead
    how = Search(budget=120, trials=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Guard, "FAR", 1e6)
        fixed = {"gru4rec": frozenset({"inner"})}
        (one,) = search([SMALL_GRU], LEARNING, how, TRAINING, fixed=fixed)
    default, proven, drawn = one.trials
    (row,) = SMALL_GRU.proven
    assert default.settings["similarity"] == "dot"
    assert proven.settings == default.settings | row
    assert proven.state == "done"
    assert len(proven.curve) == SMALL_GRU.epochs
    assert drawn.settings not in (default.settings, proven.settings)
    assert drawn.state == "stopped"


def test_of_proven_settings_what_is_fixed_stays_and_a_default_is_not_tried_twice():
    how = Search(budget=120, trials=2)
    fixed = {"gru4rec": frozenset({"inner", "width", "similarity"})}
    (one,) = search([SMALL_GRU], LEARNING, how, TRAINING, fixed=fixed)
    assert one.trials[1].settings == one.trials[0].settings | {"dropout": 0.5}
    assert one.spec.width == 32
    fixed = {"gru4rec": frozenset({"inner", "width", "similarity", "dropout"})}
    (one,) = search([SMALL_GRU], LEARNING, how, TRAINING, fixed=fixed)
    assert one.trials[1].settings != one.trials[0].settings


def test_a_search_cannot_be_handed_test():
    seen = {*inspect.signature(search_function).parameters, *Learning.__slots__}
    assert seen == {
        *("specs", "learning", "how", "training", "fixed", "folder", "resume", "watch"),
        *("on_trial", "train", "valid"),
    }


def test_test_is_read_once_for_each_model(monkeypatch):
    from honeyguide.experiment import measuring

    asked = []

    def watched(ranker, holdout, **options):
        asked.append(holdout)
        return evaluate(ranker, holdout, **options)

    monkeypatch.setattr(measuring, "evaluate", watched)
    told = hg.tune(SHOP, ["popular", "ease"], search_by=Search(budget=30, trials=3))
    assert len(asked) == 2
    assert told.results[1].spec == EASE(**told.tuning["models"][1]["settings"])
    assert told.document()["tuning"]["models"][1]["trials"][0]["number"] == 0
    assert told.verdict


def test_models_without_settings_leave_their_share():
    timeless = Learning(replace(PARTS.train, time=None), PARTS.valid)
    (one,) = search([Popular()], timeless, Search(budget=60, trials=4), TRAINING)
    assert len(one.trials) == 1


def test_a_model_is_done_after_so_many_trials_without_a_better_one(monkeypatch):
    values = iter([0.5, 0.6, 0.1, 0.1, 0.1, 0.9])
    room = sys.modules["honeyguide.tuning.search"]
    monkeypatch.setattr(room, "evaluate", lambda *_, **__: {METRIC: next(values)})
    (one,) = found(EASE(), how=Search(budget=60, trials=20, settled=3))
    assert [trial.value for trial in one.trials] == [0.5, 0.6, 0.1, 0.1, 0.1]
    assert one.best.number == 1


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(monkeypatch):
    solve = EASEModel.solve

    def brittle(self, data, seed):
        if self.l2 != 500.0:
            raise TrainingError("It broke.", "Mend it.")
        solve(self, data, seed)

    monkeypatch.setattr(EASEModel, "solve", brittle)
    ease, popular = found(EASE(), Popular(), how=Search(budget=60, trials=6))
    assert [trial.state for trial in ease.trials] == ["done", *["failed"] * 3]
    assert ease.trials[1].reason == "It broke."
    assert ease.spec == EASE()
    assert popular.best.value is not None


def test_a_model_that_always_fails_is_skipped_with_the_reason(monkeypatch):
    def broken(*_):
        raise TrainingError("It broke.", "Mend it.")

    monkeypatch.setattr(EASEModel, "solve", broken)
    told = hg.tune(SHOP, ["ease", "popular"], search_by=Search(budget=30, trials=4))
    assert told.results[0].skipped == "It broke."
    assert told.results[1].skipped is None


def test_the_budget_ends_the_default_too_and_it_says_so():
    (one,) = found(SMALL_MF.but(epochs=1_000, patience=1_000), how=Search(budget=1.0))
    assert one.best.state == "cut"
    assert one.best.value is not None
    assert 0 < len(one.best.curve) < 1_000
    assert len(one.trials) == 1


def test_a_slow_default_leaves_time_for_the_others(monkeypatch):
    now = 0.0

    def epoch(guard: Guard, line: dict) -> bool:
        nonlocal now
        now += 1.0  # every epoch takes a second, whatever the machine does
        return told(guard, line)

    told = Guard.__call__
    monkeypatch.setattr(Guard, "__call__", epoch)
    for module in ("search", "guard"):
        monkeypatch.setattr(sys.modules[f"honeyguide.tuning.{module}"], "monotonic", lambda: now)
    slow = SASRec(width=32, history=8, layers=1, epochs=100, patience=100)
    how = Search(budget=60.0, trials=3, prune=False)
    ease, mf, sasrec = found(EASE(), SMALL_MF, slow, how=how)
    assert [one.trials[0].state for one in (ease, mf, sasrec)] == ["done", "done", "cut"]
    # two thirds of the budget, of which mf took four epochs; the last one would end too late
    assert 34 <= len(sasrec.trials[0].curve) <= 36
    assert len(ease.trials) == len(mf.trials) == 3


# --- curves


def line(epoch: int, value: float, seconds: float = 0.0) -> dict:
    valid = {METRIC: value}
    told = {"epoch": epoch, "loss": 1.0, "valid": valid, "seconds": seconds, "valid_seconds": 0.0}
    return told


def curve(*values: float) -> Trial:
    return Trial("mf", 0, {}, "done", max(values), 1.0, 0, tuple(map(line, range(9), values)))


def ended(guard: Guard, *values: float) -> int | None:
    told = [guard(line(epoch, value)) for epoch, value in enumerate(values)]
    return told.index(True) if True in told else None


@pytest.mark.parametrize(
    ("earlier", "values", "end"),
    [
        ([], (0.0, 0.0, 0.0, 0.0), None),
        # of few, behind is below .8 of the best at that epoch, from the third epoch on
        ([curve(0.1, 0.2, 0.5, 0.6)], (0.0, 0.0, 0.41, 0.5), None),
        ([curve(0.1, 0.2, 0.5, 0.6)], (0.0, 0.0, 0.39, 0.9), 2),
        # the best so far counts, as patience counts it
        ([curve(0.1, 0.5, 0.2, 0.2)], (0.45, 0.0, 0.0, 0.0), None),
        # of many, below the median
        ([curve(*[v] * 4) for v in (0.1, 0.3, 0.5, 0.7)], (0.45, 0.45, 0.45), None),
        ([curve(*[v] * 4) for v in (0.1, 0.3, 0.5, 0.7)], (0.35, 0.35, 0.35), 2),
        # what ended before says nothing of later epochs
        ([curve(0.9, 0.9)], (0.0, 0.0, 0.0, 0.0), None),
    ],
)
def test_a_curve_that_is_behind_is_stopped(earlier, values, end):
    guard = Guard(METRIC, float("inf"), earlier)
    assert ended(guard, *values) == end
    assert guard.state == ("done" if end is None else "stopped")


def test_time_is_up_before_an_epoch_that_would_end_too_late():
    from time import monotonic

    guard = Guard(METRIC, monotonic() + 5, [])
    assert not guard(line(0, 0.1, seconds=1.0))
    assert guard(line(1, 0.1, seconds=9.0))
    assert guard.state == "cut"


# --- the store


def lasting(trials: list[Trial]) -> list[Trial]:
    """Trials without what the clock says."""
    return [
        replace(t, seconds=0.0, curve=tuple({**ln, "seconds": 0.0} for ln in t.curve))
        for t in trials
    ]


def test_resumed_as_if_never_stopped(tmp_path):
    how = Search(budget=300, trials=4)
    whole = found(EASE(), SMALL_MF, how=how, folder=tmp_path / "whole")
    part = tmp_path / "part"
    found(EASE(), SMALL_MF, how=how.but(trials=2), folder=part)
    again = found(EASE(), SMALL_MF, how=how, folder=part, resume=True)
    for one, other in zip(whole, again, strict=True):
        assert lasting(one.trials) == lasting(other.trials)
        assert one.spec == other.spec
        for name, tensor in one.model.state_dict().items():
            assert torch.equal(tensor, other.model.state_dict()[name]), name
    # and once more: nothing is left to do, and the weights come from the folder or are made again
    for kept in (True, False):
        if not kept:
            (part / "mf.safetensors").unlink()
        last = found(EASE(), SMALL_MF, how=how, folder=part, resume=True)[1]
        assert len(last.trials) == 4
        weight = last.model.state_dict()["items.weight"]
        assert torch.equal(weight, whole[1].model.state_dict()["items.weight"])


def test_time_that_was_spent_counts(tmp_path):
    found(EASE(), how=Search(budget=60, trials=1), folder=tmp_path)
    path = tmp_path / FILE
    header, only = path.read_text().splitlines()
    spent = {**json.loads(only), "seconds": 59.9999}
    path.write_text(header + "\n" + json.dumps(spent) + "\n")
    (one,) = found(EASE(), how=Search(budget=60, trials=9), folder=tmp_path, resume=True)
    assert len(one.trials) == 1


def test_a_line_that_a_kill_cut_is_dropped_whatever_is_left_of_it(tmp_path):
    path = tmp_path / FILE
    log = TrialLog(path)
    log.open({"data": "x"}, resume=False)
    log.add(Trial("ease", 0, {"l2": 500.0}, "done", 0.5, 1.0, reason="größer"))
    before = path.read_bytes()
    log.add(Trial("ease", 1, {"l2": 20.0}, "failed", None, 1.0, reason="größer"))
    whole = path.read_bytes()
    for end in range(len(before), len(whole)):
        path.write_bytes(whole[:end])
        again = TrialLog(path)
        again.open({"data": "x"}, resume=True)
        assert again.trials == log.trials[:1]
        assert path.read_bytes() == before
        again.add(log.trials[1])
        assert path.read_bytes() == whole


def test_a_store_that_is_not_ours_to_go_on_with(tmp_path):
    path = tmp_path / FILE
    log = TrialLog(path)
    log.open({"data": "x"}, resume=False)
    log.add(Trial("ease", 0, {}, "done", 0.5, 1.0))
    text = path.read_text()

    def opened(resume: bool = True, about: str = "x"):
        return lambda: TrialLog(path).open({"data": about}, resume=resume)

    refused(CallError, opened(resume=False), "earlier search", "--resume")
    refused(TrainingError, opened(about="y"), "another search", "data was")
    assert path.read_text() == text, "a refused store is left as it is"
    for spoilt, said in (
        (text.replace('"format": 1', '"format": 9'), "format 9"),
        ("nonsense\n" + text, "something else"),
        (text + '{"model": "ease"}\n', "something else"),
        ("", "something else"),
    ):
        path.write_text(spoilt)
        refused(TrainingError, opened(), said)


# --- the command


def test_the_command_writes_what_compare_can_read(tmp_path, capsys):
    SHOP.events.drop("session_id", "position").write_csv(tmp_path / "log.csv")
    out = tmp_path / "out"
    words = ("tune", tmp_path / "log.csv", "--models", "popular,ease", "--budget", "60s")
    said = typed(capsys, *words, "--trials", "3", "--out", out)
    assert said.status == 0, said.err
    assert "on validation, tpe search" in said.out
    document = json.loads((out / "results.json").read_text())
    assert [one["model"] for one in document["tuning"]["models"]] == ["popular", "ease"]
    assert document["results"][1]["config"]["l2"] == pytest.approx(
        document["tuning"]["models"][1]["settings"]["l2"]
    )
    run = Run(**run_file(out / "tuned.toml"))
    assert run.specs()[1].l2 == document["results"][1]["config"]["l2"]
    refused_command(typed(capsys, *words, "--out", out), 2, "earlier search")
    again = typed(capsys, *words, "--trials", "3", "--out", out, "--resume")
    assert again.status == 0, again.err


@pytest.mark.parametrize("budget", ["", "m", "ten", "-5s", "0m", "5d", "infh"])
def test_a_budget_that_is_no_time(capsys, budget):
    said = typed(capsys, "tune", "simulated-shop", "--budget", budget)
    refused_command(said, 2, "is no time", "30m")


def test_a_metric_that_is_no_metric_is_said_before_anything_is_read():
    wrong = {"metrics": ("ndgc@10",)}
    refused(UnknownName, lambda: hg.tune("no/such.csv", ["ease"], **wrong), "'ndgc@10'")


def test_what_tuning_refuses(capsys, tmp_path):
    refused_command(typed(capsys, "tune", "simulated-shop", "--resume"), 2, "--out")
    wrong = typed(capsys, "tune", "simulated-shop", "--sampler", "grid", "--models", "ease")
    refused_command(wrong, 2, "sampler")
    refused(
        CallError,
        lambda: hg.tune(SHOP, ["ease"], inputs=hg.Inputs(split="k-fold")),
        "Folds are for measuring",
    )
    file = Path(tmp_path / "file")
    file.write_text("")
    refused_command(typed(capsys, "tune", "simulated-shop", "--out", file), 2, "is a file")
