"""The only loop. It follows what a model's spec declares and never a model's name.

Every random number depends on (seed, epoch, step) and, for dropout in a divided batch, the number
of threads, so a run that was killed goes on bit for bit as if it had not been (same machine, same
versions, same number of threads). The caller's own random state is left as it was.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from honeyguide.config import Config
from honeyguide.data.batch import Examples, examples
from honeyguide.data.interactions import Interactions
from honeyguide.data.sample import step_seed
from honeyguide.data.split import Holdout
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError, InputError, TrainingError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.evaluate.metrics import metric
from honeyguide.files import remove_temporaries
from honeyguide.models.spec import Learned, LearnedSpec, Model, Schema, Solved, Spec
from honeyguide.nn.memory import give_back
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train import checkpoint
from honeyguide.train.average import Average
from honeyguide.train.checkpoint import Progressed, fingerprint
from honeyguide.train.device import Precision, choose_device, choose_precision
from honeyguide.train.disk import writing
from honeyguide.train.gradients import Gradients
from honeyguide.train.interruption import interruptions
from honeyguide.train.journal import Journal
from honeyguide.train.optimiser import RowAdamW
from honeyguide.train.progress import Moment, Quiet, Reporter
from honeyguide.train.solving import means_too_little_memory, solve
from honeyguide.train.validation import same_histories, sampled

OnEpoch = Callable[[dict[str, Any]], bool]

JOURNAL = "journal.jsonl"


class Training(Config):
    """How to train, apart from what the model's spec says."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Fixes initial values, order, negatives and dropout."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: Precision = "auto"
    """auto takes bf16 where it pays (AMX, CUDA); f32 for the last digit."""
    metric: str = "ndcg@10"
    """What early stopping looks at."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    """At most so much work is lost by a crash; 0 writes after every step."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of it: epochs trained, the best one (counted from 0, None without validation).

    seconds: everything, over all sittings. epoch_seconds: median of an epoch's training. journal:
    its lines.
    """

    epochs: int
    best_epoch: int | None
    best: float | None
    seconds: float
    epoch_seconds: float | None
    journal: list[dict[str, Any]]


def build(spec: Spec, schema: Schema, seed: int) -> Model:
    """A model whose initial values depend on the seed alone. CallError on sizes that cannot be."""
    spec.refuse_sizes(schema)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return spec.build(schema)


def fit(
    model: Model,
    data: TrainingData,
    *,
    valid: Holdout | None = None,
    training: Training | None = None,
    folder: Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train a model; afterwards it is on the CPU and ready to answer.

    valid: early stopping looks here and the best epoch is kept; without it all epochs of the spec
    are trained. folder: where journal and checkpoint go, for one run at a time; without `resume`
    those of an earlier run are replaced. resume: go on from the checkpoint of the folder, or start
    where there is none. on_epoch: told of each epoch's line of the journal as it ends; True ends
    the training there. Raises TrainingError on a loss or weight that is not a number, a full disk,
    too little memory, a checkpoint of another run; CallError on settings that cannot be. Ctrl-C
    leaves a checkpoint and raises KeyboardInterrupt.
    """
    training = training or Training()
    if resume and folder is None:
        raise CallError("Nothing to resume: no folder was given.", "Name one with --out.")
    model.spec.refuse(data.interactions)
    device = choose_device(training.device)
    metric(training.metric)
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        if isinstance(model, Solved):
            started = perf_counter()
            solve(model, data, training.seed)
            model.eval()
            return Fitted(1, None, None, perf_counter() - started, None, [])
        assert isinstance(model, Learned)
        run = _Run(model, data, valid, training, device, folder, reporter or Quiet(), on_epoch)
        run.open(resume)
        return run.go()


class _Run:
    """The state of one run between its steps."""

    def __init__(
        self,
        model: Any,
        data: TrainingData,
        valid: Holdout | None,
        training: Training,
        device: torch.device,
        folder: Path | None,
        reporter: Reporter,
        on_epoch: OnEpoch | None,
    ) -> None:
        spec = model.spec
        assert isinstance(spec, LearnedSpec)
        self.model, self.data, self.spec, self.training = model, data, spec, training
        self.valid = None if valid is None else sampled(valid, training.seed)
        self.familiar = self.valid is not None and same_histories(self.valid, data.interactions)
        self.folder, self.reporter, self.on_epoch = folder, reporter, on_epoch
        self.examples: Examples = examples(data.interactions, spec.asked())
        if self.examples.targets == 0:
            raise InputError(
                "There is nothing to learn from: no user has enough events that count.",
                "Give more data, or lower --k-core and --min-rating.",
            )
        self.device = device
        # reading a loss stops a GPU, so there it is done every so many steps
        self.check_every = 1 if device.type == "cpu" else 100
        self.precision = choose_precision(device, training.precision)
        model.to(device)
        model.prepare(data)
        self.gradients = Gradients(model, self.examples, device, self.precision)
        self.parameters = self.gradients.parameters
        self.optimiser = RowAdamW(self.parameters, spec.learning_rate, spec.weight_decay)
        self.average = Average(model, spec.average)
        self.steps = -(-len(self.examples) // spec.batch)
        self.best: dict[str, Tensor] = {}
        self.state = Progressed({} if folder is None else self._about())
        self.journal = Journal(None if folder is None else folder / JOURNAL)
        self.saved = self.ticked = perf_counter()

    def _about(self) -> dict[str, Any]:
        valid = self.valid
        return {
            "model": self.spec.name,
            "spec": self.spec.model_dump(mode="json"),
            "schema": self.model.schema.model_dump(mode="json"),
            "seed": self.training.seed,
            "device": self.device.type,
            "precision": self.precision,
            "data": fingerprint(columns(self.data.interactions)),
            "metric": None if valid is None else self.training.metric,
            "validation": None
            if valid is None
            else fingerprint([valid.users, *columns(valid.history), *columns(valid.truth)]),
        }

    def open(self, resume: bool) -> None:
        """Take the folder: go on from what is there, or clear it."""
        if self.folder is None:
            return
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_temporaries(self.folder)
        found = checkpoint.read(self.folder, self.state.about) if resume else None
        if found is None:
            # first, lest a kill leaves an old checkpoint beside a new journal
            checkpoint.remove(self.folder)
            self.journal.start()
            return
        self.journal.resume(found.epoch)
        self.best = checkpoint.unpack(found.tensors, self.model, self.optimiser, self.average)
        self.best = {name: tensor.to(self.device) for name, tensor in self.best.items()}
        self.state = replace(found, tensors={})

    def go(self) -> Fitted:
        """All epochs that are left."""
        self.saved = self.ticked = perf_counter()
        with interruptions() as interrupted:
            while not self.state.finished:
                self._epoch(interrupted)
        if self.best:
            self.model.load_state_dict(self.best, strict=not self.model.fixed)
        else:
            self.average.swap()
        self.model.eval().to("cpu")
        self.model.settle(self.data)
        state, lines = self.state, self.journal.lines
        return Fitted(
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            best=state.best,
            seconds=state.seconds,
            epoch_seconds=float(np.median([line["seconds"] for line in lines])),
            journal=lines,
        )

    def _epoch(self, interrupted: threading.Event) -> None:
        state, spec = self.state, self.spec
        draw = np.random.default_rng((self.training.seed, state.epoch))
        batches = self.examples.epoch(spec.batch, draw)
        self.model.train()
        pending = torch.zeros((), device=self.device)
        while state.step < self.steps:
            pending += self._step(batches[state.step])
            state.step += 1
            if self._moved:
                self.average.step(state.epoch * self.steps + state.step)
            if state.step % self.check_every == 0 or state.step == self.steps:
                state.loss_sum += pending.item()
                pending.zero_()
                if not np.isfinite(state.loss_sum):
                    raise self._diverged("loss")
                state.epoch_seconds += self._tick()
                self._report()
                self._checkpoint_if_due(interrupted)
                self._tick()
        self._end_epoch()
        self._checkpoint_if_due(interrupted)

    @property
    def _moved(self) -> bool:
        """Whether no gradient waits for the batches that are to join it."""
        return self.state.step % self.spec.accumulate == 0 or self.state.step == self.steps

    def _step(self, rows: np.ndarray) -> Tensor:
        seed = step_seed(self.training.seed, self.state.epoch, self.state.step)
        try:
            if self._moved:
                self.gradients.clear()
            loss = self.gradients.add(rows, seed)
            if (self.state.step + 1) % self.spec.accumulate == 0 or (
                self.state.step + 1 == self.steps
            ):
                self.optimiser.step()
        except (MemoryError, RuntimeError) as error:
            if not means_too_little_memory(error):
                raise
            raise TrainingError(
                f"There is not enough memory for a step ({self._where()}).",
                f"Lower batch ({self.spec.batch}) or the model's sizes, or free memory.",
            ) from error
        return loss

    def _where(self) -> str:
        return f"epoch {self.state.epoch}, step {self.state.step}, counted from 0"

    def _diverged(self, what: str) -> TrainingError:
        state = self.state
        last = max(state.step - 1, 0)
        first = last - last % self.check_every
        steps = f"step {last}" if first == last else f"steps {first} to {last}"
        stands = self.folder is not None and (self.folder / checkpoint.FILE).exists()
        kept = " The checkpoint before it is kept." if stands else ""
        return TrainingError(
            f"The {what} is not a finite number any more (epoch {state.epoch}, {steps}, counted "
            f"from 0).{kept}",
            f"Lower learning_rate ({self.spec.learning_rate:g}) and start anew.",
        )

    def _check_weights(self) -> None:
        """A loss is one step behind: it was finite before the update that spoilt the weights.

        One pass over memory, done once per epoch and before a checkpoint is written.
        """
        moments = [t for state in self.optimiser.state.values() for t in state.values()]
        for tensor in [*(p.detach() for p in self.parameters), *moments]:
            # a sum is not finite if any part is not; it may also overflow, so look closer then
            if not bool(tensor.sum().isfinite()) and not bool(tensor.isfinite().all()):
                raise self._diverged("result of an update")

    def _end_epoch(self) -> None:
        state, name = self.state, self.training.metric
        self._check_weights()
        line: dict[str, Any] = {
            "epoch": state.epoch,
            "loss": state.loss_sum / self.steps,
            "seconds": state.epoch_seconds,
            "targets_per_second": self.examples.targets / state.epoch_seconds,
            "valid": None,
        }
        if self.valid is not None:
            self._tick()
            with self.average.in_place():
                value = self._validate(self.valid)
                if state.best is None or value > state.best:
                    state.best, state.best_epoch = value, state.epoch
                    kept = checkpoint.learned(self.model).items()
                    self.best = {name: tensor.detach().clone() for name, tensor in kept}
            line |= {"valid": {name: value}, "valid_seconds": self._tick()}
        give_back()
        self.journal.add(line)
        waited = 0 if state.best_epoch is None else state.epoch - state.best_epoch
        state.epoch, state.step = state.epoch + 1, 0
        state.loss_sum, state.epoch_seconds = 0.0, 0.0
        enough = state.best_epoch is not None and waited >= self.spec.patience
        stopped = self.on_epoch is not None and self.on_epoch(line)
        state.finished = state.epoch >= self.spec.epochs or enough or stopped
        self._tick()

    def _validate(self, valid: Holdout) -> float:
        self.model.eval()
        (self.model.refresh if self.familiar else self.model.settle)(self.data)
        told = evaluate(
            Exhaustive(self.model),
            valid,
            rule=self.spec.rule,
            past=self.spec.past,
            metrics=[self.training.metric],
            device=self.device,
        )
        return told[self.training.metric]

    def _report(self) -> None:
        state, lines = self.state, self.journal.lines
        validated = lines[-1]["valid"] if lines else None
        self.reporter.step(
            Moment(
                epoch=state.epoch,
                epochs=self.spec.epochs,
                done=state.epoch * self.steps + state.step,
                total=self.spec.epochs * self.steps,
                loss=state.loss_sum / state.step,
                metric=self.training.metric,
                value=None if validated is None else validated[self.training.metric],
                targets_per_second=self.examples.targets
                * (state.step / self.steps)
                / state.epoch_seconds,
            )
        )

    def _tick(self) -> float:
        """Seconds since the last tick, added to those of the run."""
        now = perf_counter()
        passed, self.ticked = now - self.ticked, now
        self.state.seconds += passed
        return passed

    def _checkpoint_if_due(self, interrupted: threading.Event) -> None:
        if not self._moved:
            return  # gradients are not kept
        due = perf_counter() - self.saved >= self.training.checkpoint_seconds
        asked = interrupted.is_set()
        if self.folder is not None and (due or asked or self.state.finished):
            self._check_weights()
            tensors = checkpoint.pack(self.model, self.optimiser, self.best, self.average)
            checkpoint.write(self.folder, replace(self.state, tensors=tensors))
            self.saved = perf_counter()
        if asked:
            raise KeyboardInterrupt


def columns(events: Interactions) -> Iterator[np.ndarray]:
    """Everything in numbers that training could look at."""
    for column in fields(events):
        value = getattr(events, column.name)
        if isinstance(value, np.ndarray):
            yield value
