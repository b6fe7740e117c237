"""Recipes: settings of a model for a data set, found by a search that saw no test part.

benchmarks/recipes/<data>/<name>.toml holds `model`, `[settings]` and, under `[chosen]`, how they
were found.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from honeyguide.models.spec import Spec
from honeyguide.models.table import spec_named

FOLDER = Path(__file__).parent / "recipes"


def _path(data: str, name: str) -> Path:
    return FOLDER / data / f"{name}.toml"


def _read(data: str, name: str) -> dict[str, Any]:
    return tomllib.loads(_path(data, name).read_text())


def load(data: str, name: str) -> Spec:
    """The spec of a recipe."""
    told = _read(data, name)
    return spec_named(told["model"])(**told["settings"])


def chosen(data: str, name: str) -> dict[str, Any]:
    """How the settings of a recipe were found."""
    found: dict[str, Any] = _read(data, name)["chosen"]
    return found


def labelled(data: str, name: str) -> str:
    """The recipe's name, and what it has other than the recipe that is named like its model."""
    mine = load(data, name)
    if name == mine.name or not _path(data, mine.name).exists():
        return name
    common = load(data, mine.name).model_dump(mode="json")
    settings = mine.model_dump(mode="json").items()
    apart = [f"{key} {value}" for key, value in settings if value != common[key]]
    return f"{name} ({', '.join(apart)})"


def save(data: str, name: str, spec: Spec, how: Mapping[str, Any]) -> Path:
    """Write a recipe."""
    path = _path(data, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = spec.model_dump(mode="json", exclude_defaults=True)
    lines = [f"model = {_text(spec.name)}", "", "[settings]"]
    lines += [f"{key} = {_text(value)}" for key, value in settings.items()]
    lines += ["", "[chosen]", *(f"{key} = {_text(value)}" for key, value in how.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(part) for part in value) + "]"
    return repr(value)
