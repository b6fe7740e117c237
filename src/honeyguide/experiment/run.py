"""All that a run needs, in one value: the same fields in Python, as flags and in a TOML file."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from honeyguide.config import Config
from honeyguide.data.opening import Inputs
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.evaluate.evaluator import DEFAULT_METRICS
from honeyguide.evaluate.metrics import metric
from honeyguide.models.spec import Spec
from honeyguide.models.table import spec_named
from honeyguide.train.trainer import Training

BASELINES = ("popular", "item-knn", "ease", "ials")


T = TypeVar("T")


def _each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("something stands in it twice")
    return values


NotNegativeInt = Annotated[int, Field(ge=0)]
Some = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_each_once)]


class Run(Config):
    """A comparison."""

    data: str | None = None
    """A data set's name or a file; None with ready-made parts in `inputs`."""
    inputs: Inputs = Inputs()
    """Columns, split and parts."""
    models: Some[str] = (*BASELINES, "mf")
    """Names of models, each once."""
    settings: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - frozen, and copied by pydantic
    """By model: settings that differ from the defaults."""
    metrics: Some[str] = DEFAULT_METRICS
    """The first one decides the verdict."""
    seeds: Some[int] = (0,)
    """Each model is trained once per seed."""
    examples: NotNegativeInt = 3
    """How many users are shown with their history and lists; 0 where nobody's may be."""
    track: tuple[str, ...] = ()
    """Where journals go besides: tensorboard:FOLDER, wandb:FOLDER, mlflow:FOLDER."""
    training: Training = Training()
    """Device, precision, what early stopping looks at."""

    def specs(self) -> list[Spec]:
        """The models with their settings. Raises UnknownName for a model or setting."""
        for name in self.settings:
            spec_named(name)
            if name not in self.models:
                raise CallError(
                    f"A setting is given for {name!r}, which is not compared.",
                    f"The models are: {', '.join(self.models)}.",
                )
        return [spec_named(name)(**self.settings.get(name, {})) for name in self.models]


def asked_for(
    run: Run | None, data: object, models: Sequence[str] | None, changes: dict[str, Any]
) -> Run:
    """The run that a call describes: `run` with what is said beside it.

    data: stands in the run if it is a name or a file. Raises CallError where a model, a setting or
    a metric is named wrongly, before any data is read.
    """
    fields = dict(changes)
    if models is not None:
        fields["models"] = tuple(models)
    if isinstance(data, str | Path):
        fields["data"] = str(data)
    run = (run or Run()).but(**fields)
    run.specs()
    for name in (*run.metrics, run.training.metric):
        metric(name)
    return run


def run_file(path: Path) -> dict[str, Any]:
    """The fields of a Run in a TOML file. Raises InputError, CallError."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.", "Correct the file.") from None


def parse_settings(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """["sasrec.width=128"] as {"sasrec": {"width": 128}}; values are JSON, or else text."""
    settings: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        left, equals, value = pair.partition("=")
        model, dot, key = left.partition(".")
        if not (equals and dot and key):
            raise CallError(f"{pair!r} is no setting.", "Write model.setting=value, mf.width=128.")
        known = spec_named(model).model_fields
        if key not in known:
            raise UnknownName(f"setting of {model}", key, known)
        try:
            settings.setdefault(model, {})[key] = json.loads(value)
        except json.JSONDecodeError:
            settings.setdefault(model, {})[key] = value
    return settings
