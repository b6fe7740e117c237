"""What a run writes and cannot: said in our own words, whatever the disk's reason was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from honeyguide.errors import TrainingError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError inside into a TrainingError that names `path`."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Make room there (or mend the rights) and resume: a checkpoint from before still "
            "stands.",
        ) from error
