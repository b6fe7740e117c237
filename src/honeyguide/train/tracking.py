"""Journals that other programs show: TensorBoard, Weights & Biases (offline), MLflow (on disk).

Nothing is sent anywhere: each service writes into a folder, which its own program opens or uploads
later. All three are extras. A run is one training of one model.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from honeyguide.errors import CallError, UnknownName

PROJECT = "honeyguide"
EXTRA = "pip install honeyguide[track]"


class Tracker(ABC):
    """One run, from begin to end."""

    module: ClassVar[str]
    """What must be installed."""

    def __init__(self, folder: Path) -> None:
        """folder: holds the runs of this service. Raises CallError where it is not installed."""
        self.folder = folder
        try:
            import_module(self.module)
        except ImportError:
            raise CallError(
                f"{type(self).__name__} needs {self.module}, which is not installed.",
                f"Run `{EXTRA}`.",
            ) from None

    @abstractmethod
    def begin(self, name: str, config: dict[str, Any]) -> None:
        """A run with plain settings."""

    @abstractmethod
    def add(self, values: dict[str, float], step: int) -> None:
        """Numbers of one epoch."""

    @abstractmethod
    def end(self, summary: dict[str, float], *, failed: bool) -> None:
        """The run is over; what is written is on its way to the disk."""


class TensorBoard(Tracker):
    """Event files; `tensorboard --logdir FOLDER` shows them."""

    module: ClassVar[str] = "tensorboard.summary"

    def begin(self, name: str, config: dict[str, Any]) -> None:
        self._writer: Any = import_module(self.module).Writer(str(self.folder / name))

    def add(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def end(self, summary: dict[str, float], *, failed: bool) -> None:
        self.add({f"summary/{key}": value for key, value in summary.items()}, 0)
        self._writer.close()


class WandB(Tracker):
    """Offline runs; `wandb sync FOLDER/wandb/offline-run-*` uploads them."""

    module: ClassVar[str] = "wandb"

    def begin(self, name: str, config: dict[str, Any]) -> None:
        wandb = import_module(self.module)
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
        )
        self._run: Any = wandb.init(
            mode="offline",
            dir=str(self.folder),
            project=PROJECT,
            name=name,
            config=config,
            settings=quiet,
            reinit="create_new",  # a run of the caller's own stays as it is
        )

    def add(self, values: dict[str, float], step: int) -> None:
        self._run.log(values, step=step)

    def end(self, summary: dict[str, float], *, failed: bool) -> None:
        self._run.summary.update(summary)
        self._run.finish(exit_code=int(failed))


class MLflow(Tracker):
    """A file store; `mlflow ui --backend-store-uri FOLDER` shows it."""

    module: ClassVar[str] = "mlflow.tracking"
    allowed: ClassVar[str] = "MLFLOW_ALLOW_FILE_STORE"

    def begin(self, name: str, config: dict[str, Any]) -> None:
        with _environment(self.allowed, "true"):  # it would rather have a database
            self._client: Any = import_module(self.module).MlflowClient(
                tracking_uri=self.folder.absolute().as_uri()
            )
        found = self._client.get_experiment_by_name(PROJECT)
        experiment = found.experiment_id if found else self._client.create_experiment(PROJECT)
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in config.items():
            self._client.log_param(self._run, key, value)

    def add(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            self._client.log_metric(self._run, _plain(key), value, step=step)

    def end(self, summary: dict[str, float], *, failed: bool) -> None:
        self.add(summary, 0)
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}


def tracker_named(text: str) -> Tracker:
    """ "tensorboard:FOLDER" as a tracker. Raises UnknownName, CallError."""
    name, colon, folder = text.partition(":")
    if name not in TRACKERS:
        raise UnknownName("tracker", name, TRACKERS)
    if not (colon and folder):
        raise CallError(f"{text!r} names no folder.", f"Write {name}:FOLDER.")
    return TRACKERS[name](Path(folder))


OnEpoch = Callable[[dict[str, Any]], bool]


@contextmanager
def tracked(
    trackers: Sequence[Tracker], name: str, config: dict[str, Any], summary: dict[str, float]
) -> Iterator[OnEpoch]:
    """A run in each tracker, for as long as the context lasts; gives what fit calls `on_epoch`.

    summary: filled in by the caller meanwhile. A run whose context ends with an error is marked as
    failed. A training that is resumed is a new run from the epoch at which it went on.
    """
    with ExitStack() as stack:
        for tracker in trackers:
            tracker.begin(name, config)
            stack.push(_ending(tracker, summary))

        def on_epoch(line: dict[str, Any]) -> bool:
            values = {key: line[key] for key in ("loss", "seconds", "targets_per_second")}
            values |= {f"valid/{key}": value for key, value in (line["valid"] or {}).items()}
            for tracker in trackers:
                tracker.add(values, line["epoch"])
            return False

        yield on_epoch


def _ending(tracker: Tracker, summary: dict[str, float]) -> Any:
    def end(kind: type[BaseException] | None, *_: object) -> bool:
        tracker.end(summary, failed=kind is not None)
        return False

    return end


def _plain(key: str) -> str:
    """MLflow keeps a file for each name, and takes no @."""
    return key.replace("@", "_at_")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
