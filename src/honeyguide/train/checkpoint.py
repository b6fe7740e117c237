"""All that a run needs to go on exactly where it was, in one safetensors file, replaced atomically."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from honeyguide.errors import TrainingError
from honeyguide.files import write_file

FILE = "checkpoint.safetensors"


@dataclass(slots=True)
class Progressed:
    """Where a run stands: `step` steps of epoch `epoch` are done.

    loss_sum: summed loss of these steps. best, best_epoch: the validation metric so far and its
    epoch (-1 = none). about: what the run was started with, so that another one is not mixed in.
    """

    about: dict[str, Any]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = float("-inf")
    best_epoch: int = -1
    seconds: float = 0.0
    finished: bool = False
    tensors: dict[str, Tensor] = field(default_factory=dict)


def write(folder: Path, state: Progressed) -> None:
    """Replace the checkpoint of the folder."""
    told = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "tensors"}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    write_file(folder / FILE, save(tensors, metadata={"state": json.dumps(told)}))


def read(folder: Path, about: dict[str, Any]) -> Progressed | None:
    """The checkpoint of the folder, None where there is none.

    Raises TrainingError if it is corrupt or belongs to a run with other settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"The checkpoint {path.name} cannot be read: {error}.",
            "Delete it and train from the start.",
        ) from None
    if told["about"] != about:
        changed = [k for k in about if told["about"].get(k) != about[k]]
        raise TrainingError(
            f"The checkpoint belongs to a run with other settings ({', '.join(changed)}).",
            "Give the same settings, or another folder.",
        )
    return Progressed(**told, tensors=tensors)


def pack(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, best: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of model, optimiser and best epoch under one set of names."""
    packed = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    packed |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        packed |= {f"optimiser.{number}.{key}": torch.as_tensor(v) for key, v in state.items()}
    return packed


def unpack(
    tensors: dict[str, Tensor], model: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Put the tensors back in place and return those of the best epoch."""
    model.load_state_dict(_under("model.", tensors))
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser.", tensors).items():
        number, key = name.split(".", 1)
        states.setdefault(int(number), {})[key] = tensor
    kept = optimiser.state_dict()
    kept["state"] = states
    optimiser.load_state_dict(kept)
    return _under("best.", tensors)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    size = len(prefix)
    return {name[size:]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
