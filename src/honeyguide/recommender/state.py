"""All that a fitted recommender holds, and how it lies on disk. A change is a new value."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int32

from honeyguide.bundle import Contents
from honeyguide.bundle import load as load_bundle
from honeyguide.bundle import save as save_bundle
from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import BY_NUMBER, KINDS
from honeyguide.data.read import FrameKind
from honeyguide.data.rule import Rule
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD, Vocab
from honeyguide.data.words import MOST, NUMBERS
from honeyguide.errors import BundleError, HoneyguideError
from honeyguide.evaluate.overlap import Sets
from honeyguide.explain.nearest import takers
from honeyguide.models.popular import Popular, PopularModel
from honeyguide.models.spec import Model, Schema, Vectors
from honeyguide.models.table import MODELS

HISTORY = ("item", "kind", "value", "time", "session", "words")


@dataclass(frozen=True, eq=False)
class State:
    """model: fitted, on the CPU; popular: who answers where it cannot. histories: all events of all
    users, numbered as in training; users and items that came later have numbers behind the model's.
    """

    model: Model
    popular: PopularModel
    histories: Interactions
    items: Features
    users: Features
    frame: FrameKind
    resolved: dict[str, Any]

    @property
    def scorable(self) -> int:
        """Item numbers from here on were added after training and have no score."""
        return self.model.schema.items

    @cached_property
    def takers(self) -> Sets:
        """By item: who took it. Made when the first explanation needs it."""
        return takers(self.histories, self.model.spec.rule)


def save_state(state: State, folder: Path) -> None:
    """Write a bundle; see honeyguide.bundle for what a crash leaves."""
    histories = state.histories
    columns: dict[str, Any] = {"user": histories.user}
    columns |= {n: c for n in HISTORY if (c := getattr(histories, n)) is not None}
    save_bundle(
        Contents(
            model=state.model.spec.name,
            settings=state.model.spec.model_dump(mode="json"),
            schema=state.model.schema.model_dump(mode="json"),
            tensors={**state.model.state_dict(), "popular.weight": state.popular.weight},
            tables={
                "items": state.items.frame,
                "users": state.users.frame,
                "histories": pl.DataFrame(columns),
            },
            documents={
                "about": {"order": histories.order, "frame": state.frame},
                "resolved": state.resolved,
            },
        ),
        folder,
    )


def kept(events: Interactions, rule: Rule) -> Interactions:
    """Of a log what histories are made of: what was seen and what else the model reads, in the
    columns of HISTORY. Words stay as numbers, and only where searches are read."""
    kinds = tuple(name for name, kind in KINDS.items() if kind.seen or name in rule.kinds)
    bare = replace(events, position=None, propensity=None, text=None, part=None)
    return bare.counting(Rule(kinds=kinds))


def load_state(folder: Path) -> State:
    """Read a bundle. Raises BundleError where it is not a recommender that this version can run."""
    contents = load_bundle(folder)
    if contents.model not in MODELS:
        raise BundleError(
            f"The bundle holds a model named {contents.model!r}, which is not known here.",
            f"Upgrade honeyguide; this version knows {', '.join(MODELS)}.",
        )
    try:
        spec = MODELS[contents.model](**contents.settings)
        model = spec.build(Schema(**contents.schema))
        tensors = dict(contents.tensors)
        popular = PopularModel(Popular(), model.schema)
        popular.load_state_dict({"weight": tensors.pop("popular.weight")})
        model.load_state_dict(tensors)
        items = _features(contents.tables["items"], "item_id", first=PAD + 1)
        users = _features(contents.tables["users"], "user_id", first=0)
        histories = _histories(contents, users.vocab, items.vocab)
        if "search" in spec.rule.kinds and histories.words is None:
            raise ValueError("the model reads searches and the histories hold no words")
        _refuse_short(model.schema, histories)
        frame, resolved = contents.documents["about"]["frame"], contents.documents["resolved"]
    except (
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        HoneyguideError,
        pl.exceptions.PolarsError,
    ) as error:
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise BundleError(
            f"The bundle is whole but does not fit together: {said}.",
            "Save it again with the version that made it, or train anew.",
        ) from None
    return State(settled(model), popular, histories, items, users, frame, resolved)


def _features(frame: pl.DataFrame, key: str, first: int) -> Features:
    return Features(Vocab(frame[key].slice(first), first), frame)


def _histories(contents: Contents, users: Vocab, items: Vocab) -> Interactions:
    table = contents.tables["histories"]
    user = _whole(table["user"], len(users), np.int32)
    if (np.diff(user) < 0).any():
        raise ValueError("the histories are not in the order of users")
    lengths = np.bincount(user, minlength=len(users))

    def column(name: str) -> Any:
        return table[name].to_numpy().copy() if name in table.columns else None

    return Interactions(
        users=users,
        items=items,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        user=user,
        item=_whole(table["item"], len(items), np.int32),
        kind=_whole(table["kind"], max(BY_NUMBER) + 1, np.int8),
        order=contents.documents["about"]["order"],
        value=column("value"),
        time=column("time"),
        session=column("session"),
        words=_words(table["words"]) if "words" in table.columns else None,
    )


def _whole(column: pl.Series, end: int, dtype: type) -> Any:
    """Numbers from 0 to below `end`; anything else would index what is not there."""
    if not column.dtype.is_integer() or not column.is_between(0, end - 1).all():
        raise ValueError(f"{column.name} of the histories holds what is no number of the bundle")
    return column.to_numpy().astype(dtype)


def _words(column: pl.Series) -> Int32[np.ndarray, "N W"]:
    if column.dtype != pl.Array(pl.Int32, MOST):
        raise ValueError(f"words of the histories are no rows of {MOST} numbers")
    words: Int32[np.ndarray, "N W"] = column.to_numpy().reshape(-1, MOST)
    if not ((words >= 0) & (words < NUMBERS)).all():
        raise ValueError("words of the histories hold what is no number of a word")
    return words.copy()


def _refuse_short(schema: Schema, histories: Interactions) -> None:
    if schema.users > histories.n_users or schema.items > histories.n_items:
        raise ValueError("the model knows more users or items than the bundle names")


def settled(model: Model) -> Model:
    """The model ready to answer, with tensors laid out as a bundle brings them back: another
    layout adds up in another order, and then the last digits of scores differ."""
    for owner in model.modules():
        for name, buffer in owner.named_buffers(recurse=False):
            setattr(owner, name, buffer.contiguous())
    model.eval().requires_grad_(False)
    if isinstance(model, Vectors):
        model.keep()
    return model


def popular_among(events: Interactions) -> PopularModel:
    """The popular model of these events, for falling back."""
    model = PopularModel(Popular(), Schema(users=events.n_users, items=events.n_items))
    model.solve(TrainingData(events), seed=0)
    return model
