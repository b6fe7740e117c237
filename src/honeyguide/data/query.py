"""The question: what these people did up to now. Training, evaluation and service build it here.

Right-padded (B, L): the first kept event stands first, so a position counts from the first kept
event and a state can grow by one event.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

from honeyguide.data.interactions import Interactions, take_rows
from honeyguide.data.rule import SIGN, Rule
from honeyguide.data.vocab import PAD, UNKNOWN_USER


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of a sparse (B, I) matrix: the entries of row b are offsets[b] to offsets[b + 1]."""

    items: Int64[Tensor, " M"]
    weights: Float[Tensor, " M"]
    offsets: Int64[Tensor, " B1"]

    @staticmethod
    def of(matrix: sp.csr_array) -> "Pairs":
        """The same rows as tensors."""
        return Pairs(
            torch.from_numpy(matrix.indices).long(),
            torch.from_numpy(matrix.data),
            torch.from_numpy(matrix.indptr).long(),
        )

    def times(self, table: Float[Tensor, "I D"]) -> Float[Tensor, "B D"]:
        """The sparse rows times a dense (I, D) table."""
        return embedding_bag(
            self.items,
            table,
            self.offsets,
            mode="sum",
            include_last_offset=True,
            per_sample_weights=self.weights.to(table.dtype),
        )

    def to(self, device: torch.device) -> "Pairs":
        """The same rows on another device."""
        return Pairs(self.items.to(device), self.weights.to(device), self.offsets.to(device))

    def part(self, start: int, stop: int) -> "Pairs":
        """The rows from `start` to before `stop`."""
        ends = self.offsets[start : stop + 1]
        kept = slice(int(ends[0]), int(ends[-1]))
        return Pairs(self.items[kept], self.weights[kept], ends - ends[0])

    def rows(self) -> Int64[Tensor, " M"]:
        """The row number of each entry."""
        lengths = self.offsets.diff()
        return torch.repeat_interleave(
            torch.arange(len(lengths), device=self.items.device), lengths
        )


@dataclass(frozen=True, slots=True)
class Query:
    """Past events of B people, the last L of each, first event first, PAD behind.

    length: how many of the L are real. now: the time of the question, where known. user: the
    trained row, -1 = unknown. as_of: a fingerprint of the whole history, so that a row trained on
    another history is noticed; 0 = no history. value: NaN where an event has none. words: the
    numbers of a search's words, 0 behind them (data/words.py).
    """

    item: Int64[Tensor, "B L"]
    kind: Int64[Tensor, "B L"]
    length: Int64[Tensor, " B"]
    user: Int64[Tensor, " B"]
    as_of: Int64[Tensor, " B"]
    value: Float[Tensor, "B L"] | None = None
    time: Float64[Tensor, "B L"] | None = None
    words: Int64[Tensor, "B L W"] | None = None
    now: Float64[Tensor, " B"] | None = None

    def __len__(self) -> int:
        return len(self.length)

    def mask(self) -> Bool[Tensor, "B L"]:
        """Where the events are real."""
        places = torch.arange(self.item.shape[1], device=self.item.device)
        return places < self.length[:, None]

    def part(self, start: int, stop: int) -> "Query":
        """The rows from `start` to before `stop`, no wider than the longest of their histories."""
        columns = {n: c[start:stop] for n in self.__slots__ if (c := getattr(self, n)) is not None}
        longest = max(int(columns["length"].max()) if len(columns["length"]) else 0, 1)
        events = ("item", "kind", "value", "time", "words")
        cut = {name: columns[name][:, :longest] for name in events if name in columns}
        return replace(self, **{**columns, **cut})

    def pairs(self, rule: Rule) -> Pairs:
        """The distinct items that count, as Interactions.pairs makes them in training."""
        device = self.item.device
        opinion = torch.as_tensor(np.where(rule.mask(), SIGN, 0), device=device)[self.kind]
        rows, places = ((opinion != 0) & (self.item != PAD) & self.mask()).nonzero(as_tuple=True)
        items, sign = self.item[rows, places], opinion[rows, places]
        width = int(items.max()) + 1 if len(items) else 1
        # stable: the events of a pair stay in order
        keys, order = torch.sort(rows * width + items, stable=True)
        positive = sign[order] > 0
        last = torch.ones_like(positive)  # of its pair
        last[:-1] = keys[1:] != keys[:-1]
        kept = last & positive
        if rule.value == "count":
            so_far = positive.cumsum(0)[last]
            count = so_far.diff(prepend=so_far.new_zeros(1))
            weights = count[kept[last]].float()
        elif rule.value in ("value", "time"):
            column = self.value if rule.value == "value" else self.time
            dtype = torch.float32 if rule.value == "value" else torch.float64
            if column is None:
                weights = torch.full((int(kept.sum()),), torch.nan, dtype=dtype, device=device)
            else:
                weights = column[rows, places][order][kept].to(dtype)
        else:
            weights = torch.ones(int(kept.sum()), device=device)
        keys = keys[kept]
        counts = torch.bincount(keys // width, minlength=len(self))
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return Pairs(keys % width, weights, offsets)

    def to(self, device: torch.device) -> "Query":
        """The same question on another device."""
        moved = {
            name: tensor.to(device)
            for name in self.__slots__
            if (tensor := getattr(self, name)) is not None
        }
        return replace(self, **moved)


def query(
    past: Interactions,
    users: Int64[np.ndarray, " B"],
    *,
    history: int | None,
    known: bool = True,
    now: Float64[np.ndarray, " B"] | None = None,
) -> Query:
    """The question of these users of `past`, whose events must already be the counting ones.

    history: the last so many events of each; None = all. known: whether the users of `past` are
    numbered as in training (a stranger's history is asked with known=False).
    """
    rows, ends = take_rows(past.offsets, users)
    lengths = np.diff(ends)
    kept = lengths if history is None else np.minimum(lengths, history)
    width = max(int(kept.max(initial=0)), 1)
    row = np.repeat(np.arange(len(users)), lengths)
    place = np.arange(len(rows)) - (ends[1:] - kept)[row]  # below 0: cut off
    inside = place >= 0
    last_rows, places = rows[inside], (row * width + place)[inside]

    def padded(column: np.ndarray, dtype: type) -> Tensor:
        out: np.ndarray = np.zeros((len(users) * width, *column.shape[1:]), dtype)
        out[places] = column[last_rows]
        return torch.from_numpy(out.reshape(len(users), width, *column.shape[1:]))

    return Query(
        item=padded(past.item, np.int64),
        kind=padded(past.kind, np.int64),
        length=torch.from_numpy(kept.astype(np.int64)),
        user=torch.from_numpy(users.copy() if known else np.full_like(users, UNKNOWN_USER)),
        as_of=torch.from_numpy(_fingerprints(past, rows, ends)),
        value=None if past.value is None else padded(past.value, np.float32),
        time=None if past.time is None else padded(past.time, np.float64),
        words=None if past.words is None else padded(past.words, np.int64),
        now=None if now is None else torch.from_numpy(now),
    )


def fingerprints(past: Interactions, rule: Rule | None = None) -> Int64[np.ndarray, " U"]:
    """By user: a number that changes when (item, kind) is added or lost; 0 = no history. rule: of
    the events that it counts, None = of all."""
    blocks = (block if rule is None else block.counting(rule) for block in past.blocks())
    return np.concatenate([_fingerprints(b, np.arange(len(b)), b.offsets) for b in blocks])


def _fingerprints(
    past: Interactions, rows: np.ndarray, ends: np.ndarray
) -> Int64[np.ndarray, " B"]:
    # splitmix64 of (item, kind), summed: appending an event is one addition, and the order of
    # equal times does not matter. uint64 wraps round, so differences of sums stay exact.
    x = past.item[rows].astype(np.uint64) * np.uint64(256) + past.kind[rows].astype(np.uint64)
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(x, dtype=np.uint64)])
    sums: np.ndarray = total[ends[1:]] - total[ends[:-1]]
    return sums.view(np.int64)
