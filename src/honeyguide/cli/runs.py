"""From flags and a file to a Run, and what is refused before any work begins."""

import os
from collections.abc import Sequence
from pathlib import Path

from honeyguide.bundle.manifest import MANIFEST, is_ours
from honeyguide.cli.flags import Given
from honeyguide.errors import CallError
from honeyguide.experiment import Run
from honeyguide.experiment.run import parse_settings, run_file
from honeyguide.files import is_temporary
from honeyguide.models.table import MODELS


def run_of(
    given: Given,
    config: Path | None,
    models: Sequence[str] | None,
    settings: Sequence[str] | None,
    *,
    metrics: Sequence[str] | None = None,
    seeds: Sequence[int] | int | None = None,
) -> Run:
    """The run that the flags and the file describe together; flags win. Raises CallError."""
    fields = given.fields(run_file(config) if config else None)
    if models:
        fields["models"] = list(dict.fromkeys(models))
        # settings of models that the file compares and this call does not
        kept = {m: v for m, v in fields.get("settings", {}).items() if m in models}
        fields["settings"] = kept
    said = parse_settings(list(settings or ()))
    if said:
        before = fields.get("settings", {})
        fields["settings"] = before | {m: {**before.get(m, {}), **v} for m, v in said.items()}
    if metrics:
        fields["metrics"] = list(dict.fromkeys(metrics))
    if seeds is not None:
        fields["seeds"] = [seeds] if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    return Run(**fields)


def one_model(run: Run, epochs: int | None) -> Run:
    """The run of a single model, with its number of epochs where that was said."""
    if len(run.models) != 1:
        raise CallError(
            "No model was named.", f"Give --model NAME; the known ones are: {', '.join(MODELS)}."
        )
    if epochs is None:
        return run
    (name,) = run.models
    own = {**run.settings.get(name, {}), "epochs": epochs}
    return run.but(settings={**run.settings, name: own})


def whole_numbers(words: Sequence[str], option: str) -> list[int]:
    """Words as whole numbers. Raises CallError."""
    wrong = [word for word in words if not word.isdigit()]
    if wrong:
        raise CallError(f"{option}: {wrong[0]!r} is no whole number.", f"Write {option} 0,1,2.")
    return [int(word) for word in words]


def refuse_occupied(out: Path) -> None:
    """CallError where a bundle could not be saved after the training."""
    if out.exists() and not out.is_dir():
        raise CallError(f"{out} is a file; a bundle is a folder.", "Name a new folder.")
    names = os.listdir(out) if out.exists() else []
    if MANIFEST in names:
        return
    strangers = sorted(n for n in names if not is_ours(n) and not is_temporary(n))
    if strangers:
        raise CallError(
            f"{out} holds other things than a bundle: {strangers[0]!r}.",
            "Name a new or empty folder.",
        )
