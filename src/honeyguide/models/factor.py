"""What factorisations share: a vector per user and per item, learned by any of the losses.

Special: the loss is a setting and not a model. A model that derives from Factors says where the two
tables of vectors come from (its own parameters, or those after a graph has passed over them), and
every loss of nn/losses.py is open to it.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import embedding, normalize

from honeyguide.config import Choice, Range, Space
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import fingerprints
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError
from honeyguide.models.spec import (
    DEVIATION,
    Count,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    RowVectors,
    Schema,
    Similarity,
)
from honeyguide.nn import losses, pairs
from honeyguide.nn.softmax import row_softmax
from honeyguide.nn.svd import spectral_rows

LossName = Literal["softmax", "sampled-softmax", "bpr", "bce", "gbce", "mse", "ccl", "directau"]
Start = Literal["random", "spectral"]
# what each setting is for; tuning leaves out what the loss does not look at
HEATED = ("softmax", "sampled-softmax", "bpr", "bce", "gbce")
WEIGHTED = ("mse", "ccl", "directau")
LEAST_SHARE = 1e-3  # of the largest singular value, below which a direction is noise


class FactorSpec(LearnedSpec):
    """Settings of every model that is a user table times an item table."""

    within_items: ClassVar[tuple[str, ...]] = ("width",)

    width: Annotated[Count, Choice((32, 64, 128, 256))] = 64
    """Numbers per user and item."""
    loss: LossName = "softmax"
    """softmax looks at all items at once and is the best where they fit; sampled-softmax is its
    estimate for larger catalogues; bpr is the classic; bce, gbce, mse, ccl and directau are what
    other papers take."""
    similarity: Similarity = "dot"
    """What a score is. cosine takes the length of vectors, hence most of popularity, out of it; it
    wants a low temperature (0.1 to 0.2). ccl and directau are made for it."""
    negatives: Count = 64
    """Negatives per positive, or per batch (sampled-softmax); softmax and directau draw none."""
    start: Start = "random"
    """Where vectors start. spectral takes the leading directions of the normalised matrix and needs
    a fraction of the epochs; worth it for large, sparse data and similarity cosine."""
    sampler: Sampler = "uniform"
    """How negatives are drawn. popularity is harder; in-batch takes the other users' items of the
    batch (and ignores `negatives`); both need the correction of sampled-softmax."""
    temperature: Annotated[Positive, Range(0.1, 2, log=True)] = 1.0
    """Divides the scores before the loss looks at them. Lower it for sharper lists."""
    margin: Annotated[float, Field(ge=-1, le=1)] = 0.4
    """ccl: negatives whose cosine lies below it are far enough. Raise it with many negatives."""
    weight: Annotated[NotNegative, Range(0.1, 300, log=True)] = 1.0
    """Of the negatives' part (mse, ccl) or of uniformity (directau) against the positives'."""
    calibration: Annotated[float, Field(ge=0, le=1)] = 0.75
    """gbce: 1 = scores as if all items were negatives, 0 = plain bce."""
    l2: Annotated[NotNegative | None, Range(0.01, 3, log=True)] = None
    """Ridge on the vectors, for each pair; None = 0.3 for softmax by dot, which has it on users
    only, and 1e-4 else, where 0.3 would pull all vectors to zero."""
    batch: Count = 256
    """User rows (softmax) or pairs (all others: raise it to thousands) per step."""
    learning_rate: Annotated[Positive, Range(1e-3, 1e-1, log=True)] = 1e-2
    """Step size of Adam."""

    @property
    def ridge(self) -> float:
        """l2, or what None stands for."""
        by_rows = self.loss == "softmax" and self.similarity == "dot"
        return self.l2 if self.l2 is not None else (0.3 if by_rows else 1e-4)

    @property
    def unit(self) -> Unit:
        return "user row" if self.loss == "softmax" else "pair"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        if self.loss in ("softmax", "directau"):
            return 0, False, self.sampler
        return self.negatives, self.loss == "sampled-softmax", self.sampler

    @model_validator(mode="after")
    def _only_a_softmax_takes_those_of_the_batch(self) -> "FactorSpec":
        if self.sampler == "in-batch" and self.loss != "sampled-softmax":
            raise CallError(
                f"{self.loss} draws negatives for each pair, so they cannot be those of the batch.",
                "Choose loss sampled-softmax, or the sampler uniform or popularity.",
            )
        return self

    def searched(self, log: Interactions) -> dict[str, Space]:
        found = super().searched(log)
        if self.loss != "softmax" or self.similarity == "cosine":
            found["l2"] = Range(1e-6, 1e-2, log=True)
        if self.loss not in HEATED or (self.loss == "bpr" and self.similarity == "dot"):
            del found["temperature"]  # by dot, bpr's vectors can take any scale up themselves
        if self.loss not in WEIGHTED:
            del found["weight"]
        return found

    def standing(self) -> dict[str, Any]:
        return super().standing() | {"l2": self.ridge}


class Factors(RowVectors, Learned):
    """user.weight (U, D), items.weight (I, D): the vectors, or what they are computed from."""

    def __init__(self, spec: FactorSpec, schema: Schema) -> None:
        super().__init__(spec, schema, spec.width)
        self.factors = spec

    def prepare(self, data: TrainingData) -> None:
        if self.factors.start == "spectral":
            start_spectrally(
                self.user.weight,
                self.items.weight,
                data.interactions.pairs(self.spec.rule),
                self.factors.similarity == "cosine",
                self.passed,
            )

    def passed(self, size: Float32[Tensor, " R"]) -> Float32[Tensor, " R"] | None:
        """What the way from parameters to tables leaves of directions of these singular values;
        None = all of it."""
        return None

    @abstractmethod
    def tables(self) -> tuple[Float[Tensor, "U D"], Float[Tensor, "I D"]]:
        """The vectors of all users and all items, as they stand in training."""

    def comparable(self, vectors: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Vectors whose inner product is the score."""
        return normalize(vectors, dim=-1) if self.factors.similarity == "cosine" else vectors

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        return self.told(batch, *self.tables())

    def told(
        self, batch: Batch, users: Float[Tensor, "U D"], items: Float[Tensor, "I D"]
    ) -> Float32[Tensor, ""]:
        """The loss of a batch by these tables."""
        if batch.row is None:
            return self._of_pairs(batch, users, items)
        asking = looked_up(users, batch.query.user)
        spec, row, lengths = self.factors, batch.row, batch.row.offsets.diff()
        told = row_softmax(
            self.comparable(asking) / spec.temperature,
            self.comparable(items),
            row.items,
            row.offsets,
        )
        base = asking if users is self.user.weight else self.user(batch.query.user)
        size = base.square().sum(1) @ lengths.to(base.dtype)  # once for each pair of a user
        return told.float().add(size / lengths.sum().clamp(min=1), alpha=spec.ridge)

    def _of_pairs(
        self, batch: Batch, users: Float[Tensor, "U D"], items: Float[Tensor, "I D"]
    ) -> Float32[Tensor, ""]:
        spec, target, negatives = self.factors, batch.target[:, 0], batch.negatives
        if negatives is not None and negatives.ndim == 3:
            negatives = negatives[:, 0]
        if negatives is not None and spec.loss in PAIRWISE and by_kernel(users):
            return self._in_one_pass(batch, users, items, negatives)
        asking, wanted = looked_up(users, batch.query.user), looked_up(items, target)
        unwanted = None if negatives is None else looked_up(items, negatives)
        told = self._compared(batch, asking, wanted, unwanted)
        if spec.ridge == 0:
            return told
        if users is not self.user.weight:  # the ridge is on what is learned
            asking, wanted = self.user(batch.query.user), self.items(target)
            unwanted = None if negatives is None else self.items(negatives)
        size = asking.square().sum(1) + wanted.square().sum(1)
        if unwanted is not None and unwanted.ndim == 3:
            size = size + unwanted.square().sum(2).mean(1)
        return told.add(size.mean(), alpha=spec.ridge)

    def _in_one_pass(
        self,
        batch: Batch,
        users: Float[Tensor, "U D"],
        items: Float[Tensor, "I D"],
        negatives: Int64[Tensor, "B N"],
    ) -> Float32[Tensor, ""]:
        spec, computed = self.factors, users is not self.user.weight
        told = pairs.told(
            users,
            items,
            batch.query.user,
            batch.target[:, 0],
            negatives,
            loss=spec.loss,
            heat=spec.temperature if spec.loss in HEATED else 1.0,
            cosine=spec.similarity == "cosine",
            ridge=0.0 if computed else spec.ridge,
            **KNOBS[spec.loss](spec, negatives.shape[1], self.schema),
        )
        if not computed or spec.ridge == 0:
            return told
        # the ridge is on what is learned: once for each pair that names a row
        asking, wanted, unwanted = (
            torch.bincount(rows.flatten(), minlength=len(table)).float()
            for rows, table in (
                (batch.query.user, users),
                (batch.target, items),
                (negatives, items),
            )
        )
        taken = wanted + unwanted / negatives.shape[1]
        size = (self.user.weight.square().sum(1) * asking).sum()  # autocast would narrow a product
        size = size + (self.items.weight.square().sum(1) * taken).sum()
        return told.add(size / len(negatives), alpha=spec.ridge)

    def _compared(
        self,
        batch: Batch,
        asking: Float[Tensor, "B D"],
        wanted: Float[Tensor, "B D"],
        unwanted: Float[Tensor, "N D"] | Float[Tensor, "B N D"] | None,
    ) -> Float32[Tensor, ""]:
        spec = self.factors
        if spec.loss == "directau":
            return losses.directau(asking, wanted, spec.weight).float()
        assert unwanted is not None
        heat = spec.temperature if spec.loss in HEATED else 1.0
        asking = self.comparable(asking) / heat
        positive = (asking * self.comparable(wanted)).sum(1).float()
        unwanted = self.comparable(unwanted)
        if spec.loss != "sampled-softmax":
            negative = (asking[:, None] * unwanted).sum(2).float()
            return PAIRWISE[spec.loss](positive, negative, spec, self.schema)
        assert batch.log_p is not None
        assert batch.negatives is not None
        assert batch.accidental is not None
        return losses.sampled_softmax(
            positive,
            (asking @ unwanted.T).float(),
            batch.log_p[batch.target[:, 0]],
            batch.log_p[batch.negatives],
            batch.accidental,
        )

    def fingerprinted(self, events: Interactions) -> None:
        """The trained rows are those of these histories."""
        self.as_of.copy_(torch.from_numpy(fingerprints(events, self.spec.rule)))


@torch.no_grad()
def start_spectrally(
    users: Float32[Tensor, "U D"],
    items: Float32[Tensor, "I D"],
    matrix: sp.csr_array,
    even: bool,
    passed: Callable[[Tensor], Tensor | None] = lambda size: None,
) -> None:
    """Spectral vectors into both tables, on average as long as random ones, or (even) each of them;
    nodes without an edge keep what they have. Where the tables are what has `passed`, their columns
    are raised by what gets lost, and their lengths (which the way needs as they are) not evened."""
    length = DEVIATION * users.shape[1] ** 0.5
    *found, size = spectral_rows(matrix, users.shape[1])
    degrees = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=matrix.shape[1])
    some = [torch.from_numpy(degree > 0) for degree in degrees]
    left = passed(size)
    if left is not None:
        # directions that are none (a graph of low rank) would be raised out of rounding errors
        true = size > LEAST_SHARE * size[0]
        found = [rows[:, true] / left[true] for rows in found]
    sizes = [rows.norm(dim=1, keepdim=True).clamp(min=1e-6) for rows in found]
    real_sizes = [each[real] for each, real in zip(sizes, some, strict=True)]
    if left is not None:  # one scale for both, or what passes between them would be out of scale
        sizes = [torch.cat(real_sizes).mean()] * 2
    elif not even:
        sizes = [each.mean() for each in real_sizes]
    for table, rows, real, by in zip((users, items), found, some, sizes, strict=True):
        start = rows / by * length
        # fewer directions than columns: the rest stays noise, which zeros would never leave
        table[real.to(table.device), : rows.shape[1]] = start[real].to(table.device)


def looked_up(table: Float[Tensor, "N D"], rows: Int64[Tensor, "*M"]) -> Float[Tensor, "*M D"]:
    """Rows of a table; of a parameter, with a gradient that holds these rows only."""
    return embedding(rows, table, sparse=table.is_leaf and table.requires_grad)


def by_kernel(users: Tensor) -> bool:
    """Whether the kernels over pairs can read this table."""
    return users.dtype == torch.float32 and users.device.type == "cpu"


Knobs = Callable[[FactorSpec, int, Schema], dict[str, float]]
KNOBS: dict[str, Knobs] = {  # what the kernel is told of a loss
    "bpr": lambda spec, count, schema: {},
    "bce": lambda spec, count, schema: {},
    "gbce": lambda spec, count, schema: {
        "first": losses.gbce_power(count, schema.items - 2, spec.calibration)
    },
    "mse": lambda spec, count, schema: {"first": spec.weight},
    "ccl": lambda spec, count, schema: {"first": spec.margin, "second": spec.weight},
}
Pairwise = Callable[[Tensor, Tensor, FactorSpec, Schema], Tensor]
PAIRWISE: dict[str, Pairwise] = {
    "bpr": lambda wanted, unwanted, spec, schema: losses.bpr(wanted, unwanted),
    "bce": lambda wanted, unwanted, spec, schema: losses.bce(wanted, unwanted),
    "gbce": lambda wanted, unwanted, spec, schema: losses.gbce(
        wanted, unwanted, schema.items - 2, spec.calibration
    ),
    "mse": lambda wanted, unwanted, spec, schema: losses.mse(wanted, unwanted, spec.weight),
    "ccl": lambda wanted, unwanted, spec, schema: losses.ccl(
        wanted, unwanted, spec.margin, spec.weight
    ),
}
