"""The only loop. It follows what a model's spec declares and never a model's name.

Every random number depends on (seed, epoch, step) alone, so a run that was killed goes on bit for
bit as if it had not been (same machine, same number of threads).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from honeyguide.config import Config
from honeyguide.data.batch import Examples, examples
from honeyguide.data.sample import step_seed
from honeyguide.data.split import Holdout
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError, TrainingError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.spec import Learned, LearnedSpec, Model, Solved
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train import checkpoint
from honeyguide.train.checkpoint import Progressed
from honeyguide.train.device import Precision, autocast, choose_device
from honeyguide.train.journal import Journal
from honeyguide.train.progress import Quiet, Reporter

VALIDATION_USERS = 10_000  # drawn once per run; the standard error of nDCG is then below .004


class Training(Config):
    """How to train, apart from what the model's spec says."""

    seed: int = 0
    """Fixes initial values, order, negatives and dropout."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: Precision = "auto"
    """auto takes bf16 where it pays (AMX, CUDA); f32 for the last digit."""
    metric: str = "ndcg@10"
    """What early stopping looks at."""
    checkpoint_seconds: float = 60.0
    """At most so much work is lost by a crash; 0 writes after every step."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of it: epochs trained, the best one (None without validation), seconds."""

    epochs: int
    best_epoch: int | None
    best: float | None
    seconds: float
    epoch_seconds: float | None
    journal: list[dict[str, Any]]


def fit(
    model: Model,
    data: TrainingData,
    *,
    valid: Holdout | None = None,
    training: Training | None = None,
    folder: Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> Fitted:
    """Train a model; afterwards it is on the CPU and ready to answer.

    valid: early stopping looks here and the best epoch is kept; without it all epochs of the spec
    are trained. folder: where journal and checkpoint go. Raises TrainingError on a loss that is
    not a number; Ctrl-C leaves a checkpoint and raises KeyboardInterrupt.
    """
    training = training or Training()
    missing = [
        need for need in sorted(model.spec.needs) if getattr(data.interactions, need) is None
    ]
    if missing:
        raise CallError(
            f"{model.spec.name} needs {' and '.join(missing)}, and the table has none.",
            "Name a column with --time or --order (--order file if the rows stand in order).",
        )
    started = perf_counter()
    if isinstance(model, Solved):
        model.solve(data, training.seed)
        return Fitted(1, None, None, perf_counter() - started, None, [])
    assert isinstance(model, Learned)
    run = _Run(model, data, valid, training, folder, reporter or Quiet())
    if resume:
        run.resume()
    return run.go()


class _Run:
    """The state of one run between its steps."""

    def __init__(
        self,
        model: Any,
        data: TrainingData,
        valid: Holdout | None,
        training: Training,
        folder: Path | None,
        reporter: Reporter,
    ) -> None:
        spec = model.spec
        assert isinstance(spec, LearnedSpec)
        self.model, self.data, self.spec, self.training = model, data, spec, training
        self.valid = valid and _sampled(valid, training.seed)
        self.folder, self.reporter = folder, reporter
        self.device = choose_device(training.device)
        self.examples: Examples = examples(data.interactions, spec.asked())
        if len(self.examples) == 0:
            raise TrainingError(
                "There is nothing to learn from: no user has events that count.",
                "Give more data, or lower --k-core and --min-rating.",
            )
        model.to(self.device)
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
        )
        self.steps = -(-len(self.examples) // spec.batch)
        self.best: dict[str, Tensor] = {}
        about = {
            "model": spec.name,
            "spec": spec.model_dump(mode="json"),
            "training": training.model_dump(exclude={"checkpoint_seconds"}),
            "events": len(data.interactions),
            "steps": self.steps,
        }
        self.state = Progressed(about)
        self.journal = Journal(folder and folder / "journal.jsonl")
        self.saved = perf_counter()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Go on from the checkpoint of the folder, if there is one."""
        if self.folder is None:
            raise CallError("Nothing to resume: no folder was given.", "Name one with --out.")
        found = checkpoint.read(self.folder, self.state.about)
        if found is not None:
            self.best = checkpoint.unpack(found.tensors, self.model, self.optimiser)
            self.state = replace(found, tensors={})
        self.journal.resume(self.state.epoch)

    def go(self) -> Fitted:
        """All epochs that are left."""
        if self.state.epoch == 0 and self.state.step == 0:
            self.journal.resume(0)
        with _interruptions() as interrupted:
            while not self.state.finished:
                self._epoch(interrupted)
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval().to("cpu")
        self.model.settle(self.data)
        state, lines = self.state, self.journal.lines
        return Fitted(
            epochs=state.epoch,
            best_epoch=state.best_epoch if self.best else None,
            best=state.best if self.best else None,
            seconds=state.seconds,
            epoch_seconds=float(np.median([line["seconds"] for line in lines])) if lines else None,
            journal=lines,
        )

    def _epoch(self, interrupted: threading.Event) -> None:
        state, spec, seed = self.state, self.spec, self.training.seed
        order = np.random.default_rng((seed, state.epoch)).permutation(len(self.examples))
        started, before = perf_counter(), state.seconds
        self.model.train()
        check_every = 1 if self.device.type == "cpu" else 100  # reading a loss stops a GPU
        pending = torch.zeros((), device=self.device)
        while state.step < self.steps:
            rows = order[state.step * spec.batch : (state.step + 1) * spec.batch]
            pending += self._step(rows)
            state.step += 1
            if state.step % check_every == 0 or state.step == self.steps:
                state.loss_sum += pending.item()
                pending.zero_()
                self._check_loss()
                self._report(started)
                state.seconds = before + perf_counter() - started
                self._checkpoint_if_due(interrupted)
        self._end_epoch(started)
        state.seconds = before + perf_counter() - started
        self._checkpoint_if_due(interrupted)

    def _step(self, rows: np.ndarray) -> Tensor:
        number = step_seed(self.training.seed, self.state.epoch, self.state.step)
        torch.manual_seed(number)
        batch = self.examples.batch(rows, number)
        if self.device.type != "cpu":
            batch = batch.to(self.device)
        self.optimiser.zero_grad()
        with autocast(self.device, self.training.precision):
            loss = self.model.loss(batch)
        loss.backward()
        self.optimiser.step()
        detached: Tensor = loss.detach()
        return detached

    def _check_loss(self) -> None:
        if not np.isfinite(self.state.loss_sum):
            where = f"epoch {self.state.epoch}, step {self.state.step}"
            kept = " The last checkpoint is kept." if self.folder is not None else ""
            raise TrainingError(
                f"The loss is not a number any more ({where}).{kept}",
                "Lower learning_rate, or raise weight_decay or dropout.",
            )

    def _end_epoch(self, started: float) -> None:
        state = self.state
        trained = perf_counter() - started
        line: dict[str, Any] = {
            "epoch": state.epoch,
            "loss": state.loss_sum / self.steps,
            "seconds": trained,
            "targets_per_second": self.examples.targets / trained,
        }
        if self.valid is not None:
            line["valid"] = {self.training.metric: self._validate()}
            line["valid_seconds"] = perf_counter() - started - trained
            if line["valid"][self.training.metric] > state.best:
                state.best, state.best_epoch = line["valid"][self.training.metric], state.epoch
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.journal.add(line)
        waited = state.epoch - state.best_epoch >= self.spec.patience
        state.epoch, state.step, state.loss_sum = state.epoch + 1, 0, 0.0
        state.finished = state.epoch >= self.spec.epochs or (self.valid is not None and waited)

    def _validate(self) -> float:
        assert self.valid is not None
        self.model.eval()
        self.model.settle(self.data)
        told = evaluate(
            Exhaustive(self.model),
            self.valid,
            rule=self.spec.rule,
            past=self.spec.past,
            metrics=[self.training.metric],
            device=self.device,
        )
        return told[self.training.metric]

    def _report(self, started: float) -> None:
        state = self.state
        done = state.epoch * self.steps + state.step
        speed = self.examples.targets * state.step / self.steps / (perf_counter() - started)
        metric = f" {self.training.metric} {state.best:.4f}" if self.best else ""
        text = f"epoch {state.epoch} loss {state.loss_sum / state.step:.4f}{metric}"
        self.reporter.step(done, self.spec.epochs * self.steps, f"{text} {speed:,.0f} targets/s")

    def _checkpoint_if_due(self, interrupted: threading.Event) -> None:
        due = perf_counter() - self.saved >= self.training.checkpoint_seconds
        last = self.state.finished
        if self.folder is not None and (due or last or interrupted.is_set()):
            self.state.tensors = checkpoint.pack(self.model, self.optimiser, self.best)
            checkpoint.write(self.folder, self.state)
            self.saved = perf_counter()
        if interrupted.is_set():
            raise KeyboardInterrupt


def _sampled(valid: Holdout, seed: int) -> Holdout:
    if len(valid.users) <= VALIDATION_USERS:
        return valid
    drawn = np.random.default_rng(seed).choice(valid.users, VALIDATION_USERS, replace=False)
    return replace(valid, users=np.sort(drawn))


@contextmanager
def _interruptions() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that a step is never cut in two; a second Ctrl-C cuts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def remember(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
