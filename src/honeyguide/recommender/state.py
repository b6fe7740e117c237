"""All that a fitted recommender holds, and how it lies on disk. A change is a new value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from honeyguide.bundle import Contents
from honeyguide.bundle import load as load_bundle
from honeyguide.bundle import save as save_bundle
from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.read import FrameKind
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import Vocab
from honeyguide.errors import BundleError, HoneyguideError
from honeyguide.models.popular import Popular, PopularModel
from honeyguide.models.spec import Model, Schema
from honeyguide.models.table import MODELS

HISTORY = ("item", "kind", "value", "time", "session")


@dataclass(frozen=True, slots=True, eq=False)
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
        popular.weight = tensors.pop("popular.weight")
        model.load_state_dict(tensors)
        model.eval().requires_grad_(False)
        items = _features(contents.tables["items"], "item_id", first=1)
        users = _features(contents.tables["users"], "user_id", first=0)
        histories = _histories(contents, users.vocab, items.vocab)
        frame = contents.documents["about"]["frame"]
    except (KeyError, RuntimeError, HoneyguideError) as error:
        raise BundleError(
            f"The bundle is whole but does not fit together: {str(error).splitlines()[0]}.",
            "Save it again with the version that made it, or train anew.",
        ) from None
    return State(model, popular, histories, items, users, frame, contents.documents["resolved"])


def _features(frame: pl.DataFrame, key: str, first: int) -> Features:
    return Features(Vocab(frame[key].slice(first), first), frame)


def _histories(contents: Contents, users: Vocab, items: Vocab) -> Interactions:
    table = contents.tables["histories"]
    user = table["user"].to_numpy().copy()
    found = {
        name: table[name].to_numpy().copy() if name in table.columns else None for name in HISTORY
    }
    counts = np.bincount(user, minlength=len(users))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = contents.documents["about"]["order"]
    return Interactions(users=users, items=items, offsets=offsets, user=user, order=order, **found)


def popular_among(events: Interactions) -> PopularModel:
    """The popular model of these events, for falling back."""
    model = PopularModel(Popular(), Schema(users=events.n_users, items=events.n_items))
    model.solve(TrainingData(events), seed=0)
    return model
