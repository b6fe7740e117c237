"""What a reader carries from one event to the next, so that a state can grow by one event.

Special: values, not places: whoever holds an older one may go on from there (but no two threads at
once). Rows are written into spare room behind those that are held, and copied only when two go on
from the same place.
Letters: N rows side by side, T held along the events, W numbers; B histories of L events, D width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Carried:
    """room (N, R, W): the first `held` along R count. written: how many any holder has written."""

    room: Float[Tensor, "N R W"]
    held: int
    written: list[int]

    @staticmethod
    def of(rows: Float[Tensor, "N T W"]) -> "Carried":
        """These and no more room yet."""
        return Carried(rows, rows.shape[1], [rows.shape[1]])

    @property
    def rows(self) -> Float[Tensor, "N T W"]:
        """All that is held."""
        return self.room[:, : self.held]

    def then(self, rows: Float[Tensor, "N L W"]) -> "Carried":
        """The same and these behind it."""
        room, written, end = self.room, self.written, self.held + rows.shape[1]
        if written[0] != self.held or end > room.shape[1]:
            room = room.new_empty(room.shape[0], max(2 * end, 16), room.shape[2])
            room[:, : self.held] = self.rows
            written = [self.held]
        room[:, self.held : end] = rows
        written[0] = end
        return Carried(room, end, written)


def behind(before: Carried | None, rows: Float[Tensor, "N L W"]) -> Carried:
    """These behind what is carried, if anything is."""
    return Carried.of(rows) if before is None else before.then(rows)


def through(
    blocks: Iterable[Any], x: Float[Tensor, "B L D"], before: tuple[Any, ...] | None
) -> tuple[Float[Tensor, "B L D"], tuple[Any, ...]]:
    """What comes out of the last of these blocks, and what the next event needs of each."""
    carried = []
    for number, block in enumerate(blocks):
        x, more = block.read(x, None if before is None else before[number])
        carried.append(more)
    return x, tuple(carried)
