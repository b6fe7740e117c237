"""Why an item is recommended, by name: what carries it, what it is like, in words and as a frame.

Special: everything is told of the history at hand, asked as a stranger's. Where the answer came
from a trained row of the user, that is said, for the row itself cannot be asked "and without this
event?".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64
from torch import Tensor

from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError
from honeyguide.explain.effects import Effects, effects
from honeyguide.explain.nearest import likeness
from honeyguide.explain.values import Carried, carried
from honeyguide.models.spec import AnsweredBy
from honeyguide.recommender.names import candidates_asked
from honeyguide.recommender.question import people_asked, scorable
from honeyguide.recommender.state import State
from honeyguide.types import Ranking


@dataclass(frozen=True, slots=True)
class Reason:
    """An item of the history that carries an answer.

    effect: how far the score falls without it, in the model's own scores. lead: how far the lead
    over the ten next items falls. share: its part of the lead of all that carry. rank_without: None
    where nothing is left to rank by. likeness: a cosine, see explain.nearest.
    """

    item: Any
    title: str | None
    effect: float
    lead: float
    share: float
    rank_without: int | None
    likeness: float


@dataclass(frozen=True, slots=True)
class Like:
    """An item of the history that is like the explained one."""

    item: Any
    title: str | None
    likeness: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item, for one user or history (which is named by its number).

    rank, score: of the item for this history, among what is not in it; None where the history says
    nothing. because: what carries it, the most needed first. nearest: what it is most like.
    features: which values of item columns the weight is on. notes: what limits all this.
    """

    user: Any
    item: Any
    title: str | None
    score: float | None
    rank: int | None
    because: tuple[Reason, ...]
    nearest: tuple[Like, ...]
    features: tuple[Carried, ...]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """The reasons and the notes in words."""
        return [*(self._without(reason) for reason in self.because), *self.notes]

    def document(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        told = {key: value for key, value in asdict(self).items() if key != "user"}
        return {**told, "sentences": self.sentences}

    def _without(self, reason: Reason) -> str:
        lead = f"Without {reason.title or reason.item!r}"
        if reason.rank_without is None:
            return f"{lead} the history says nothing, and popular items would be shown."
        if reason.rank_without == self.rank:
            return f"{lead} it stays at {self.rank}."
        way = "falls" if reason.rank_without > (self.rank or 0) else "rises"
        return f"{lead} it {way} from {self.rank} to {reason.rank_without}."


def explained(
    state: State,
    asked: list[Any],
    answer: Ranking,
    rests_on: Sequence[AnsweredBy],
    items: Any,
    most: int,
) -> list[Explanation]:
    """Why each of `items` (a list for all, or one for each; None: those of the answer).

    answer, rests_on: what was recommended to those asked. most: reasons of each at most. Raises
    CallError, InputError where an item is unknown to the model.
    """
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
        raise CallError(f"most = {most!r} is no number of reasons.", "Ask for 1 or more.")
    wanted = answer.items if items is None else _known(state, items, len(asked))
    people = people_asked(state, asked)
    usable = scorable(state, people.past)
    counted = usable.counting(state.model.spec.rule)
    told: list[Explanation] = []
    for row, name in enumerate(people.names.to_list()):
        person = np.array([row])
        past, seen = counted.of_users(person), np.unique(usable.of_users(person).seen().item)
        targets = wanted[row][wanted[row] != PAD].numpy()
        found = effects(state.model, past, targets, seen.astype(np.int64))
        like = likeness(state.model, lambda: state.takers, targets, found.items)
        notes = _notes(int(people.skipped[row]), rests_on[row], found.left)
        for t, target in enumerate(targets.tolist()):
            known = (_SEEN,) if target in seen else ()
            told.append(_one(state, name, target, found, t, like[t], most, (*known, *notes)))
    return told


def _one(
    state: State,
    user: Any,
    target: int,
    found: Effects,
    t: int,
    like: Float32[np.ndarray, " L"],
    most: int,
    notes: tuple[str, ...],
) -> Explanation:
    """The explanation of target t of those that were asked for together."""
    rank = int(found.rank[t])
    carrying = found.carrying(t) if rank else np.zeros(0, np.int64)
    weight = np.zeros(len(found.items))
    weight[carrying] = found.lead_loss[t, carrying]
    share = weight / max(weight.sum(), 1e-30)
    nearest = np.argsort(-like, kind="stable")[:most]
    if not rank:
        notes = (_SILENT, *notes)
    elif not len(found.items):
        notes = (_SEARCHES, *notes)
    elif not len(carrying):
        notes = (_NONE_ALONE, *notes)
    names, titles = _named(state, np.append(target, found.items))
    return Explanation(
        user=user,
        item=names[0],
        title=titles[0],
        score=float(found.score[t]) if rank else None,
        rank=rank or None,
        because=tuple(
            Reason(
                item=names[1 + i],
                title=titles[1 + i],
                effect=float(found.loss[t, i]),
                lead=float(found.lead_loss[t, i]),
                share=float(share[i]),
                rank_without=int(found.rank_without[t, i]) or None,
                likeness=float(like[i]),
            )
            for i in carrying[:most].tolist()
        ),
        nearest=tuple(Like(names[1 + i], titles[1 + i], float(like[i])) for i in nearest.tolist()),
        features=tuple(carried(state.items.frame, found.items, weight, target, most)),
        notes=notes,
    )


def as_frame(told: Sequence[Explanation], names: pl.Series) -> pl.DataFrame:
    """A row for each reason: user_id, item_id, because_id, effect, lead, share, rank, rank_without,
    likeness. An item that nothing carries has one row, with null for the reason.

    names: of items, for their type.
    """
    rows: list[tuple[Any, ...]] = []
    for one in told:
        for r in one.because:
            measured = (r.effect, r.lead, r.share, one.rank, r.rank_without, r.likeness)
            rows.append((one.user, one.item, r.item, *measured))
        if not one.because:
            rows.append((one.user, one.item, None, None, None, None, one.rank, None, None))
    ids = {"item_id": names.dtype, "because_id": names.dtype}
    return pl.DataFrame(rows, {**_COLUMNS, **ids}, orient="row")


_COLUMNS: dict[str, Any] = {
    "user_id": None,
    "item_id": None,
    "because_id": None,
    "effect": pl.Float64,
    "lead": pl.Float64,
    "share": pl.Float64,
    "rank": pl.Int32,
    "rank_without": pl.Int32,
    "likeness": pl.Float64,
}
_SEEN = "It is in the history already, and is ranked with what is not."
_SILENT = "The history says nothing to this model, so what is popular is shown."
_SEARCHES = "The history holds searches only, and these are no reasons that could be left out."
_NONE_ALONE = "No item of the history carries it alone: without any of them it keeps its lead."


def _notes(skipped: int, rests_on: AnsweredBy, left: int) -> tuple[str, ...]:
    """What is true of every item explained to one person."""
    said = []
    if rests_on == "trained-row":
        said.append(
            "Recommended from the trained row of this user; ranks and effects are those of the "
            "same history without the row."
        )
    if skipped:
        said.append(f"{skipped} events of the history are of items that the model does not know.")
    if left:
        said.append(f"The {left} items taken longest ago were not weighed.")
    return tuple(said)


def _named(state: State, numbers: Int64[np.ndarray, " N"]) -> tuple[list[Any], list[str | None]]:
    """Ids and titles."""
    titles = state.items.titles
    known = [None] * len(numbers) if titles is None else titles[numbers].cast(pl.String).to_list()
    return state.items.vocab.of(numbers).to_list(), known


def _known(state: State, items: Any, rows: int) -> Int64[Tensor, "B C"]:
    """The numbers of the items asked about, PAD behind."""
    given = candidates_asked(items, state.items.vocab, rows, state.scorable)
    unknown = [name for names in given.unknown for name in names]
    if unknown:
        raise InputError(
            f"{len(set(unknown))} of these items are unknown to the model: {unknown[0]!r}.",
            "Check the ids, or train again with them.",
        )
    return given.numbers
