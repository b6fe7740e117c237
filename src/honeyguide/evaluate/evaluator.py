"""The whole catalogue ranked for every user who is asked, in blocks that fit a stated memory.

One evaluator measures any Ranker. Values are kept per user, so that intervals and paired tests
need no second run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from honeyguide.data.interactions import Interactions, take_rows
from honeyguide.data.query import query
from honeyguide.data.rule import Rule
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.beyond import OF_LISTS, OVERALL, shares
from honeyguide.evaluate.metrics import PER_USER, metric
from honeyguide.evaluate.statistics import Summary, summaries
from honeyguide.rank.rankers import Exhaustive
from honeyguide.types import Ranker

MEMORY = 512 << 20
DEFAULT_METRICS = ("ndcg@10", "recall@10", "hit_rate@10", "mrr@10", "coverage@10")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Values of each metric by user. users: their numbers. answered_by: how many answers rest on
    what. metrics over all lists (coverage) stand in `overall`."""

    users: Int64[np.ndarray, " B"]
    per_user: dict[str, Float64[np.ndarray, " B"]]
    overall: dict[str, float]
    answered_by: dict[str, int]
    seconds: float

    def summaries(self) -> dict[str, Summary]:
        """Every metric with its interval."""
        told = summaries(self.per_user) if self.per_user else {}
        return told | {name: Summary(value, None, None) for name, value in self.overall.items()}

    def __getitem__(self, name: str) -> float:
        """The mean of a metric."""
        if name in self.overall:
            return self.overall[name]
        return float(self.per_user[name].mean())


def evaluate(
    ranker: Ranker,
    holdout: Holdout,
    *,
    rule: Rule,
    past: int | None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    exclude_seen: bool = True,
    memory: int = MEMORY,
    device: torch.device | None = None,
) -> Evaluation:
    """Ask `ranker` for every user of the holdout and compare with what they did next.

    rule, past: what the questions hold (a model's spec says both). memory: bytes that scores and
    questions of one block may take above the model. Raises CallError for unknown metrics,
    InputError where nobody can be asked.
    """
    started = perf_counter()
    wanted = [metric(name) for name in metrics]
    if not wanted:
        raise CallError("No metric was asked for.", f"Name some, like {DEFAULT_METRICS[0]}.")
    if not len(holdout.users):
        raise InputError(
            "No user has both a history and something to find.",
            "Give more data, or choose another --split.",
        )
    depth = max(m.k for m in wanted)
    history = holdout.history.counting(rule)
    seen = holdout.history.seen() if exclude_seen else None
    truth = _Truth(holdout.truth)
    hits = np.zeros((len(holdout.users), depth), dtype=bool)
    of_lists = {m: np.zeros(len(holdout.users)) for m in wanted if m.name in OF_LISTS}
    share = shares(holdout.history) if of_lists else np.zeros(0)
    catalogue = holdout.history.n_items
    exposure = {m.k: np.zeros(catalogue, np.int64) for m in wanted if m.name in OVERALL}
    rests_on: Counter[str] = Counter()
    for block in _blocks(history, seen, holdout.users, past, depth, memory):
        users = holdout.users[block]
        now = None if holdout.now is None else holdout.now[users]
        asked = query(history, users, history=past, now=now)
        exclude = None if seen is None else padded_items(seen, users)
        if device is not None:
            asked = asked.to(device)
            exclude = None if exclude is None else exclude.to(device)
        items = ranker.rank(asked, depth, exclude=exclude).items.cpu().numpy()
        hits[block] = truth.hits(users, items)
        for m, values in of_lists.items():
            values[block] = OF_LISTS[m.name](items[:, : m.k], share)
        for k, counts in exposure.items():
            counts += np.bincount(items[:, :k].ravel(), minlength=catalogue)
        if isinstance(ranker, Exhaustive):
            rests_on.update(ranker.answered_by(asked))
    sizes = truth.lengths[holdout.users]
    of_hits = {str(m): PER_USER[m.name](hits, sizes, m.k) for m in wanted if m.name in PER_USER}
    return Evaluation(
        users=holdout.users,
        per_user=of_hits | {str(m): values for m, values in of_lists.items()},
        overall={
            str(m): OVERALL[m.name](exposure[m.k][PAD + 1 :]) for m in wanted if m.name in OVERALL
        },
        answered_by=dict(rests_on),
        seconds=perf_counter() - started,
    )


def padded_items(events: Interactions, users: Int64[np.ndarray, " B"]) -> Int64[Tensor, "B E"]:
    """The items of these users' events, PAD behind."""
    rows, ends = take_rows(events.offsets, users)
    lengths = np.diff(ends)
    width = max(int(lengths.max(initial=0)), 1)
    out = np.zeros(len(users) * width, dtype=np.int64)
    shift = np.arange(len(users)) * width - ends[:-1]
    out[np.arange(len(rows)) + np.repeat(shift, lengths)] = events.item[rows]
    return torch.from_numpy(out.reshape(len(users), width))


class _Truth:
    """Membership of (user, item) in the truth, by one sorted array of keys."""

    def __init__(self, truth: Interactions) -> None:
        self.width = truth.n_items
        self.keys = np.sort(truth.user.astype(np.int64) * self.width + truth.item)
        self.lengths = truth.lengths

    def hits(
        self, users: Int64[np.ndarray, " B"], items: Int64[np.ndarray, "B K"]
    ) -> Bool[np.ndarray, "B K"]:
        keys = users[:, None] * self.width + items
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        found: Bool[np.ndarray, "B K"] = (self.keys[place] == keys) & (items > 0)
        return found


def _blocks(
    history: Interactions,
    seen: Interactions | None,
    users: Int64[np.ndarray, " B"],
    past: int | None,
    depth: int,
    memory: int,
) -> Iterator[Int64[np.ndarray, " M"]]:
    """Places of users, those with like history together so that padding is little."""
    lengths = history.lengths[users]
    if past is not None:
        lengths = np.minimum(lengths, past)
    # columns of the question and what pairs() makes of them, about 12 words an event; scores,
    # two workings of the same size, and gaps that the allocator leaves between them (without a
    # fourth share, folding in users over 50,000 items took between 85 and 127 MiB of an allowed
    # 64; with it, 58 to 67); the excluded
    row_bytes = 96 * lengths + 16 * history.n_items + 16 * depth
    if seen is not None:
        row_bytes = row_bytes + 32 * seen.lengths[users]
    order = np.argsort(row_bytes, kind="stable")
    start = 0
    while start < len(order):
        cost = row_bytes[order[start:]] * np.arange(1, len(order) - start + 1)
        many = max(1, int(np.searchsorted(cost, memory, side="right")))
        yield order[start : start + many]
        start += many
