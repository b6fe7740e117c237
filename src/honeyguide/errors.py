"""Every error a user can cause, in one tree. Each says what is wrong and what to do about it.

    HoneyguideError
    ├── CallError            the call was wrong: an option, a name, a mixture  (exit status 2)
    │   └── UnknownName      a model, metric, key, column or data set nobody knows
    ├── InputError           the data handed in cannot be used                 (exit status 1)
    │   ├── ColumnError      a column is missing or misnamed
    │   ├── ValueInColumn    a column holds values that cannot be used
    │   └── LeakError        the test part can be seen from the training part
    ├── TrainingError        training could not go on (NaN loss, not enough memory)
    ├── BundleError          a saved recommender is corrupt, foreign, newer or cannot be written
    └── DownloadError        a publisher cannot be reached or sent the wrong bytes

`assert` is for the programmer; these are for the user.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HoneyguideError(Exception):
    """What is wrong in one line, and what to do in another."""

    status = 1

    def __init__(self, wrong: str, do: str) -> None:
        super().__init__(f"{wrong}\n{do}")
        self.wrong = wrong
        self.do = do


class CallError(HoneyguideError):
    """The call itself was wrong."""

    status = 2


class UnknownName(CallError):
    """A name nobody knows; the message lists the known ones and suggests the nearest."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        listed = list(known)
        super().__init__(f"There is no {what} named {name!r}.", _choices(name, listed))


class InputError(HoneyguideError):
    """The data handed in cannot be used as it is."""


class ColumnError(InputError):
    """A column is missing; the message lists what is there and suggests the nearest."""

    def __init__(self, what: str, column: str, present: Iterable[str], option: str) -> None:
        listed = list(present)
        super().__init__(
            f"No column named {column!r} for the {what}.",
            f"{_choices(column, listed, 'The columns are')} Name it with {option}.",
        )


class ValueInColumn(InputError):
    """A column holds values that cannot be used."""


class LeakError(InputError):
    """Something of the test part can be seen from the training part."""


class TrainingError(HoneyguideError):
    """Training could not go on."""


class BundleError(HoneyguideError):
    """A saved recommender cannot be read or written."""


class DownloadError(HoneyguideError):
    """A download failed or brought the wrong bytes."""


def _choices(name: str, known: list[str], lead: str = "The known ones are") -> str:
    near = get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    suggestion = next((k for k in known if near and k.lower() == near[0]), None)
    hint = f"Did you mean {suggestion!r}? " if suggestion else ""
    return f"{hint}{lead}: {', '.join(known)}."
