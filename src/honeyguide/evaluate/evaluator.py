"""The whole catalogue ranked for every user who is asked, in blocks that fit a stated memory.

One evaluator measures any Ranker. Values are kept per user, so that intervals and paired tests
need no second run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions, take_rows
from honeyguide.data.query import query
from honeyguide.data.rule import Rule
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.auc import auc
from honeyguide.evaluate.beyond import NEEDS, OF_LISTS, OVERALL, Lists
from honeyguide.evaluate.flags import FLAGS, flags
from honeyguide.evaluate.knowledge import Knowledge
from honeyguide.evaluate.metrics import AUC, PER_USER, Metric, metric
from honeyguide.evaluate.statistics import Summary, summaries
from honeyguide.rank.rankers import Exhaustive
from honeyguide.rank.topk import top_k
from honeyguide.types import Ranker, Ranking

MEMORY = 512 << 20
DEFAULT_METRICS = ("ndcg@10", "recall@10", "hit_rate@10", "mrr@10", "coverage@10")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Values of each metric by user. users: their numbers. answered_by: how many answers rest on
    what. metrics over all lists (coverage) stand in `overall`. flags: how many lists are odd, by
    the names in flags.py."""

    users: Int64[np.ndarray, " B"]
    per_user: dict[str, Float64[np.ndarray, " B"]]
    overall: dict[str, float]
    answered_by: dict[str, int]
    seconds: float
    flags: dict[str, int] = field(default_factory=dict)

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
    items: Features | None = None,
    known: bool = True,
) -> Evaluation:
    """Ask `ranker` for every user of the holdout and compare with what they did next.

    rule, past: what the questions hold (a model's spec says both). memory: bytes that scores and
    questions of one block may take above the model. items: what is known of the items of the
    training catalogue, for the metrics that need it. known: whether users are numbered as in
    training; if not, they are strangers. Raises CallError for unknown metrics and those that cannot
    be computed here, InputError where nobody can be asked.
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
    history, seen = holdout.history.counting(rule), holdout.history.seen()
    barred = seen if exclude_seen else None
    tally = _Tally(wanted, holdout, Knowledge(holdout.history, barred, items))
    scorer = _scorer(ranker) if AUC in wanted else None
    for block in _blocks(history, barred, holdout.users, past, tally.depth, memory):
        users = holdout.users[block]
        now = None if holdout.now is None else holdout.now[users]
        asked = query(history, users, history=past, now=now, known=known)
        exclude = None if barred is None else padded_items(barred, users)
        if device is not None:
            asked = asked.to(device)
            exclude = None if exclude is None else exclude.to(device)
        deep = tally.depth + 1  # to see whether the cut falls between equal scores
        if scorer is None:
            tally.add(block, ranker.rank(asked, deep, exclude=exclude))
        else:
            scores = scorer.scores(asked, exclude=exclude)
            tally.add(block, top_k(scores, deep))
            tally.areas[block] = auc(scores.cpu().numpy(), users, holdout.truth, seen)
        if isinstance(ranker, Exhaustive):
            tally.rests_on.update(ranker.answered_by(asked))
    return tally.evaluation(perf_counter() - started)


def _scorer(ranker: Ranker) -> Exhaustive:
    if not isinstance(ranker, Exhaustive):
        raise CallError(
            "auc needs the scores of all items, and here are only lists.",
            "Leave auc out, or evaluate a model that scores the whole catalogue.",
        )
    return ranker


class _Tally:
    """What the lists of all blocks come to."""

    def __init__(self, wanted: Sequence[Metric], holdout: Holdout, known: Knowledge) -> None:
        for name in {m.name for m in wanted} & set(NEEDS):
            NEEDS[name](known)  # refuses before any work
        self.wanted, self.users, self.known = wanted, holdout.users, known
        self.truth = _Truth(holdout.truth)
        self.depth = max(1, *(m.k for m in wanted))
        many = len(holdout.users)
        self.hits = np.zeros((many, self.depth), dtype=bool)
        self.of_lists = {m: np.zeros(many) for m in wanted if m.name in OF_LISTS}
        catalogue = holdout.history.n_items
        self.exposure = {m.k: np.zeros(catalogue, np.int64) for m in wanted if m.name in OVERALL}
        self.areas = np.zeros(many)
        self.flags = dict.fromkeys(FLAGS, 0)
        self.rests_on: Counter[str] = Counter()

    def add(self, block: Int64[np.ndarray, " M"], ranking: Ranking) -> None:
        """The lists of the users at these places, one item deeper than the deepest cut."""
        users = self.users[block]
        for name, count in flags(ranking, self.depth).items():
            self.flags[name] += count
        items = ranking.items.cpu().numpy()[:, : self.depth]
        hits = self.truth.hits(users, items)
        self.hits[block] = hits
        for m, values in self.of_lists.items():
            lists = Lists(users, items[:, : m.k], hits[:, : m.k])
            values[block] = OF_LISTS[m.name](lists, self.known)
        for k, counts in self.exposure.items():
            counts += np.bincount(items[:, :k].ravel(), minlength=len(counts))

    def evaluation(self, seconds: float) -> Evaluation:
        """Everything asked for, by name."""
        sizes = self.truth.lengths[self.users]
        per_user = {
            str(m): PER_USER[m.name](self.hits, sizes, m.k)
            for m in self.wanted
            if m.name in PER_USER
        }
        per_user |= {str(m): values for m, values in self.of_lists.items()}
        if AUC in self.wanted:
            per_user[str(AUC)] = self.areas
        return Evaluation(
            users=self.users,
            per_user=per_user,
            overall={
                str(m): OVERALL[m.name](self.exposure[m.k][PAD + 1 :], self.known)
                for m in self.wanted
                if m.name in OVERALL
            },
            answered_by=dict(self.rests_on),
            seconds=seconds,
            flags=self.flags,
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
    event_bytes = 96 if history.words is None else 96 + 16 * history.words.shape[1]
    row_bytes = event_bytes * lengths + 16 * history.n_items + 16 * depth
    if seen is not None:
        row_bytes = row_bytes + 32 * seen.lengths[users]
    order = np.argsort(row_bytes, kind="stable")
    start = 0
    while start < len(order):
        cost = row_bytes[order[start:]] * np.arange(1, len(order) - start + 1)
        many = max(1, int(np.searchsorted(cost, memory, side="right")))
        yield order[start : start + many]
        start += many
