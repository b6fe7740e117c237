"""How a data set is measured: which split, which rows count, which seed.

Special: every named data set carries one, so that two people who type the same name measure the
same thing. Says what to do; the splitting itself is done elsewhere.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from honeyguide.config import Config

Split = Literal["time", "leave-last-out", "random", "ready-made"]


class Protocol(Config):
    """The rules by which events become a training, a validation and a test part."""

    split: Split
    """How test is cut off. time: everything after one moment; leave-last-out: the last event of
    each user (the one before is validation); random: a share of each user's events; ready-made:
    the `part` column decides."""

    k_core: Annotated[int, Field(ge=0)] = 0
    """Keep only users and items with at least so many events, again and again until all have
    them; 0 keeps everything. Raise it where the long tail is noise, or to match a paper."""

    min_rating: float | None = None
    """Leave out events whose value lies below this; null keeps all. Set it (4 of 5, say) when a
    low rating must not count as a success."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the events that becomes test under the splits time and random. Raise it for small
    tables, whose intervals would otherwise be wide."""

    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the events that becomes validation (of the training part where the split is
    ready-made without one). Not used by leave-last-out."""

    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of a random split. Change it to see how much a result owes to the draw."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> "Protocol":
        if self.test_fraction + self.valid_fraction >= 1:
            raise ValueError("test_fraction and valid_fraction together must stay below 1")
        return self
