"""The only script that reads test parts: a recipe, trained and asked once for each seed.

    python benchmarks/final.py gowalla chebycf chebycf-paper --seeds 0

Settings come from benchmarks/recipes/<data>/<recipe>.toml; where a split has no validation part the
epochs are chosen on a seeded tenth of training and the model is trained anew on all of it. One file
per recipe and seed under benchmarks/results/final/<data>, and a line for every reading in
benchmarks/test_readings.jsonl, which is never edited. Values by user go to a folder that is not
committed; --paired compares two recipes by them. --epochs trains on everything for so many epochs,
as an earlier run chose them that was stopped before, and goes on after a crash.
"""

import argparse
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import _recipes
from _asked import ASKED, ERRORS
from _common import RESULTS
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.paired import apart, paired, randomised
from honeyguide.evaluate.ratings import predict
from honeyguide.experiment.machine import machine, peak_memory_mb, reset_peak_memory
from honeyguide.experiment.measuring import Result, measure, measured, train_on
from honeyguide.experiment.run import Run
from honeyguide.models.spec import LearnedSpec, Schema, Spec
from honeyguide.train import checkpoint
from honeyguide.train.progress import Moment
from honeyguide.train.trainer import Training, build, fit

READINGS = Path(__file__).parent / "test_readings.jsonl"
PER_USER = RESULTS / "per_user"


def _about(data: str, recipe: str, seed: int, spec: Spec) -> dict[str, Any]:
    config = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return {
        "data": data,
        "recipe": recipe,
        "config": sha256(config.encode()).hexdigest()[:16],
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _note(line: dict[str, Any]) -> None:
    with READINGS.open("a") as file:
        file.write(json.dumps(line) + "\n")


class Lines:
    """A line for each validation, so that a long run can be watched."""

    def __init__(self) -> None:
        self.epoch = 0

    def step(self, at: Moment) -> None:
        """See Reporter."""
        if at.epoch != self.epoch and at.value is not None:
            print(f"epoch {at.epoch}: {at.metric} {at.value:.4f} on validation", flush=True)
            self.epoch = at.epoch


def trained(
    spec: Spec, epochs: int, seed: int, run: Run, opened: DataSet, parts: Split, folder: Path
) -> Result:
    """Trained on everything for so many epochs, from the last checkpoint in this folder on."""
    assert isinstance(spec, LearnedSpec)
    assert parts.valid is None
    spec = spec.but(epochs=epochs)
    reset_peak_memory()
    model = build(spec, Schema(users=parts.train.n_users, items=parts.train.n_items), seed)
    fitted = fit(
        model,
        TrainingData(parts.train),
        training=run.training.but(seed=seed),
        reporter=Lines(),
        folder=folder,
        resume=(folder / checkpoint.FILE).exists(),
    )
    return measured(spec, seed, model, fitted, run, opened, parts)


def read_test(data: str, recipe: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """Train, ask once, write down."""
    wanted = ASKED[data]
    spec = _recipes.load(data, recipe)
    opened, parts = wanted.open(seed)
    run = Run(
        data=wanted.data,
        models=(spec.name,),
        metrics=wanted.metrics,
        training=Training(metric=wanted.metrics[0]),
    )
    if epochs is None:
        found = measure(spec, seed, run, opened, parts, Lines())
    else:
        folder = PER_USER / "running" / f"{data}-{recipe}-{seed}"
        found = trained(spec, epochs, seed, run, opened, parts, folder)
    config = found.spec.model_dump(mode="json")
    line = _about(data, recipe, seed, found.spec)
    if found.evaluation is not None:
        _note(line)
        PER_USER.mkdir(parents=True, exist_ok=True)
        values: Any = found.evaluation.per_user
        np.savez_compressed(PER_USER / f"{data}-{recipe}-{seed}.npz", **values)
    fitted = found.fitted
    return {
        **line,
        "model": spec.name,
        "machine": machine(),
        "protocol": opened.protocol.model_dump(mode="json"),
        "settings": config,
        "metrics": {}
        if found.evaluation is None
        else {
            key: {"mean": told.mean, "low": told.low, "high": told.high}
            for key, told in found.evaluation.summaries().items()
        },
        "skipped": found.skipped,
        "seconds": None if fitted is None else fitted.seconds,
        "epochs": None if fitted is None else fitted.epochs,
        "best_valid": None if fitted is None else fitted.best,
        "evaluate_seconds": None if found.evaluation is None else found.evaluation.seconds,
        "peak_memory_mb": found.peak_memory_mb,
    }


def read_ratings(data: str, recipe: str, seed: int) -> dict[str, Any]:
    """The same for predicted ratings."""
    spec = _recipes.load(data, recipe)
    wanted = ASKED[data]
    opened, parts = wanted.open()
    reset_peak_memory()
    training = Training(seed=seed)
    model, fitted = train_on(spec, parts, opened, training, Lines())
    line = _about(data, recipe, seed, spec)
    _note(line)
    rated = predict(model, parts.test)
    told = {name: rated.summary(name) for name in wanted.metrics}
    return {
        **line,
        "model": spec.name,
        "machine": machine(),
        "protocol": opened.protocol.model_dump(mode="json"),
        "settings": spec.model_dump(mode="json"),
        "metrics": {
            name: {"mean": found.mean, "low": found.low, "high": found.high}
            for name, found in told.items()
        },
        "skipped": None,
        "seconds": fitted.seconds,
        "epochs": fitted.epochs,
        "evaluate_seconds": None,
        "peak_memory_mb": peak_memory_mb(),
    }


def compare(data: str, one: str, other: str, seed: int) -> dict[str, Any]:
    """One recipe minus another, by user."""
    parts = [np.load(PER_USER / f"{data}-{name}-{seed}.npz") for name in (one, other)]
    told = {}
    for metric in ASKED[data].metrics:
        values = [part[metric] for part in parts]
        found = paired(*values)
        assert found is not None
        told[metric] = {
            "difference": found.mean,
            "low": found.low,
            "high": found.high,
            "p_t": found.p_t,
            "p_randomisation": randomised(apart(*values)[:, None])[0],
        }
    return {"data": data, "one": one, "other": other, "seed": seed, "metrics": told}


def main() -> None:
    """Everything asked for that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=ASKED)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--paired", action="store_true", help="the first against each other one")
    asked = parser.parse_args()
    folder = RESULTS / "final" / asked.data
    folder.mkdir(parents=True, exist_ok=True)
    for seed in asked.seeds:
        for recipe in asked.recipes:
            path = folder / f"{recipe}-{seed}.json"
            if asked.paired or path.exists():
                continue
            if ASKED[asked.data].metrics == ERRORS:
                told = read_ratings(asked.data, recipe, seed)
            else:
                told = read_test(asked.data, recipe, seed, asked.epochs)
            path.write_text(json.dumps(told, indent=1) + "\n")
            print(recipe, seed, told["metrics"], told["skipped"], told["seconds"], flush=True)
        if asked.paired:
            first, *others = asked.recipes
            for other in others:
                told = compare(asked.data, first, other, seed)
                path = folder / f"{first}-against-{other}-{seed}.json"
                path.write_text(json.dumps(told, indent=1) + "\n")
                print(told, flush=True)


if __name__ == "__main__":
    main()
