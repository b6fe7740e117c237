"""The Recommender: from a table to an answer in one object. Names outside, numbers inside.

    rec = hg.Recommender(hg.SASRec(width=64)).fit(log)
    rec.recommend(["ann", "bob"])              two users
    rec.recommend([["milk", "bread"]])         one history of someone never met before

A user is a history: every answer is computed from the events at hand, and a trained row is used
only while the history is the one it was trained on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int64

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs, open_data
from honeyguide.data.read import frame_kind, like, read
from honeyguide.data.split import holdout, prepare
from honeyguide.data.training import TrainingData
from honeyguide.data.validation import sampled_holdout
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.evaluator import DEFAULT_METRICS, Evaluation, evaluate, padded_items
from honeyguide.models.spec import AnsweredBy, LearnedSpec, Schema, Spec
from honeyguide.models.table import spec_named
from honeyguide.rank.rankers import Exhaustive, Fallback
from honeyguide.recommender import near
from honeyguide.recommender.explanation import Explanation, as_frame, explained
from honeyguide.recommender.growth import counted, grown, under, with_events, with_items
from honeyguide.recommender.names import (
    Filter,
    allowed,
    as_list,
    candidates_asked,
    checked,
    column,
    kind_of_answer,
    ranked_frame,
)
from honeyguide.recommender.parts import write_parts
from honeyguide.recommender.question import Known, people_asked, question_of, scorable
from honeyguide.recommender.state import (
    State,
    kept,
    load_state,
    popular_among,
    save_state,
    settled,
)
from honeyguide.train.progress import Reporter
from honeyguide.train.trainer import Fitted, Training, build, fit
from honeyguide.types import Ranking

BLOCK = 4096  # most users answered at once by recommend_all
SCORES = 64 << 20  # most scores held at once by it


@dataclass(frozen=True, slots=True)
class Answer:
    """Lists by name, and how each came about.

    frame: user_id, item_id, score, rank. ranking: the same in numbers. fallback: which questions
    got what is popular, because their history says nothing (never an empty list). answered_by: what
    each other answer rests on. skipped: how many events of each history are of items that the model
    does not know.
    """

    frame: pl.DataFrame
    ranking: Ranking
    fallback: Bool[np.ndarray, " B"]
    answered_by: list[AnsweredBy]
    skipped: Int64[np.ndarray, " B"]


class Recommender:
    """A model with its names: fit it, ask it, measure it, save it."""

    def __init__(self, model: Spec | str, *, training: Training | None = None) -> None:
        """model: a Spec such as hg.EASE(l2=300), or its name. Raises UnknownName."""
        self.spec = spec_named(model)() if isinstance(model, str) else model
        self.training = training or Training()
        self.fitted: Fitted | None = None
        self.notes: tuple[str, ...] = ()
        self._state: State | None = None

    # ------------------------------------------------------------------ learning

    def fit(
        self,
        log: Any,
        *,
        items: Any = None,
        users: Any = None,
        inputs: Inputs | None = None,
        folder: Path | None = None,
        resume: bool = False,
        reporter: Reporter | None = None,
    ) -> "Recommender":
        """Learn from a data set's name, a file, a frame or a Table; returns itself.

        items, users: files or frames with one row each. inputs: columns, minimum rating and so on.
        Models trained by descent stop early on the last event (without an order: a random one) of
        a tenth of the users, which they do not learn from. All else is learned from, except a
        ready-made test part. What was guessed and left out stands in `notes` afterwards.
        folder, resume: where the run keeps its journal and checkpoint (see train.fit).
        """
        data = open_data(log, inputs)
        table = read(data.table, items=items, users=users)
        read_notes = len(table.notes)
        if "part" in table.events.columns:
            learned_from = table.events.filter(pl.col("part") != "test").drop("part")
            note = f"{len(table.events) - len(learned_from)} events of the test part left out"
            table = replace(table, events=learned_from, notes=(*table.notes, note))
        table = prepare(table, data.protocol)
        events = Interactions.of(table)
        item_features = Features.of(events.items, table.items, "item_id")
        user_features = Features.of(events.users, table.users, "user_id")
        learned, valid = events, None
        if isinstance(self.spec, LearnedSpec):
            learned, valid = sampled_holdout(events, self.training.seed)
        schema = Schema(users=events.n_users, items=events.n_items)
        model = build(self.spec, schema, self.training.seed)
        self.fitted = fit(
            model,
            TrainingData(learned, item_features, user_features),
            valid=valid,
            training=self.training,
            folder=folder,
            resume=resume,
            reporter=reporter,
        )
        self.notes = table.notes
        self._state = State(
            model=settled(model),
            popular=popular_among(events),
            histories=kept(events, self.spec.rule),
            items=item_features,
            users=user_features,
            frame=frame_kind(log),
            # no notes of reading: they may quote an id, and this goes into the bundle
            resolved={
                "data": data.name,
                "protocol": data.protocol.model_dump(mode="json"),
                "training": self.training.model_dump(mode="json"),
                "notes": list(table.notes[read_notes:]),
            },
        )
        return self

    # ------------------------------------------------------------------ asking

    def recommend(
        self,
        users_or_histories: Any,
        k: int = 10,
        *,
        candidates: Any = None,
        filter: Filter | None = None,
        exclude_seen: bool | None = None,
    ) -> Any:
        """The k best items of each user or history, as the kind of frame that asks, or else as the
        kind that `fit` was given.

        users_or_histories: ["a", "b"] are two users, [["a", "b"]] is one history of items; a
        frame gives its column user_id. candidates: rank only these (unknown ones come last with a
        null score), one list for all or one for each. filter: a polars expression over item
        columns, or {column: value or values}. exclude_seen: by default seen items are left out,
        unless candidates are given. Columns: user_id (for histories their number), item_id, score,
        rank from 1. Raises CallError, InputError (a history of unknown items only).
        """
        answer = self.answer(
            users_or_histories, k, candidates=candidates, filter=filter, exclude_seen=exclude_seen
        )
        return like(answer.frame, kind_of_answer(users_or_histories, self.state.frame))

    def answer(
        self,
        users_or_histories: Any,
        k: int = 10,
        *,
        candidates: Any = None,
        filter: Filter | None = None,
        exclude_seen: bool | None = None,
    ) -> Answer:
        """Like `recommend`, and says how each answer came about."""
        state, asked = self.state, as_list(users_or_histories)
        self._check_k(k, state.scorable - 1, "items")
        people = people_asked(state, asked)
        question = question_of(state, people)
        given = None
        if candidates is not None:
            given = candidates_asked(candidates, state.items.vocab, len(asked), state.scorable)
        if exclude_seen is None:
            exclude_seen = candidates is None
        exclude = None
        if exclude_seen:
            exclude = padded_items(scorable(state, people.past).seen(), np.arange(len(asked)))
        allow = None if filter is None else allowed(filter, state.items, state.scorable)
        first = Exhaustive(state.model)
        ranker = Fallback(first, Exhaustive(state.popular), state.scorable)
        with torch.inference_mode():
            ranking = ranker.rank(
                question,
                k,
                candidates=None if given is None else given.numbers,
                allow=allow,
                exclude=exclude,
            )
            rests_on = list(first.answered_by(question))
        unknown, fallback = None if given is None else given.unknown, ranking.fallback
        return Answer(
            frame=ranked_frame(ranking, people.names, state.items.vocab, unknown, k),
            ranking=ranking,
            fallback=np.zeros(len(asked), bool) if fallback is None else fallback.numpy(),
            answered_by=rests_on,
            skipped=people.skipped,
        )

    def score(self, users: Any, items: Any) -> Any:
        """The score of each pair users[i], items[i]; null where the item is unknown to the model,
        and where no history says anything.

        users: user ids, or histories; items: item ids; or a frame each, with user_id and item_id.
        Columns: user_id, item_id, score.
        """
        state, asked = self.state, as_list(users)
        wanted = checked(as_list(items, "item_id"), "an item")
        if len(asked) != len(wanted):
            raise CallError(
                f"{len(asked)} users were given for {len(wanted)} items.",
                "Give one item for each user.",
            )
        people = people_asked(state, asked)
        question = question_of(state, people)
        numbers = torch.from_numpy(state.items.vocab.numbers(wanted))
        numbers = numbers.masked_fill(numbers >= state.scorable, 0)
        with torch.inference_mode():
            scores = state.model.score_few(question, numbers[:, None])[:, 0]
        silent = (numbers == 0) | (question.length == 0)
        frame = pl.DataFrame(
            {
                "user_id": people.names,
                "item_id": column(wanted, "items"),
                "score": pl.Series(scores.numpy()).set(pl.Series(silent.numpy()), None),
            }
        )
        return like(frame, kind_of_answer(users, state.frame))

    def similar(self, items: Any, k: int = 10, by: str | None = None) -> Any:
        """The k items most like each, or fewer, never the item itself. by: cosine, dot or euclid
        (the score is then minus the distance) of item vectors, or, for a model that has none, of
        who took them. None: cosine, or, without vectors, the model's answer to a history of that
        one item, where this is above 0. Columns: item_id, similar_id, score, rank."""
        state, wanted = self.state, checked(as_list(items, "item_id"), "an item")
        self._check_k(k, state.scorable - 2, "other items")
        numbers = state.items.vocab.numbers(wanted)
        bad = np.flatnonzero((numbers == 0) | (numbers >= state.scorable))
        if len(bad):
            raise InputError(
                f"{len(bad)} of these items are unknown to the model: {wanted[bad[0]]!r}.",
                "Check the ids, or train again with them.",
            )
        frame = near.items(state, numbers, column(wanted, "items"), k, near.by_named(by))
        return like(frame, kind_of_answer(items, state.frame))

    def similar_users(self, users: Any, k: int = 10, by: str = "cosine") -> Any:
        """The k users most like each, or fewer, never the user. by: cosine, dot or euclid of query
        vectors, or, for a model that has none, of what they took. Columns: user_id, similar_id,
        score, rank."""
        state, wanted = self.state, checked(as_list(users), "a user")
        numbers = state.users.vocab.numbers(wanted)
        if (numbers < 0).any():
            bad = wanted[int(np.flatnonzero(numbers < 0)[0])]
            raise InputError(f"User {bad!r} is unknown.", "Check the id.")
        self._check_k(k, state.histories.n_users - 1, "other users")
        blocks = (question_of(state, people_asked(state, block)) for block in self._everyone())
        frame = near.users(state, blocks, numbers, column(wanted, "users"), k, near.by_named(by))
        return like(frame, kind_of_answer(users, state.frame))

    def recommend_all(self, path: str | Path, k: int = 10) -> None:
        """The lists of all users as Parquet files in a new folder, a block of users at a time.

        The folder appears when all is written. Raises CallError where it stands already,
        HoneyguideError where the disk refuses.
        """
        self._check_k(k, self.state.scorable - 1, "items")
        write_parts((self.answer(block, k).frame for block in self._everyone()), Path(path))

    def explain(self, users_or_histories: Any, items: Any = None, k: int = 1, most: int = 5) -> Any:
        """Why: at most so many items of the history that carry each of the k best, or each of
        `items` (one list for all, or one for each). Columns: see explanation.as_frame."""
        told = self.explanations(users_or_histories, items, k, most)
        frame = as_frame(told, self.state.items.vocab.names)
        return like(frame, kind_of_answer(users_or_histories, self.state.frame))

    def explanations(
        self, users_or_histories: Any, items: Any = None, k: int = 1, most: int = 5
    ) -> list[Explanation]:
        """Like `explain`, with the evidence and in words."""
        asked, answer = as_list(users_or_histories), self.answer(users_or_histories, k)
        return explained(self.state, asked, answer.ranking, answer.answered_by, items, most)

    # ------------------------------------------------------------------ measuring, keeping up

    def evaluate(
        self, log: Any, metrics: Sequence[str] = DEFAULT_METRICS, *, exclude_seen: bool = True
    ) -> Evaluation:
        """Measure against what users did after training: events in any form that `fit` takes.

        Whoever has no history or nothing new in `log` is left out, and so are ratings below the
        minimum that `fit` was given. Raises InputError where nobody is left.
        """
        state = self.state
        table = counted(state, log)
        users = grown(state.users.vocab, table.events["user_id"])
        items = grown(state.items.vocab, table.events["item_id"].drop_nulls())
        before = under(state.histories, users, items)
        known = replace(items, names=items.names.head(state.scorable - 1))
        return evaluate(
            Known(state.model),
            holdout(
                replace(scorable(state, before), items=known),
                Interactions.of(table, users=users, items=items),
                None,
                before=before,
            ),
            rule=self.spec.rule,
            past=self.spec.past,
            metrics=metrics,
            exclude_seen=exclude_seen,
        )

    def update(self, events: Any) -> "Recommender":
        """Add events to the histories; the next answer knows them. Weights stay as they are.

        Events earlier than a user's last are inserted at their place. New users are served from
        their events; new items are remembered but have no score. Raises InputError.
        """
        self._state = with_events(self.state, events)
        return self

    def add_items(self, frame: Any) -> Any:
        """Tell of new items (item_id and columns). Returns item_id and whether it can be scored:
        a model that learned from ids alone cannot score what it never saw."""
        self._state, names = with_items(self.state, frame)
        numbers = self._state.items.vocab.numbers(names)
        told = pl.DataFrame({"item_id": names, "scorable": numbers < self._state.scorable})
        return like(told, kind_of_answer(frame, self._state.frame))

    def save(self, folder: str | Path) -> Path:
        """Write a bundle: all or nothing, no pickle. Raises BundleError."""
        save_state(self.state, Path(folder))
        return Path(folder)

    # ------------------------------------------------------------------ inside

    @property
    def state(self) -> State:
        """What was learned. Raises CallError before `fit`."""
        if self._state is None:
            raise CallError("This recommender has learned nothing yet.", "Call fit(log) first.")
        return self._state

    @staticmethod
    def of(state: State) -> "Recommender":
        """A recommender around what was learned elsewhere."""
        made = Recommender(state.model.spec)
        made._state = state
        return made

    @staticmethod
    def _check_k(k: int, most: int, what: str) -> None:
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            raise CallError(f"k = {k!r} is no whole number.", f"Ask for 1 to {most}.")
        if not 1 <= k <= most:
            raise CallError(f"k = {k}, but there are {most} {what}.", f"Ask for 1 to {most}.")

    def _everyone(self) -> Iterator[list[Any]]:
        """All users in blocks whose scores fit in memory."""
        names, size = self.state.users.vocab.names, min(BLOCK, 1 + SCORES // self.state.scorable)
        return (names[start : start + size].to_list() for start in range(0, len(names), size))


def load(folder: str | Path) -> Recommender:
    """A saved recommender. Raises BundleError with a reason if it cannot be trusted."""
    return Recommender.of(load_state(Path(folder)))
