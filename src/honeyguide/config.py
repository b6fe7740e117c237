"""The base of every configuration: frozen, typed, unknown keys refused with the known ones listed.

A hyper-parameter is written once, beside the class it configures, with a string that says when to
change it and, where tuning may look for a better value, with a Range or a Choice:

    l2: Annotated[Positive, Range(1, 10_000, log=True)] = 500.0
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from honeyguide.errors import CallError, UnknownName

C = TypeVar("C", bound="Config")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, both ends in it; whole ones for a field of whole numbers.

    log: an equal share of the draws to each factor rather than to each step.
    """

    low: int | float
    high: int | float
    log: bool = False

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.values


Space = Range | Choice


class Config(BaseModel):
    """A frozen set of typed fields; a change returns a new value."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    def __init__(self, **fields: Any) -> None:
        cls = type(self)
        unknown = next((key for key in fields if key not in cls.model_fields), None)
        if unknown is not None:
            raise UnknownName(f"setting of {cls.__name__}", unknown, cls.model_fields)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or cls.__name__
            raise CallError(
                f"{cls.__name__}: {where} = {first.get('input')!r} will not do: {first['msg']}.",
                f"{where}: {_describe(cls, where)}",
            ) from None

    def but(self: C, **changes: Any) -> C:
        """The same settings, except for these."""
        return type(self)(**{**self.model_dump(), **changes})

    @classmethod
    def spaces(cls) -> dict[str, Space]:
        """By field: where a better value may be looked for; fields without a space are left out."""
        found = {
            name: next((mark for mark in info.metadata if isinstance(mark, Range | Choice)), None)
            for name, info in cls.model_fields.items()
        }
        return {name: space for name, space in found.items() if space is not None}


def _describe(cls: type[Config], field: str) -> str:
    info = cls.model_fields.get(field)
    if info is None:
        return f"see the settings of {cls.__name__}: {', '.join(cls.model_fields)}."
    told = " ".join((info.description or "no description").split())  # one line of an error
    return f"{told} (default {info.default!r})."
