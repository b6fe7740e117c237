"""What every model is: a Spec that says what it needs, and a Model that learns and answers.

A Spec is a frozen set of hyper-parameters beside its model; the trainer, the evaluator and the
contract tests follow what it declares and never a name. A Model LEARNS one way (Solved in closed
form, or Learned by descent) and ANSWERS with scores, by vectors where it can. Letters: B queries,
I items with PAD, C candidates, D width.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from pydantic import Field
from torch import Tensor, nn

from honeyguide.config import Choice, Config, Range, Space
from honeyguide.data.batch import Asked, Batch, Unit
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.rule import Rule
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError
from honeyguide.nn.memory import zeros_in_large_pages
from honeyguide.types import NEVER

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Similarity = Literal["dot", "cosine"]

DEVIATION = 0.1  # of the numbers that vectors start from
AnsweredBy = Literal["trained-row", "fold-in", "history"]


CURES = {  # for data that lack what a model needs
    "order": "Name a column with --time or --order (--order file if the rows stand in order).",
    "time": "Name a column with --time.",
    "words": "Name the column of what was typed, Columns(text=...) in Python or text in the table, "
    "and that of kinds, where it says search, with --kind.",
    "value": "Name the column of ratings with --rating, or choose a model of what is taken (mf, "
    "ease).",
}


class Schema(Config):
    """The sizes a model is built for; stands in its bundle."""

    users: int
    """U: number of trained user rows."""
    items: int
    """I: number of item numbers, PAD counted."""


class Spec(Config, ABC):
    """A model's name, needs and hyper-parameters."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    """What the data must have: "order", "time" or "value"."""
    causal: ClassVar[bool] = False
    """Whether states stand at every position and no later event changes an earlier one."""
    rule: ClassVar[Rule] = Rule()
    """Which events count. A spec whose settings decide it makes it a property."""
    within_items: ClassVar[tuple[str, ...]] = ()
    """Settings that say nothing more once they exceed the number of items (ranks of a matrix)."""
    proven: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Settings that did well on other data than the defaults: tuning tries them second."""

    @property
    def past(self) -> int | None:
        """How many of the last events a question holds; None = all."""
        return None

    def refuse(self, log: Interactions) -> None:
        """Raise CallError where the data lack what the model needs."""
        for need in sorted(self.needs):
            column = getattr(log, need)
            if column is None or (need == "value" and bool(np.isnan(column).all())):
                raise CallError(f"{self.name} needs {need}, and the table has none.", CURES[need])

    def searched(self, log: Interactions) -> dict[str, Space]:
        """Where tuning looks on this log, from the fields; a spec whose settings depend on each
        other, or on what the log holds, narrows it. Every point of it makes a valid spec."""
        found = self.spaces()
        for name in self.within_items:
            space = found.get(name)
            if isinstance(space, Choice):
                values = tuple(v for v in space.values if v < log.n_items)
                found[name] = Choice(values)
                if len(values) < 2:
                    del found[name]
        return found

    def refuse_sizes(self, schema: "Schema") -> None:
        """Raise CallError for a rank above the number of items; a default is let through."""
        for name in self.within_items:
            value, items = getattr(self, name), schema.items - 1
            if value > items and value != type(self).model_fields[name].default:
                raise CallError(
                    f"{self.name}: {name} {value} is more than the {items} items that there are.",
                    f"Set {self.name}.{name} to at most {items}.",
                )

    def standing(self) -> dict[str, Any]:
        """The present values of the settings that have a space."""
        return self.model_dump(include=set(self.spaces()))

    @abstractmethod
    def build(self, schema: Schema) -> "Model":
        """A model of these sizes, with fresh parameters."""


class LearnedSpec(Spec):
    """The words that every model trained by descent shares."""

    epochs: Count = 100
    """Most epochs; early stopping usually ends sooner."""
    patience: Count = 10
    """Stop after so many epochs without a better validation metric. Raise it on noisy data."""
    batch: Count = 1024
    """Examples per step: pairs, user rows or sequences, by the model's unit."""
    accumulate: Count = 1
    """Batches whose gradients are averaged before the weights move: as many times larger a batch
    in the memory of one. Losses that look at the batch itself (in-batch) still see one only."""
    learning_rate: Annotated[Positive, Range(2e-4, 5e-3, log=True)] = 1e-3
    """Step size of Adam. The first knob to tune."""
    weight_decay: Annotated[NotNegative, Range(0, 0.1)] = 0.0
    """Decoupled weight decay (AdamW). Raise it when training improves and validation does not."""
    average: Share = 0.0
    """Share of a running mean of the weights that each step keeps; the mean is then what is
    validated and kept (Polyak and Juditsky 1992). 0 = the weights themselves. Try .999 where the
    validation metric jumps from epoch to epoch."""

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """What one example is."""

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        """Negatives per example, whether the batch shares them, and how they are drawn."""
        return 0, False, "uniform"

    @property
    def divisible(self) -> bool:
        """Whether the loss is a mean over targets of which none looks at another example, and all
        that is drawn is dropout: parts of a batch may then be learned from side by side."""
        return False

    def asked(self) -> Asked:
        """The declaration that data.batch cuts examples by."""
        count, shared, sampling = self.drawn
        return Asked(self.unit, self.rule, self.past, count, shared, sampling)


class Model(nn.Module, ABC):
    """Mathematics only: no optimiser, device, path, k, nor what is seen."""

    def __init__(self, spec: Spec, schema: Schema) -> None:
        super().__init__()
        self.spec, self.schema = spec, schema

    @abstractmethod
    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        """A score for every item; PAD gets -inf."""

    @abstractmethod
    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        """The scores of some items of each query, as `score` would give them."""

    @abstractmethod
    def answered_by(self, query: Query) -> list[AnsweredBy]:
        """What each answer rests on."""


class Solved(ABC):
    """Learns in closed form or by a loop of its own that no gradient enters."""

    @abstractmethod
    def solve(self, data: TrainingData, seed: int) -> None:
        """Fit to the data; afterwards the buffers hold all that answers need."""


class Learned(ABC):
    """Learns by descent."""

    fixed: ClassVar[tuple[str, ...]] = ()
    """What tensors are called that `prepare` sets and training leaves alone: no epoch and no
    checkpoint keeps them again."""

    def prepare(self, data: TrainingData) -> None:
        """Before the first step: whatever losses need of the data as a whole (a graph, say)."""
        return

    @abstractmethod
    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        """Mean loss over the targets of a batch."""

    @abstractmethod
    def settle(self, data: TrainingData) -> None:
        """After training: whatever answers need beyond the parameters (fingerprints, say)."""

    def refresh(self, data: TrainingData) -> None:
        """While training, before a validation that asks with the trained histories only: the part
        of `settle` that these need."""
        self.settle(data)


class Dense(Model):
    """Answers with a score for every item at once; a few are picked from all."""

    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        return self.score(query).gather(1, items)

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["history"] * len(query)


class Vectors(Model):
    """Answers by the inner product of a query vector and item vectors."""

    kept: Tensor | None
    """The item vectors of a model that does not change any more; None while it may."""

    def __init__(self, spec: Spec, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.register_buffer("kept", None, persistent=False)

    @abstractmethod
    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        """What each query looks for."""

    @abstractmethod
    def item_vectors(self) -> Float32[Tensor, "I D"]:
        """What each item is; the row of PAD is 0."""

    def vectors_of(self, items: Int64[Tensor, "*N"]) -> Float[Tensor, "*N D"]:
        """The vectors of some items. A model that has to compute them computes these alone."""
        return self.item_vectors()[items]

    @torch.no_grad()
    def keep(self) -> None:
        """From here on the model is only asked: its item vectors are computed once, not for each
        question. Takes no memory where they are a parameter as it is. Training undoes it."""
        self.kept = self.item_vectors().detach()

    def train(self, mode: bool = True) -> "Vectors":
        if mode:
            self.kept = None
        return super().train(mode)

    def kept_vectors(self) -> Float32[Tensor, "I D"]:
        """The item vectors as they are kept, or else computed now."""
        return self.item_vectors() if self.kept is None else self.kept

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        return never_pad(self.query_vectors(query) @ self.kept_vectors().T)

    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        vectors = self.vectors_of(items) if self.kept is None else self.kept[items]
        scores = torch.einsum("bd,bcd->bc", self.query_vectors(query), vectors)
        return scores.masked_fill(items == PAD, NEVER)


class UserRows(Model):
    """Queries have a trained row each, valid while the history is the trained one.

    Another history is folded in, starting from the trained row, or from zero for a stranger.
    """

    def __init__(self, spec: Spec, schema: Schema, width: int) -> None:
        super().__init__(spec, schema)
        # tensors of a part named user hold personal data, and erasure looks for that name
        self.user = nn.Embedding(schema.users, width)
        self.user.register_buffer("as_of", torch.zeros(schema.users, dtype=torch.int64))
        self.items = nn.Embedding(schema.items, width, padding_idx=PAD)
        for table in (self.user, self.items):
            table.weight.data = zeros_in_large_pages(table.weight.shape)
            nn.init.normal_(table.weight, std=DEVIATION)
        with torch.no_grad():
            self.items.weight[PAD] = 0

    @property
    def as_of(self) -> Int64[Tensor, " U"]:
        """The fingerprint of the history that each row was trained on; 0 = none."""
        return self.user.get_buffer("as_of")

    def rows(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B D"]:
        """The query vectors of trained users."""
        rows: Tensor = self.user(users)
        return rows

    def priors(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B D"]:
        """What folding in starts from for users with a trained row; strangers start from zero."""
        return self.rows(users)

    @abstractmethod
    def fold_in(self, query: Query, prior: Float32[Tensor, "B D"]) -> Float32[Tensor, "B D"]:
        """The vector of each query given its history, near `prior` where that is not zero."""

    def trained(self, query: Query) -> Bool[Tensor, " B"]:
        """Which queries ask with the very history that their row was trained on."""
        if self.schema.users == 0:
            return torch.zeros(len(query), dtype=torch.bool, device=query.user.device)
        row = query.user.clamp(min=0)
        return (query.user >= 0) & (self.as_of[row] == query.as_of) & (query.as_of != 0)

    def query_rows(self, query: Query) -> Float32[Tensor, "B D"]:
        """The row of each query, trained or folded in."""
        trained = self.trained(query)
        if bool(trained.all()):
            return self.rows(query.user)
        asked = _some(query, ~trained)
        known = asked.user >= 0
        prior = self.user.weight.new_zeros(len(asked), self.user.embedding_dim)
        prior[known] = self.priors(asked.user[known])
        vectors = prior.new_zeros(len(query), prior.shape[1])
        vectors[trained] = self.rows(query.user[trained])
        vectors[~trained] = self.fold_in(asked, prior)
        return vectors

    def answered_by(self, query: Query) -> list[AnsweredBy]:
        return ["trained-row" if row else "fold-in" for row in self.trained(query).tolist()]


class RowVectors(UserRows, Vectors):
    """Rows that are query vectors."""

    def query_vectors(self, query: Query) -> Float32[Tensor, "B D"]:
        return self.query_rows(query)

    def item_vectors(self) -> Float32[Tensor, "I D"]:
        return self.items.weight


def never_pad(scores: Float[Tensor, "B I"]) -> Float[Tensor, "B I"]:
    """The same scores (changed in place) with -inf for PAD."""
    scores[:, PAD] = NEVER
    return scores


def _some(query: Query, rows: Bool[Tensor, " B"]) -> Query:
    if bool(rows.all()):
        return query
    columns = {n: c[rows] for n in Query.__slots__ if (c := getattr(query, n)) is not None}
    return Query(**columns)
