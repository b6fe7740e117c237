"""The part of a results file that a report shows, typed, so that a broken file is refused by name.

Special: a report knows files only, never the objects that wrote them, so that it can be made
elsewhere and later. Keys it does not know are let through; those that may be absent have a default.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from honeyguide.errors import CallError, InputError

FORMAT = 2
RESULTS = "results.json"  # what tune writes into its folder

Name = int | float | str | bool | None  # of a user or item


class Part(BaseModel):
    """A piece of a document."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Measured(Part):
    """A mean, and its 95 % interval where there is one."""

    mean: float
    low: float | None = None
    high: float | None = None


class Spread(Part):
    """A mean over trainings and its standard deviation; None for a single training."""

    mean: float
    sd: float | None


class Seconds(Part):
    """How long things took."""

    fit: float | None
    evaluate: float | None
    epoch: float | None = None


class Epoch(Part):
    """One epoch of a training, counted from 0."""

    epoch: int
    loss: float | None
    valid: dict[str, float] | None = None


class Slice(Part):
    """One group of users."""

    by: str
    group: str
    users: int
    metrics: dict[str, Measured]


class Result(Part):
    """One training of one model."""

    model: str
    seed: int
    fold: int | None = None
    query: str | None = None
    metrics: dict[str, Measured]
    seconds: Seconds
    epochs: int | None = None
    best_epoch: int | None = None
    peak_memory_mb: float
    config: dict[str, Any]
    skipped: str | None
    flags: dict[str, int] = {}
    curve: list[Epoch] = []
    slices: list[Slice] = []


class Aggregate(Part):
    """A model over its trainings."""

    model: str
    seeds: int
    metrics: dict[str, Spread]


class Test(Part):
    """Two models on the same users."""

    __test__ = False  # pytest would take it for a test

    metric: str
    a: str
    b: str
    mean: float
    low: float
    high: float
    p_t: float
    p_randomisation: float
    p_holm: float
    effect: float
    superiority: float
    clear: bool


class Trial(Part):
    """One training of a search; number 0 is the default."""

    number: int
    state: str
    value: float | None
    seconds: float
    settings: dict[str, Any]
    reason: str | None = None


class Tuned(Part):
    """The search for one model."""

    model: str
    default: float | None
    best: float | None
    number: int | None = None
    settings: dict[str, Any]
    trials: list[Trial]


class Tuning(Part):
    """A whole search."""

    budget: float
    sampler: str
    seed: int
    metric: str
    models: list[Tuned]


class Item(Part):
    """An item by name."""

    item: Name
    title: str | None = None


class Event(Item):
    """Something a user did."""

    kind: str | None = None


class Listed(Item):
    """An item of a list."""

    score: float
    hit: bool


class Because(Item):
    """An item that carries another one."""

    effect: float
    rank_without: int | None


class Reason(Item):
    """Why an item stands where it does."""

    rank: int | None
    because: list[Because]


class Example(Part):
    """A user with what was listed."""

    user: Name
    history: list[Event]
    found: list[Item]
    lists: dict[str, list[Listed]]
    reasons: dict[str, Reason] = {}


class Time(Part):
    """From when to when."""

    first: str
    last: str
    days: float


class Health(Part):
    """A table in numbers."""

    events: int
    users: int
    items: int
    density: float | None = None
    kinds: dict[str, int] = {}
    parts: dict[str, int] | None = None
    time: Time | None = None
    values: dict[str, float] | None = None
    events_per_user: dict[str, float] = {}
    events_per_item: dict[str, float] = {}
    duplicates: int = 0
    repeated_pairs: int = 0
    long_tail: dict[str, float] = {}
    item_columns: list[str] | None = None
    user_columns: list[str] | None = None
    notes: list[str] = []


class Data(Part):
    """What was measured on; the other keys are shown as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str
    protocol: dict[str, Any] = {}
    notes: list[str] = []


class Document(Part):
    """A results file."""

    machine: dict[str, Any]
    data: Data
    health: Health | None = None
    run: dict[str, Any]
    results: list[Result]
    aggregate: list[Aggregate]
    tests: list[Test]
    verdict: str
    tuning: Tuning | None = None
    examples: list[Example] = []


def located(path: Path) -> Path:
    """The results file itself, where a folder that tune wrote is named."""
    return path / RESULTS if path.is_dir() else path


def read(path: Path) -> Document:
    """A results file, or the one in a folder that tune wrote. Raises CallError, InputError."""
    path = located(path)
    try:
        plain = json.loads(path.read_bytes())
    except OSError as error:
        raise CallError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}.", _GIVE) from None
    if not isinstance(plain, dict) or not plain.keys() >= _RESULTS_HOLD:
        raise InputError(f"{path} holds something else than results.", _GIVE)
    _refuse_other_versions(path, plain.get("format"))
    try:
        return Document.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is damaged at {where}: {first['msg']}.", _GIVE) from None


def read_all(paths: Sequence[Path]) -> list[tuple[str, Document]]:
    """Each with the name of its file or folder, without the way there. Raises as `read`."""
    if not paths:
        raise CallError("No results file was given.", _GIVE)
    return [(path.name or RESULTS, read(path)) for path in paths]


_RESULTS_HOLD = {"results", "verdict"}
_GIVE = "Give files that `honeyguide compare --json OUT.json` or `honeyguide tune --out` wrote."


def _refuse_other_versions(path: Path, found: object) -> None:
    if found == FORMAT:
        return
    newer = isinstance(found, int) and found > FORMAT
    which = "names no format" if found is None else f"is of format {found!r}"
    raise InputError(
        f"{path} {which}; this version of honeyguide reads format {FORMAT}.",
        "Make the report with the newer version that wrote it."
        if newer
        else "Another version wrote it: compare or tune again with this one.",
    )
