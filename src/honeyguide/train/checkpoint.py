"""All that a run needs to go on exactly where it was, in one safetensors file, replaced atomically.

Special: the file holds a checksum of everything in it (the format itself checks only its header),
and what the run was started with, so that neither damage nor another run's state is taken for ours.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from honeyguide.errors import TrainingError
from honeyguide.files import sync_folder, write_file
from honeyguide.models.spec import Learned
from honeyguide.train.average import Average
from honeyguide.train.disk import writing

FILE = "checkpoint.safetensors"


@dataclass(slots=True)
class Progressed:
    """Where a run stands: `step` steps of epoch `epoch` are done.

    about: what the run was started with, as JSON would give it back. loss_sum: summed loss of
    these steps. epoch_seconds: what they took; seconds: what everything took. best, best_epoch:
    the validation metric so far and its epoch.
    """

    about: dict[str, Any]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float | None = None
    best_epoch: int | None = None
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    finished: bool = False
    tensors: dict[str, Tensor] = field(default_factory=dict)


def write(folder: Path, state: Progressed) -> None:
    """Replace the checkpoint of the folder.

    Raises TrainingError where the disk refuses; the one that was there still stands then.
    """
    told = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "tensors"}
    text = json.dumps(told, allow_nan=False)
    tensors: dict[str, Tensor] = {}
    owned: set[int] = set()
    for name, tensor in state.tensors.items():
        kept = tensor.detach().cpu().contiguous()
        if kept.untyped_storage().data_ptr() in owned:
            kept = kept.clone()  # tied weights: safetensors refuses one memory under two names
        owned.add(kept.untyped_storage().data_ptr())
        tensors[name] = kept
    with writing(folder / FILE):
        metadata = {"state": text, "sha256": _checksum(text, tensors)}
        write_file(folder / FILE, save(tensors, metadata=metadata))


def read(folder: Path, about: dict[str, Any]) -> Progressed | None:
    """The checkpoint of the folder, None where there is none.

    Raises TrainingError if it is corrupt or belongs to a run with other settings.
    """
    path = folder / FILE
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # copied: the tensors of safe_open are views of the mapped file
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if _checksum(metadata["state"], tensors) != metadata["sha256"]:
            raise ValueError("its checksum is another one")
        state = Progressed(**json.loads(metadata["state"]), tensors=tensors)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read: {error}.",
            "Train from the start without resume; it will be replaced.",
        ) from None
    changed = differences(state.about, about)
    if changed:
        raise TrainingError(
            f"The checkpoint {path} belongs to another run: {'; '.join(changed)}.",
            "Give the same settings and data, or another folder, or train without resume.",
        )
    return state


def remove(folder: Path) -> None:
    """Take the checkpoint of an earlier run away. Raises TrainingError where the disk refuses."""
    with writing(folder / FILE):
        (folder / FILE).unlink(missing_ok=True)
        sync_folder(folder)


def differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """What two descriptions differ in, by dotted name."""
    found: list[str] = []
    for key in dict.fromkeys((*before, *now)):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append(f"{prefix}{key} was {_shown(one)} and is {_shown(other)}")
    return found


def fingerprint(columns: Iterable[np.ndarray]) -> str:
    """A number that changes when any of the columns does."""
    summed = 0
    for column in columns:
        summed = zlib.crc32(f"{column.dtype}{column.shape}".encode(), summed)
        summed = zlib.crc32(np.ascontiguousarray(column).reshape(-1).view(np.uint8).data, summed)
    return f"{summed:08x}"


def learned(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state of a model but for what training leaves alone."""
    state: dict[str, Tensor] = model.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(fixed(model))}


def fixed(model: torch.nn.Module) -> tuple[str, ...]:
    """What the model declares that training leaves alone."""
    return model.fixed if isinstance(model, Learned) else ()


def pack(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    best: dict[str, Tensor],
    average: Average,
) -> dict[str, Tensor]:
    """The tensors of model, optimiser, best epoch and running mean under one set of names; nothing
    is copied."""
    packed = {f"model.{name}": tensor for name, tensor in learned(model).items()}
    packed |= {f"best.{name}": tensor for name, tensor in best.items()}
    packed |= {f"average.{name}": tensor for name, tensor in average.mean.items()}
    for number, state in optimiser.state_dict()["state"].items():
        packed |= {f"optimiser.{number}.{key}": torch.as_tensor(v) for key, v in state.items()}
    return packed


def unpack(
    tensors: dict[str, Tensor],
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average,
) -> dict[str, Tensor]:
    """Put the tensors back in place and return those of the best epoch.

    Raises TrainingError where they are not those of this model.
    """
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser.", tensors).items():
        number, key = name.split(".", 1)
        states.setdefault(int(number), {})[key] = tensor
    kept = optimiser.state_dict()
    kept["state"] = states
    try:
        model.load_state_dict(_under("model.", tensors), strict=not fixed(model))
        optimiser.load_state_dict(kept)
        average.restore(_under("average.", tensors))
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(
            f"The checkpoint does not fit the model: {str(error).splitlines()[0]}",
            "It was written by another version of Honeyguide; train from the start.",
        ) from None
    return _under("best.", tensors)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    size = len(prefix)
    return {name[size:]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _shown(value: object) -> str:
    return "absent" if value is None else json.dumps(value)


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    summed = sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        summed.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        summed.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return summed.hexdigest()
