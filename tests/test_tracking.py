"""Trackers: what they were told can be read back, offline, and nothing else happens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from honeyguide.data.shop import simulate
from honeyguide.errors import CallError, UnknownName
from honeyguide.experiment import compare
from honeyguide.train import tracking
from honeyguide.train.tracking import TRACKERS, tracked, tracker_named
from tables import refused

LINES = [
    {"epoch": n, "loss": 2.0 - n, "seconds": 0.5, "targets_per_second": 10.0, "valid": valid}
    for n, valid in enumerate([{"ndcg@10": 0.25}, {"ndcg@10": 0.375}])
]


def run(name: str, folder: Path, *, fails: bool = False) -> None:
    summary: dict[str, float] = {}
    with tracked([tracker_named(f"{name}:{folder}")], "mf-0", {"width": 8}, summary) as on_epoch:
        for line in LINES:
            assert on_epoch(line) is False
        summary["ndcg@10"] = 0.5
        if fails:
            raise RuntimeError("it broke")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder))
    events.Reload()

    def value(event) -> float:
        return float(tensor_util.make_ndarray(event.tensor_proto))

    tags = events.Tags()["tensors"]
    return {tag: [(e.step, value(e)) for e in events.Tensors(tag)] for tag in tags}


def test_tensorboard(tmp_path):
    run("tensorboard", tmp_path)
    told = scalars(tmp_path / "mf-0")
    assert told["loss"] == [(0, 2.0), (1, 1.0)]
    assert told["valid/ndcg@10"] == [(0, 0.25), (1, 0.375)]
    assert told["summary/ndcg@10"] == [(0, 0.5)]


def mlflow_runs(folder: Path):
    from mlflow.tracking import MlflowClient

    with tracking._environment("MLFLOW_ALLOW_FILE_STORE", "true"):
        client = MlflowClient(tracking_uri=folder.absolute().as_uri())
    experiment = client.get_experiment_by_name("honeyguide").experiment_id
    return client, client.search_runs([experiment])


def test_mlflow(tmp_path):
    before = dict(os.environ)
    run("mlflow", tmp_path / "runs")
    with pytest.raises(RuntimeError):
        run("mlflow", tmp_path / "runs", fails=True)
    assert dict(os.environ) == before
    client, runs = mlflow_runs(tmp_path / "runs")
    assert sorted(r.info.status for r in runs) == ["FAILED", "FINISHED"]
    done = next(r for r in runs if r.info.status == "FINISHED")
    assert done.data.params == {"width": "8"}
    assert done.info.run_name == "mf-0"
    history = client.get_metric_history(done.info.run_id, "valid/ndcg_at_10")
    assert [(m.step, m.value) for m in history] == [(0, 0.25), (1, 0.375)]
    assert done.data.metrics["ndcg_at_10"] == 0.5


def test_wandb_offline_in_a_process_of_its_own(tmp_path):
    # its service is a process beside ours: it must end, and say nothing
    script = (
        "from pathlib import Path; import sys; from test_tracking import run; "
        "run('wandb', Path(sys.argv[1]))"
    )
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, tmp_path / "runs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout == ""
    (file,) = (tmp_path / "runs").glob("wandb/offline-run-*/*.wandb")
    kept = file.read_bytes()
    for part in (b"mf-0", b"width", b"valid/ndcg@10", b"0.375", b"targets_per_second"):
        assert part in kept, part


def test_what_cannot_be_tracked(monkeypatch, tmp_path):
    refused(UnknownName, lambda: tracker_named("comet:x"), "tensorboard", "wandb", "mlflow")
    refused(CallError, lambda: tracker_named("tensorboard"), "names no folder")
    refused(CallError, lambda: tracker_named("wandb:"), "names no folder")
    for name, kind in TRACKERS.items():
        monkeypatch.setattr(kind, "module", "not_installed_at_all")
        made = f"{name}:{tmp_path}"
        refused(CallError, lambda made=made: tracker_named(made), "honeyguide[track]")


def test_training_imports_none_of_them():
    script = (
        "import sys, honeyguide.train, honeyguide.train.tracking; "
        "print({'tensorboard', 'wandb', 'mlflow'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert told.stdout.strip() == "set()", told.stderr


def test_a_comparison_is_tracked(tmp_path):
    shop = simulate(3_000, users=90, items=70, seed=1).table
    told = compare(
        shop,
        ["ease", "mf"],
        metrics=("ndcg@10",),
        settings={"mf": {"width": 8, "epochs": 3, "batch": 32}},
        track=(f"tensorboard:{tmp_path}",),
    )
    mf = told.results[1]
    curve = scalars(tmp_path / "mf-0")
    assert [value for _, value in curve["valid/ndcg@10"]] == pytest.approx(
        [line["valid"]["ndcg@10"] for line in mf.fitted.journal]
    )
    for result in told.results:
        kept = scalars(tmp_path / f"{result.model}-0")["summary/ndcg@10"]
        assert kept[0][1] == pytest.approx(result.evaluation["ndcg@10"])
