"""Several models under one time budget, each with its default first.

Trial 0 of every model is its default, so nothing is ever worse than the defaults on validation.
Settings that did well on other data come next (Spec.proven), and are given the time they need.
Where there are several models, defaults may take two thirds of the budget; one that needs longer is
cut, and said to be, lest one slow model leave all others untuned. What is left is for searching.
Both are shared out equally: a model that is done early (few settings, nothing better for long)
leaves its rest to those after it, and closed forms come before models with epochs. So the
yardsticks are tuned as hard as the deep models.

Structural: a search sees training and validation. There is no way to hand it test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from honeyguide.config import Config
from honeyguide.data.interactions import Interactions
from honeyguide.data.split import Holdout
from honeyguide.data.training import TrainingData
from honeyguide.errors import HoneyguideError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.spec import LearnedSpec, Model, Schema, Spec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.checkpoint import fingerprint
from honeyguide.train.progress import Quiet, Reporter
from honeyguide.train.trainer import Fitted, Training, build, columns, fit
from honeyguide.train.validation import sampled
from honeyguide.tuning import weights
from honeyguide.tuning.guard import Guard
from honeyguide.tuning.propose import Sampler, propose
from honeyguide.tuning.trials import FILE, State, Trial, TrialLog

GIVE_UP = 3  # failures in a row
FOR_DEFAULTS = 2 / 3  # of the budget, at most


class Search(Config):
    """How to search."""

    budget: Annotated[float, Field(gt=0)] = 1_800.0
    """Seconds for all models together."""
    trials: Annotated[int, Field(ge=1)] = 40
    """Most trials of a model. The budget usually ends the search of slow ones sooner."""
    settled: Annotated[int, Field(ge=1)] = 15
    """A model is done after so many trials in a row without a better one."""
    sampler: Sampler = "tpe"
    """tpe learns from earlier trials; random does not, and is the yardstick."""
    prune: bool = True
    """Stop a training whose curve stays behind earlier ones."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Fixes what is proposed."""


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """All that a search may see."""

    train: Interactions
    valid: Holdout


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What came of a model. spec: the best settings (the default's where nothing was better).

    best: its trial, None where every trial failed. model: trained with it on the training part.
    """

    default: Spec
    spec: Spec
    best: Trial | None
    trials: list[Trial]
    model: Model | None
    fitted: Fitted | None


Watch = Callable[[Spec, int], Reporter]


def search(
    specs: Sequence[Spec],
    learning: Learning,
    how: Search,
    training: Training,
    *,
    fixed: Mapping[str, frozenset[str]] | None = None,
    folder: Path | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Found]:
    """The best settings of each model, by training.metric on validation.

    fixed: by model, settings that are not searched. folder: where trials and the weights of the
    best ones are kept; resume: go on with those that are there, whose time counts. Raises
    CallError, TrainingError: see TrialLog.open. A trial that fails is recorded, and the search goes
    on.
    """
    run = _Run(specs, learning, how, training, fixed or {}, folder, watch, on_trial)
    run.log.open(run.about(), resume=resume)
    return run.go()


class _Run:
    def __init__(
        self,
        specs: Sequence[Spec],
        learning: Learning,
        how: Search,
        training: Training,
        fixed: Mapping[str, frozenset[str]],
        folder: Path | None,
        watch: Watch | None,
        on_trial: Callable[[Trial], None] | None,
    ) -> None:
        self.specs, self.how, self.training = list(specs), how, training
        self.train = learning.train
        self.valid = sampled(learning.valid, training.seed)  # the users that training looks at
        self.folder = folder
        self.log = TrialLog(None if folder is None else folder / FILE)
        self.watch, self.on_trial = watch, on_trial
        self.spaces = {
            spec.name: {
                name: space
                for name, space in spec.searched(self.train).items()
                if name not in fixed.get(spec.name, frozenset())
            }
            for spec in specs
        }
        self.proven = {spec.name: self._proven(spec) for spec in specs}
        self.models: dict[str, Model] = {}  # of the best trial of each

    def about(self) -> dict[str, Any]:
        """What a search must have in common with one that it goes on with."""
        valid = self.valid
        return {
            "data": fingerprint(columns(self.train)),
            "validation": fingerprint([valid.users, *columns(valid.history)]),
            "metric": self.training.metric,
            "training_seed": self.training.seed,
            "seed": self.how.seed,
            "sampler": self.how.sampler,
            "prune": self.how.prune,
            "models": {spec.name: spec.model_dump(mode="json") for spec in self.specs},
            "spaces": {name: repr(spaces) for name, spaces in self.spaces.items()},
            "proven": self.proven,
        }

    def go(self) -> list[Found]:
        begun = monotonic() - sum(trial.seconds for trial in self.log.trials)
        end = begun + self.how.budget
        defaults_end = end if len(self.specs) == 1 else begun + FOR_DEFAULTS * self.how.budget
        # closed forms first: what they leave goes to models with epochs
        order = sorted(self.specs, key=lambda spec: isinstance(spec, LearnedSpec))
        for place, spec in enumerate(order):
            if not self.log.of(spec.name):
                self._try(spec, self._standing(spec), _share(defaults_end, len(order) - place))
        for place, spec in enumerate(order):
            self._go_on(spec, _share(end, len(order) - place))
        return [self._found(spec) for spec in self.specs]

    def _go_on(self, spec: Spec, end: float) -> None:
        spaces = self.spaces[spec.name]
        whole = frozenset(n for n in spaces if type(spec).model_fields[n].annotation is int)
        while spaces and self._worth_another(spec, end):
            earlier, proven = self.log.of(spec.name), self.proven[spec.name]
            if len(earlier) <= len(proven):
                settings = proven[len(earlier) - 1]
            else:
                settings = propose(spaces, whole, earlier, self.how.sampler, self.how.seed)
            self._try(spec, settings, end)

    def _worth_another(self, spec: Spec, end: float) -> bool:
        """Whether the model may get another trial, and the time is enough for one."""
        earlier = self.log.of(spec.name)
        if len(earlier) >= self.how.trials:
            return False
        if len(earlier) >= GIVE_UP and all(t.state == "failed" for t in earlier[-GIVE_UP:]):
            return False
        best = self._best(spec)
        if best is not None and len(earlier) - 1 - best.number >= self.how.settled:
            return False
        needed = [t.curve[0]["seconds"] if t.curve else t.seconds for t in earlier]
        return monotonic() + Guard.LEAST * float(np.median(needed)) < end

    def _try(self, spec: Spec, settings: dict[str, Any], end: float) -> None:
        earlier = self.log.of(spec.name)
        number, started = len(earlier), monotonic()
        judged = self.how.prune and number > len(self.proven[spec.name])
        guard = Guard(self.training.metric, end, earlier if judged else ())
        state: State = "failed"
        value, best_epoch, reason, model = None, None, None, None
        try:
            tried = spec.but(**settings) if number else spec
            model, fitted = self._fit(tried, guard, number)
            value, best_epoch = self._value(tried, model, fitted), fitted.best_epoch
            state = guard.state
        except (HoneyguideError, MemoryError, RuntimeError) as error:
            # as in a comparison: a slip of ours, such as a TypeError, is not hidden
            reason = error.wrong if isinstance(error, HoneyguideError) else str(error)
        trial = Trial(
            model=spec.name,
            number=number,
            settings=settings,
            state=state,
            value=value,
            seconds=monotonic() - started,
            best_epoch=best_epoch,
            curve=tuple(guard.curve),
            reason=reason,
        )
        before = self._best(spec)
        if model is not None and value is not None and (not before or value > _value(before)):
            self.models[spec.name] = model
            if self.folder is not None and isinstance(spec, LearnedSpec):
                weights.write(self.folder, spec.name, number, model)
        self.log.add(trial)
        if self.on_trial is not None:
            self.on_trial(trial)

    def _fit(self, spec: Spec, guard: Guard, number: int) -> tuple[Model, Fitted]:
        schema = Schema(users=self.train.n_users, items=self.train.n_items)
        model = build(spec, schema, self.training.seed)
        fitted = fit(
            model,
            TrainingData(self.train),
            valid=self.valid if isinstance(spec, LearnedSpec) else None,
            training=self.training,
            reporter=self.watch(spec, number) if self.watch else Quiet(),
            on_epoch=guard,
        )
        return model, fitted

    def _value(self, spec: Spec, model: Model, fitted: Fitted) -> float:
        if fitted.best is not None:
            return fitted.best
        metric = self.training.metric
        told = evaluate(
            Exhaustive(model), self.valid, rule=spec.rule, past=spec.past, metrics=[metric]
        )
        return told[metric]

    def _standing(self, spec: Spec) -> dict[str, Any]:
        standing = spec.standing()
        return {name: standing[name] for name in self.spaces[spec.name]}

    def _proven(self, spec: Spec) -> list[dict[str, Any]]:
        """What is free of the proven settings, unless that is the default."""
        spaces, standing = self.spaces[spec.name], self._standing(spec)

        def free(row: dict[str, Any]) -> dict[str, Any]:
            return {n: value for n, value in row.items() if n in spaces and value in spaces[n]}

        rows = [standing | free(row) for row in spec.proven]
        return [row for row in rows if row != standing]

    def _best(self, spec: Spec) -> Trial | None:
        """Of equal ones the first, so the default where nothing is better."""
        valued = [t for t in self.log.of(spec.name) if t.value is not None]
        return max(valued, key=_value) if valued else None

    def _found(self, spec: Spec) -> Found:
        trials, best = self.log.of(spec.name), self._best(spec)
        if best is None:
            return Found(spec, spec, None, trials, None, None)
        tuned = spec.but(**best.settings) if best.number else spec
        model = self.models.get(spec.name) or self._again(tuned, best)
        return Found(spec, tuned, best, trials, model, fitted_of(best))

    def _again(self, spec: Spec, best: Trial) -> Model:
        """The model of a trial of an earlier sitting: its weights, or trained once more."""
        schema = Schema(users=self.train.n_users, items=self.train.n_items)
        if self.folder is not None and best.best_epoch is not None:
            kept = weights.read(self.folder, best.model, best.number)
            if kept is not None:
                model = build(spec, schema, self.training.seed)
                model.load_state_dict(kept)
                return model.eval()
        if best.best_epoch is not None:
            spec = spec.but(epochs=best.best_epoch + 1)
        guard = Guard(self.training.metric, float("inf"), ())
        return self._fit(spec, guard, best.number)[0]


def fitted_of(trial: Trial) -> Fitted:
    """What training says of itself, from the trial that kept it."""
    seconds = [line["seconds"] for line in trial.curve]
    return Fitted(
        epochs=max(len(trial.curve), 1),
        best_epoch=trial.best_epoch,
        best=trial.value if trial.curve else None,
        seconds=trial.seconds,
        epoch_seconds=float(np.median(seconds)) if seconds else None,
        journal=list(trial.curve),
    )


def _share(end: float, among: int) -> float:
    """When the first of so many makes room, if all get the same of what is left until `end`."""
    now = monotonic()
    return now + max(end - now, 0.0) / among


def _value(trial: Trial) -> float:
    return float("-inf") if trial.value is None else trial.value


__all__ = ["Found", "Learning", "Search", "fitted_of", "search"]
