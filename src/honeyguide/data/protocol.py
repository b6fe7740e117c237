"""How a data set is measured: which split, which rows count, which seed.

Special: every named data set carries one, so that two people who type the same name measure the
same thing. Says what to do; the splitting itself is done elsewhere.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from honeyguide.config import Config
from honeyguide.errors import CallError

Split = Literal[
    "time", "leave-last-out", "random", "new-users", "new-items", "k-fold", "ready-made"
]


class Protocol(Config):
    """The rules by which events become a training, a validation and a test part."""

    split: Split
    """How test is cut off. time: everything after one moment; leave-last-out: the last event of
    each user (the one before is validation); random: a share of each user's events; new-users:
    all events of a share of the users, who are asked with the earlier four fifths of them;
    new-items: all events of a share of the items; k-fold: each user's pairs in `folds` parts, of
    which number `fold` is test and the next one validation; ready-made: the `part` column
    decides."""

    k_core: Annotated[int, Field(ge=0)] = 0
    """Keep only users and items with at least so many events, again and again until all have
    them; 0 keeps everything. Raise it where the long tail is noise, or to match a paper."""

    min_rating: float | None = None
    """Leave out events whose value lies below this; null keeps all. Set it (4 of 5, say) when a
    low rating must not count as a success."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the events that becomes test under the splits time and random, of the users under
    new-users, of the items under new-items. Raise it for small tables, whose intervals would
    otherwise be wide."""

    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The same share for validation (of the training part where the split is ready-made without
    one). Not used by leave-last-out and k-fold."""

    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of a split that draws. Change it to see how much a result owes to the draw."""

    folds: Annotated[int, Field(ge=3)] = 5
    """Parts of a k-fold split. At least 3: one is test, one validation, the others are learned
    from. Raise it to learn from more."""

    fold: Annotated[int, Field(ge=0)] = 0
    """Which part of a k-fold split is test, from 0. Over all of them every pair is test once."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> "Protocol":
        if self.test_fraction + self.valid_fraction >= 1:
            raise ValueError("test_fraction and valid_fraction together must stay below 1")
        return self

    @model_validator(mode="after")
    def _the_fold_is_one_of_them(self) -> "Protocol":
        if self.fold >= self.folds:
            raise CallError(
                f"There is no fold {self.fold} among {self.folds}.",
                f"Give --fold a number from 0 to {self.folds - 1}.",
            )
        return self
