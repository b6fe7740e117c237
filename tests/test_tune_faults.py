"""A search that is killed again and again ends as if it had not been."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import honeyguide as hg
from honeyguide.tuning.trials import FILE

KILLS = 5
ENDLESS = 300.0  # seconds that no child takes


def child(log: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    source = Path(hg.__file__).parent.parent
    words = [
        "tune",
        log,
        "--models",
        "ease,mf",
        "--budget",
        "30m",
        "--trials",
        "6",
        "--out",
        folder,
    ]
    small = ["--set", "mf.width=8", "--set", "mf.epochs=5", "--set", "mf.batch=64"]
    return subprocess.Popen(
        [sys.executable, "-m", "honeyguide", *map(str, words), *small, *more],
        env={**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> None:
    said = process.communicate(timeout=ENDLESS)[0]
    assert process.returncode == 0, said


def lines(folder: Path) -> list[bytes]:
    path = folder / FILE
    return path.read_bytes().splitlines() if path.exists() else []


def lasting(folder: Path) -> list[dict[str, Any]]:
    """The trials without what depends on the clock."""
    told = [json.loads(line) for line in lines(folder)[1:]]
    for trial in told:
        trial.pop("seconds")
        for line in trial["curve"]:
            line.pop("seconds")
    return told


def read(folder: Path) -> list[Any]:
    """What the search found and what the reading of test gave."""
    document = json.loads((folder / "results.json").read_text())
    return [(r["model"], r["metrics"], r["config"]) for r in document["results"]]


@pytest.mark.faults
@pytest.mark.parametrize("seed", [0, 1])
def test_kills_at_any_moment_change_no_trial(tmp_path, seed):
    log, draw = tmp_path / "log.csv", random.Random(seed)
    hg.simulate(4_000, users=100, items=70, seed=1).table.events.select(
        "user_id", "item_id", "time"
    ).write_csv(log)
    finished(child(log, tmp_path / "whole"))
    folder, kills = tmp_path / "killed", 0
    for _ in range(KILLS):
        process = child(log, folder, *(["--resume"] if folder.exists() else []))
        before, begun = len(lines(folder)), time.monotonic()
        # somewhere between its first trial and the second after it
        while len(lines(folder)) <= before and process.poll() is None:
            assert time.monotonic() - begun < ENDLESS
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.15))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= KILLS - 2, kills
    finished(child(log, folder, "--resume"))
    assert lasting(folder) == lasting(tmp_path / "whole")
    assert read(folder) == read(tmp_path / "whole")
    assert not [path for path in folder.rglob("*") if path.suffix == ".tmp"]
