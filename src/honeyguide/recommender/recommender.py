"""The Recommender: from a table to an answer in one object. Names outside, numbers inside.

    rec = hg.Recommender(hg.SASRec(width=64)).fit(log)
    rec.recommend(["ann", "bob"])              two users
    rec.recommend([["milk", "bread"]])         one history of someone never met before

A user is a history: every answer is computed from the events at hand, and a trained row is used only
while the history is the one it was trained on.
"""

from collections.abc import Sequence
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
from honeyguide.data.query import Query, query
from honeyguide.data.read import frame_kind, like, read
from honeyguide.data.split import holdout, prepare
from honeyguide.data.training import TrainingData
from honeyguide.data.validation import sampled_holdout
from honeyguide.data.vocab import UNKNOWN_USER, Vocab
from honeyguide.errors import CallError, InputError
from honeyguide.evaluate.evaluator import DEFAULT_METRICS, Evaluation, evaluate, padded_items
from honeyguide.models.spec import AnsweredBy, LearnedSpec, Schema, Spec
from honeyguide.models.table import spec_named
from honeyguide.rank.rankers import Exhaustive, Fallback
from honeyguide.recommender import near
from honeyguide.recommender.names import (
    Filter,
    allowed,
    as_list,
    candidate_numbers,
    histories_asked,
    is_histories,
    ranked_frame,
)
from honeyguide.recommender.state import State, load_state, popular_among, save_state
from honeyguide.train.progress import Reporter
from honeyguide.train.trainer import Fitted, Training, build, fit
from honeyguide.types import Ranking

BLOCK = 4096  # users answered at once by recommend_all


@dataclass(frozen=True, slots=True)
class Answer:
    """Lists by name, and how each came about.

    frame: user_id, item_id, score, rank. fallback: which questions got what is popular, because
    their history says nothing. answered_by: what each other answer rests on.
    """

    frame: pl.DataFrame
    ranking: Ranking
    fallback: Bool[np.ndarray, " B"]
    answered_by: list[AnsweredBy]


@dataclass(frozen=True, slots=True)
class _Asked:
    """B people: their events (numbered 0 to B - 1), their trained rows or -1, and their names."""

    past: Interactions
    trained: Int64[np.ndarray, " B"]
    names: pl.Series


class Recommender:
    """A model with its names: fit it, ask it, measure it, save it."""

    def __init__(self, model: Spec | str, *, training: Training | None = None) -> None:
        """model: a Spec such as hg.EASE(l2=300), or its name. Raises UnknownName."""
        self.spec = spec_named(model)() if isinstance(model, str) else model
        self.training = training or Training()
        self.fitted: Fitted | None = None
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

        Models trained by descent stop early on the last event (without an order: a random one) of
        a tenth of the users, which they do not learn from. All else is learned from.
        folder, resume: where the run keeps its journal and checkpoint (see train.fit).
        """
        kind = frame_kind(log)
        data = open_data(log, inputs)
        if items is not None or users is not None:
            table = read(data.table, items=items, users=users)
        else:
            table = data.table
        table = prepare(table, data.protocol)
        events = Interactions.of(table)
        item_features = Features.of(events.items, table.items, "item_id")
        user_features = Features.of(events.users, table.users, "user_id")
        learned, valid = events, None
        if isinstance(self.spec, LearnedSpec):
            learned, valid = sampled_holdout(events, self.training.seed)
        model = build(
            self.spec, Schema(users=events.n_users, items=events.n_items), self.training.seed
        )
        self.fitted = fit(
            model,
            TrainingData(learned, item_features, user_features),
            valid=valid,
            training=self.training,
            folder=folder,
            resume=resume,
            reporter=reporter,
        )
        model.requires_grad_(False)
        resolved = {
            "data": data.name,
            "protocol": data.protocol.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "notes": list(table.notes),
        }
        self._state = State(
            model=model,
            histories=events.seen(),
            items=item_features,
            users=user_features,
            popular=popular_among(events),
            frame=kind,
            resolved=resolved,
        )
        return self

    # ------------------------------------------------------------------ asking

    def recommend(
        self,
        users_or_histories: Any,
        k: int = 10,
        *,
        candidates: Sequence[Any] | None = None,
        filter: Filter | None = None,
        exclude_seen: bool | None = None,
    ) -> Any:
        """The k best items of each user or history, as the kind of frame that `fit` was given.

        users_or_histories: ["a", "b"] are two users, [["a", "b"]] is one history of items; a
        frame gives its column user_id. candidates: rank only these (unknown ones come last with a
        null score). filter: a polars expression over item columns, or {column: value or values}.
        exclude_seen: by default seen items are left out, unless candidates are given.
        Columns: user_id (for histories their number), item_id, score, rank from 1.
        Raises CallError, InputError.
        """
        answer = self.answer(
            users_or_histories, k, candidates=candidates, filter=filter, exclude_seen=exclude_seen
        )
        return like(answer.frame, self.state.frame)

    def answer(
        self,
        users_or_histories: Any,
        k: int = 10,
        *,
        candidates: Sequence[Any] | None = None,
        filter: Filter | None = None,
        exclude_seen: bool | None = None,
    ) -> Answer:
        """Like `recommend`, and says how each answer came about."""
        state, asked = self.state, as_list(users_or_histories)
        self._check_k(k, state.scorable - 1, "items")
        people = self._asked(asked)
        question = self._question(people)
        numbers = unknown = None
        if candidates is not None:
            numbers, unknown = candidate_numbers(
                candidates, state.items.vocab, len(asked), state.scorable
            )
        if exclude_seen is None:
            exclude_seen = candidates is None
        exclude = None
        if exclude_seen:
            exclude = padded_items(people.past, np.arange(len(asked)))
            exclude = exclude.masked_fill(exclude >= state.scorable, 0)
        allow = None if filter is None else allowed(filter, state.items, state.scorable)
        first = Exhaustive(state.model)
        ranker = Fallback(first, Exhaustive(state.popular), state.scorable)
        with torch.inference_mode():
            ranking = ranker.rank(question, k, candidates=numbers, allow=allow, exclude=exclude)
            rests_on = list(first.answered_by(question))
        fallback = ranking.fallback
        return Answer(
            frame=ranked_frame(ranking, people.names, state.items.vocab, unknown, k),
            ranking=ranking,
            fallback=np.zeros(len(asked), bool) if fallback is None else fallback.numpy(),
            answered_by=rests_on,
        )

    def score(self, users: Any, items: Any) -> Any:
        """The score of each pair users[i], items[i]; null where the item is unknown.

        users: user ids, or histories. Columns: user_id, item_id, score.
        """
        state, asked, wanted = self.state, as_list(users), as_list(items)
        if len(asked) != len(wanted):
            raise CallError(
                f"{len(asked)} users were given for {len(wanted)} items.",
                "Give one item for each user.",
            )
        people = self._asked(asked)
        question = self._question(people)
        numbers = torch.from_numpy(state.items.vocab.numbers(wanted))
        numbers = numbers.masked_fill(numbers >= state.scorable, 0)
        with torch.inference_mode():
            scores = state.model.score_few(question, numbers[:, None])[:, 0]
        values = pl.Series(scores.numpy(), dtype=pl.Float32)
        frame = pl.DataFrame(
            {
                "user_id": people.names,
                "item_id": pl.Series(wanted),
                "score": pl.select(
                    pl.when(pl.Series((numbers > 0).numpy())).then(values)
                ).to_series(),
            }
        )
        return like(frame, state.frame)

    def similar(self, items: Any, k: int = 10) -> Any:
        """The k items most like each: cosine of item vectors, or, for a model that has none, the
        answer to a history of that one item. Columns: item_id, similar_id, score, rank."""
        state, wanted = self.state, as_list(items)
        self._check_k(k, state.scorable - 2, "other items")
        numbers = state.items.vocab.numbers(wanted)
        bad = [n for n, i in zip(wanted, numbers, strict=True) if not 0 < i < state.scorable]
        if bad:
            raise InputError(
                f"{len(bad)} of these items are unknown to the model: {bad[0]!r}.",
                "Check the ids, or train again with them.",
            )
        return like(near.items(state, numbers, wanted, k), state.frame)

    def similar_users(self, users: Any, k: int = 10) -> Any:
        """The k users most like each: cosine of query vectors, or of histories for a model that
        has none. Columns: user_id, similar_id, score, rank."""
        state, wanted = self.state, as_list(users)
        numbers = state.users.vocab.numbers(wanted)
        if (numbers < 0).any():
            bad = wanted[int(np.flatnonzero(numbers < 0)[0])]
            raise InputError(f"User {bad!r} is unknown.", "Check the id.")
        self._check_k(k, state.histories.n_users - 1, "other users")
        blocks = (
            self._question(self._asked(state.users.vocab.names[start : start + BLOCK].to_list()))
            for start in range(0, state.histories.n_users, BLOCK)
        )
        return like(near.users(state, blocks, numbers, wanted, k), state.frame)

    def recommend_all(self, path: str | Path, k: int = 10) -> None:
        """The lists of all users as Parquet files in a new folder, a block of users at a time."""
        folder = Path(path)
        if folder.exists():
            raise CallError(f"{folder} exists.", "Name a folder that does not.")
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir(parents=True)
        names = self.state.users.vocab.names
        for number, start in enumerate(range(0, len(names), BLOCK)):
            frame = self.answer(names[start : start + BLOCK], k).frame
            frame.write_parquet(partial / f"part-{number:05}.parquet")
        partial.rename(folder)

    # ------------------------------------------------------------------ measuring, keeping up

    def evaluate(
        self, log: Any, metrics: Sequence[str] = DEFAULT_METRICS, *, exclude_seen: bool = True
    ) -> Evaluation:
        """Measure against what users did after training: events in any form that `fit` takes.

        Whoever has no history or nothing new in `log` is left out. Raises InputError.
        """
        state = self.state
        table = read(log)
        items = state.items.vocab.grow(table.events["item_id"].drop_nulls())
        users = state.users.vocab.grow(table.events["user_id"])
        after = Interactions.of(table, users=users, items=items)
        known = after.only(after.user < state.histories.n_users)
        known = replace(
            known, users=state.users.vocab, offsets=known.offsets[: state.histories.n_users + 1]
        )
        past = self._scorable(state.histories)
        return evaluate(
            Exhaustive(state.model),
            holdout(past, known, None),
            rule=self.spec.rule,
            past=self.spec.past,
            metrics=metrics,
            exclude_seen=exclude_seen,
        )

    def update(self, events: Any) -> "Recommender":
        """Append events to the histories; the next answer knows them. Weights stay as they are.

        New users are served from their events; new items are remembered but have no score.
        """
        state = self.state
        fresh = read(events).events
        old = state.histories.frame()
        both = pl.concat(
            [old, fresh.select(c for c in fresh.columns if c in old.columns)],
            how="diagonal_relaxed",
        )
        if "order" in both.columns:
            both = both.with_columns(pl.int_range(len(both), dtype=pl.Int64).alias("order"))
        users = state.users.vocab.grow(fresh["user_id"])
        items = state.items.vocab.grow(fresh["item_id"].drop_nulls())
        table = replace(read(events), events=both)
        histories = Interactions.of(table, users=users, items=items).seen()
        self._state = replace(
            state,
            histories=histories,
            users=_grown(state.users, users, "user_id"),
            items=_grown(state.items, items, "item_id"),
        )
        return self

    def add_items(self, frame: Any) -> pl.DataFrame:
        """Tell of new items (item_id and columns). Returns item_id and whether it can be scored:
        a model that learned from ids alone cannot score what it never saw."""
        state = self.state
        table = like(pl.DataFrame(frame) if isinstance(frame, dict) else frame, "polars")
        rows = pl.DataFrame(table) if not isinstance(table, pl.DataFrame) else table
        if "item_id" not in rows.columns:
            raise CallError("The frame has no column item_id.", "Name its items item_id.")
        items = state.items.vocab.grow(rows["item_id"])
        known = state.items.frame
        fresh = rows.with_columns(pl.col("item_id").cast(known["item_id"].dtype, strict=False))
        fresh = fresh.filter(~pl.col("item_id").is_in(known["item_id"].drop_nulls().implode()))
        fresh = fresh.select(c for c in fresh.columns if c in known.columns)
        frame_ = pl.concat([known, fresh], how="diagonal_relaxed")
        self._state = replace(
            state,
            items=Features(items, frame_),
            histories=replace(state.histories, items=items),
        )
        numbers = items.numbers(rows["item_id"])
        return pl.DataFrame({"item_id": rows["item_id"], "scorable": numbers < state.scorable})

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
        if not 1 <= k <= most:
            raise CallError(f"k = {k}, but there are {most} {what}.", f"Ask for 1 to {most}.")

    def _asked(self, asked: list[Any]) -> _Asked:
        state = self.state
        if is_histories(asked):
            past = histories_asked(asked, state.items.vocab)
            trained = np.full(len(asked), UNKNOWN_USER)
            return _Asked(past, trained, past.users.names)
        rows = state.users.vocab.numbers(asked)
        # a user nobody knows gets an empty row behind all others
        past = state.histories
        past = replace(past, offsets=np.append(past.offsets, past.offsets[-1]))
        past = past.of_users(np.where(rows < 0, state.histories.n_users, rows))
        trained = np.where(rows < state.model.schema.users, rows, UNKNOWN_USER)
        return _Asked(past, trained, pl.Series(asked))

    def _question(self, asked: _Asked) -> Query:
        """The same Query that training and evaluation build."""
        counted = self._scorable(asked.past).counting(self.spec.rule)
        question = query(counted, np.arange(len(asked.trained)), history=self.spec.past)
        return replace(question, user=torch.from_numpy(asked.trained))

    def _scorable(self, past: Interactions) -> Interactions:
        """Events of items that the model knows."""
        return past.only(past.item < self.state.scorable)


def load(folder: str | Path) -> Recommender:
    """A saved recommender. Raises BundleError with a reason if it cannot be trusted."""
    return Recommender.of(load_state(Path(folder)))


def _grown(features: Features, vocab: Vocab, key: str) -> Features:
    return Features.of(vocab, features.frame.filter(pl.col(key).is_not_null()), key)
