"""What the tests of training share: a small log, two small specs, runs in forks that may be killed.

A fork of a process that has imported everything but not yet used polars or torch starts in no time;
`forked` says what became of it.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.shop import simulate
from honeyguide.data.split import Holdout, split
from honeyguide.data.training import TrainingData
from honeyguide.models.mf import MF
from honeyguide.models.sasrec import SASRec
from honeyguide.models.spec import LearnedSpec, Model, Schema
from honeyguide.train import Fitted, Moment, Quiet, Reporter, Training, build, fit

SPECS: dict[str, LearnedSpec] = {
    "mf": MF(loss="bpr", negatives=4, width=8, batch=64, epochs=4, learning_rate=0.01),
    "sasrec": SASRec(width=16, layers=1, dropout=0.3, history=8, batch=16, epochs=4, average=0.9),
}
PLAIN = Training(seed=3, device="cpu", precision="f32", checkpoint_seconds=0)


@cache
def shop() -> tuple[TrainingData, Holdout]:
    log = Interactions.of(simulate(2_000, users=80, items=60, seed=1).table)
    parts = split(log, Protocol(split="leave-last-out"))
    assert parts.valid is not None
    return TrainingData(parts.train), parts.valid


def schema() -> Schema:
    log = shop()[0].interactions
    return Schema(users=log.n_users, items=log.n_items)


def fresh(spec: LearnedSpec, seed: int = PLAIN.seed) -> Model:
    return build(spec, schema(), seed)


class Watch:
    """Notes every moment; at the one with `at` steps done, does something."""

    def __init__(self, at: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self.at, self.act = at, act
        self.seen: list[Moment] = []

    def step(self, at: Moment) -> None:
        self.seen.append(at)
        if at.done == self.at:
            self.act()


def trained(
    spec: LearnedSpec, folder: Path | None = None, *, resume: bool = False, **changes
) -> tuple[Model, Fitted]:
    """A model trained on the small log; `changes` go to Training, but valid and reporter to fit."""
    data, valid = shop()
    with_valid, reporter = changes.pop("valid", True), changes.pop("reporter", Quiet())
    training = PLAIN.but(**changes)
    model = fresh(spec, training.seed)
    told = fit(
        model,
        data,
        valid=valid if with_valid else None,
        training=training,
        folder=folder,
        resume=resume,
        reporter=reporter,
    )
    return model, told


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit by bit; NaN equals NaN."""
    if one.keys() != other.keys():
        return False
    return all(_bytes(tensor) == _bytes(other[name]) for name, tensor in one.items())


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def lasting(lines: list[dict]) -> list[dict]:
    """The lines of a journal without what depends on the clock."""
    clock = {"seconds", "valid_seconds", "targets_per_second"}
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


# --- in forks


def run(name: str, folder: Path, reporter: Reporter, checkpoint_seconds: float = 0) -> None:
    """Train, or go on training, and leave the final weights and the journal as `fit` told it."""
    model, told = trained(
        SPECS[name], folder, resume=True, reporter=reporter, checkpoint_seconds=checkpoint_seconds
    )
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "final")
    (folder / "told.json").write_text(json.dumps(told.journal))


def forked(act: Callable[[], object], threads: int = 1) -> int:
    """Starts `act` in a fork and returns its process id."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        # a shell's background job ignores Ctrl-C, and so would its children
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(threads)
        act()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(process: int) -> int:
    """The exit status, or minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def outcome(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """What a finished run left: final weights, and the journal, on disk as it was told."""
    written = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert written == json.loads((folder / "told.json").read_text())
    return load_file(folder / "final"), written


def assert_as_if_never_stopped(whole: Path, stopped: Path) -> None:
    one, lines = outcome(whole)
    other, others = outcome(stopped)
    assert same_weights(one, other)
    assert [line["epoch"] for line in others] == list(range(len(lines)))
    assert lasting(others) == lasting(lines)
    assert not [path for path in stopped.iterdir() if path.suffix == ".tmp"]
