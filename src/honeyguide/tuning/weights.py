"""The weights of the best trial of a model, so that its test reading needs no second training."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from honeyguide.files import write_file
from honeyguide.models.spec import Model
from honeyguide.train.disk import writing


def write(folder: Path, name: str, number: int, model: Model) -> None:
    """Keep the weights of this trial in place of an earlier one's. Raises TrainingError."""
    tensors = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    with writing(folder / _file(name)):
        write_file(folder / _file(name), save(tensors, metadata={"trial": str(number)}))


def read(folder: Path, name: str, number: int) -> dict[str, Tensor] | None:
    """Those of this trial; None where they are not there, for they can be made again."""
    try:
        with safe_open(folder / _file(name), framework="pt") as file:
            if (file.metadata() or {}).get("trial") != str(number):
                return None
            # copied: the tensors of safe_open are views of the mapped file
            return {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None


def _file(name: str) -> str:
    return f"{name}.safetensors"
