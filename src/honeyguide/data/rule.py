"""Which kinds of event count for a model, and how a pair of user and item is valued."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int8
from pydantic import field_validator

from honeyguide.config import Config
from honeyguide.data.kinds import BY_NUMBER, KINDS, kind_named
from honeyguide.errors import CallError

POSITIVE = tuple(kind.name for kind in KINDS.values() if kind.sign > 0)
NEGATIVE = tuple(kind.name for kind in KINDS.values() if kind.sign < 0)


class Rule(Config):
    """What counts. The same rule builds the training matrix and the matrix of a question."""

    kinds: tuple[str, ...] = POSITIVE + NEGATIVE
    """Kinds that are looked at. Negative ones take a pair out if they came last."""
    value: Literal["one", "count", "value", "time"] = "one"
    """What a pair is worth: 1, the number of its positive events, or the value (a rating) or the
    time of the last one; NaN where it has none. A batch of pairs asks at these times."""

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if not [name for name in kinds if kind_named(name).sign > 0]:
            raise CallError(
                f"A rule with the kinds {kinds} counts nothing that speaks for an item.",
                f"Name at least one of {', '.join(POSITIVE)}.",
            )
        return kinds

    def mask(self) -> Bool[np.ndarray, " K"]:
        """By kind number: whether the kind is looked at."""
        mask = np.zeros(max(BY_NUMBER) + 1, dtype=bool)
        mask[[kind_named(name).number for name in self.kinds]] = True
        return mask


def _by_number(values: dict[int, int]) -> Int8[np.ndarray, " K"]:
    table = np.zeros(max(BY_NUMBER) + 1, dtype=np.int8)
    for number, value in values.items():
        table[number] = value
    return table


SIGN = _by_number({kind.number: kind.sign for kind in KINDS.values()})
SEEN = _by_number({kind.number: kind.seen for kind in KINDS.values()}).astype(bool)
EVENTS_FOR = Rule(kinds=POSITIVE)
