"""`honeyguide doctor`: what this machine has, and what is broken with its cure.

Special: nothing is imported before it is known to be importable, so that a broken torch is a line
of the report and not a traceback.
"""

import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

import typer

from honeyguide import __version__

TESTED_TORCH = "2.13.0"  # as in constraints.txt
LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "numba",
    "polars",
    "narwhals",
    "pydantic",
    "safetensors",
    "fastapi",
    "uvicorn",
    "typer",
    "rich",
)
REINSTALL = "Install it again: pip install --force-reinstall --no-deps {}."


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; cure: what to do, where something is broken."""

    name: str
    value: str
    cure: str | None = None


def doctor() -> None:
    """Say what this machine has; exit 1 and name the cure where something is broken."""
    found = examine()
    width = max(len(one.name) for one in found)
    for one in found:
        print(f"{'BROKEN' if one.cure else 'ok':<6}  {one.name:<{width}}  {one.value}")
    broken = [one for one in found if one.cure]
    for one in broken:
        print(f"\n{one.name}: {one.value}\n{one.cure}")
    if broken:
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """All findings, in the order of the report."""
    libraries = [_library(name) for name in LIBRARIES]
    whole = not any(one.cure for one in libraries)
    machine: list[Callable[[], Finding]] = [_arrays, _threads, _amx, _device] if whole else []
    return [
        Finding("honeyguide", __version__),
        Finding("python", platform.python_version()),
        *libraries,
        *(look() for look in machine),
        _data_folder(),
        _cache(),
        *_extras(),
    ]


def _library(name: str) -> Finding:
    try:
        import_module(name)
        version = metadata.version(name)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(name, f"cannot be imported: {reason}", REINSTALL.format(name))
    if name == "torch" and version.split("+")[0] != TESTED_TORCH:
        return Finding(name, f"{version} (tested with {TESTED_TORCH})")
    return Finding(name, version)


def _arrays() -> Finding:
    """Whether torch was built for the numpy that is here."""
    import numpy as np
    import torch

    try:
        torch.from_numpy(np.zeros(1)).numpy()
    except RuntimeError as error:
        return Finding(
            "torch and numpy",
            f"do not fit together: {error}",
            f"Install the tested pair: pip install torch=={TESTED_TORCH} 'numpy>=2'.",
        )
    return Finding("torch and numpy", "fit together")


def _threads() -> Finding:
    import torch

    return Finding("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")


def _amx() -> Finding:
    from honeyguide.train.device import has_amx

    return Finding("AMX", "yes: training in bf16" if has_amx() else "no: training in f32")


def _device() -> Finding:
    import torch

    cuda = torch.cuda.is_available()
    return Finding("device", torch.cuda.get_device_name() if cuda else "cpu")


def _data_folder() -> Finding:
    named = os.environ.get("HONEYGUIDE_DATA")
    if not named:
        return Finding("data folder", "none (HONEYGUIDE_DATA is not set)")
    if not Path(named).expanduser().is_dir():
        return Finding(
            "data folder",
            f"HONEYGUIDE_DATA is {named}, which is no folder",
            "Set HONEYGUIDE_DATA to a folder of data sets, or unset it.",
        )
    return Finding("data folder", f"{named}{_sets_in(Path(named).expanduser())}")


def _cache() -> Finding:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "honeyguide"
    standing = next(place for place in (folder, *folder.parents) if place.exists())
    if not (standing.is_dir() and os.access(standing, os.W_OK | os.X_OK)):
        return Finding(
            "cache",
            f"{folder} cannot be written",
            "Set XDG_CACHE_HOME to a folder that you may write to.",
        )
    return Finding("cache", f"{folder}{_sets_in(folder) if folder.is_dir() else ' (empty)'}")


def _sets_in(folder: Path) -> str:
    """How many known sets stand there; by the names alone, for a library may be broken."""
    count = sum(1 for place in folder.iterdir() if any(place.glob("*.parquet")))
    return f" ({count} data sets)"


def _extras() -> list[Finding]:
    """By extra: what of it is not installed."""
    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("honeyguide") or ():
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        name = re.match(r"[\w.-]+", line)
        if extra and name:
            wanted.setdefault(extra[1], []).append(name[0])
    return [Finding(f"extra {extra}", _missing(names)) for extra, names in wanted.items()]


def _missing(names: list[str]) -> str:
    missing = [name for name in names if not _installed(name)]
    return "installed" if not missing else f"without {', '.join(missing)}"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
