"""MF: a vector per user and item, learned by descent on a ranking loss.

Rendle et al. 2009 (BPR) and the softmax losses that later work found stronger. A history other than
the trained one is folded in: a few quasi-Newton steps on the full softmax of that history, from the
trained row or from zero, with a ridge under which the trained histories give back the trained rows.
Without that ridge a folded row overfits: nDCG@10 on MovieLens-1M fell from .045 to .033.
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import model_validator
from torch import Tensor

from honeyguide.config import Choice, Range, Space
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Pairs, Query, fingerprints, query
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError
from honeyguide.models.spec import (
    Count,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    Schema,
    UserRows,
    never_pad,
)
from honeyguide.nn import losses

FOLD_STEPS = 8  # with 6, strangers with three events were not settled (tests/contracts.py)
CALIBRATION_USERS = 256
PULLS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)


class MF(LearnedSpec):
    """Matrix factorisation."""

    name: ClassVar[str] = "mf"

    width: Annotated[Count, Choice((32, 64, 128, 256))] = 64
    """Numbers per user and item."""
    loss: Literal["softmax", "sampled-softmax", "bpr"] = "softmax"
    """softmax looks at all items at once and is the best where they fit; bpr is the classic."""
    negatives: Count = 64
    """Negatives per positive (bpr) or per batch (sampled-softmax)."""
    sampler: Sampler = "uniform"
    """How negatives are drawn. popularity is harder; in-batch takes the other users' items of the
    batch (and ignores `negatives`). Both need the correction of sampled-softmax."""
    temperature: Annotated[Positive, Range(0.1, 2, log=True)] = 1.0
    """Divides the scores inside softmax losses. Lower it for sharper lists."""
    l2: Annotated[NotNegative | None, Range(0.01, 3, log=True)] = None
    """Ridge on the vectors, for each pair; None = 0.3 for softmax, which has it on users only, and
    1e-4 for the losses over pairs, where 0.3 would pull all vectors to zero."""
    batch: Count = 256
    """User rows (softmax) or pairs (bpr, sampled-softmax: raise it to thousands) per step."""
    learning_rate: Annotated[Positive, Range(1e-3, 1e-1, log=True)] = 1e-2
    """Step size of Adam."""

    @property
    def ridge(self) -> float:
        """l2, or what None stands for."""
        return self.l2 if self.l2 is not None else (0.3 if self.loss == "softmax" else 1e-4)

    @property
    def unit(self) -> Unit:
        return "user row" if self.loss == "softmax" else "pair"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        if self.loss == "softmax":
            return 0, False, self.sampler
        return self.negatives, self.loss == "sampled-softmax", self.sampler

    @model_validator(mode="after")
    def _bpr_draws_its_own(self) -> "MF":
        if self.loss == "bpr" and self.sampler == "in-batch":
            raise CallError(
                "bpr draws negatives for each pair, so they cannot be those of the batch.",
                "Choose loss sampled-softmax, or the sampler uniform or popularity.",
            )
        return self

    def searched(self, log: Interactions) -> dict[str, Space]:
        found = self.spaces()
        if self.loss != "softmax":
            found["l2"] = Range(1e-6, 1e-2, log=True)
        if self.loss == "bpr":
            del found["temperature"]  # divides scores inside softmax losses only
        return found

    def standing(self) -> dict[str, Any]:
        return super().standing() | {"l2": self.ridge}

    def build(self, schema: Schema) -> "MFModel":
        return MFModel(self, schema)


class MFModel(UserRows, Learned):
    """user.weight (U, D), items.weight (I, D)."""

    def __init__(self, spec: MF, schema: Schema) -> None:
        super().__init__(spec, schema, spec.width)
        self.settings = spec
        # what folding in needs of the item vectors: their covariance under popularity, diagonal
        # in `basis` with `curvature` on it
        self.basis: Tensor
        self.curvature: Tensor
        self.register_buffer("basis", torch.eye(spec.width))
        self.register_buffer("curvature", torch.ones(spec.width))
        self.pull: Tensor  # ridge per event of the history
        self.register_buffer("pull", torch.tensor(1.0))

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        if batch.row is not None:
            return self._row_loss(batch.query, batch.row)
        return self._pair_loss(batch)

    def _row_loss(self, query: Query, row: Pairs) -> Float32[Tensor, ""]:
        users = self.user(query.user)
        ridge = self.settings.ridge * users.square().sum(1)
        logits = never_pad((users @ self.items.weight.T).float() / self.settings.temperature)
        rows, lengths = row.rows(), row.offsets.diff()
        surprise = torch.logsumexp(logits, 1)[rows] - logits[rows, row.items]
        total: Tensor = surprise.sum() + (ridge * lengths).sum()
        return total.div(lengths.sum().clamp(min=1))

    def _pair_loss(self, batch: Batch) -> Float32[Tensor, ""]:
        assert batch.negatives is not None
        assert batch.log_p is not None
        users = self.user(batch.query.user)
        wanted, unwanted = self.items(batch.target[:, 0]), self.items(batch.negatives)
        positive = (users * wanted).sum(1)
        size = users.square().sum(1) + wanted.square().sum(1)
        if self.settings.loss == "bpr":
            negative = torch.einsum("bd,bpnd->bpn", users, unwanted)
            size = size + unwanted.square().sum(-1).mean((1, 2))
            told = losses.bpr(positive[:, None], negative.float())
        else:
            assert batch.accidental is not None
            heat = self.settings.temperature
            told = losses.sampled_softmax(
                positive / heat,
                (users @ unwanted.T).float() / heat,
                batch.log_p[batch.target[:, 0]],
                batch.log_p[batch.negatives],
                batch.accidental,
            )
        return told.add(size.mean(), alpha=self.settings.ridge)

    def settle(self, data: TrainingData) -> None:
        """Fingerprints of the trained histories, and what folding in needs."""
        events = data.interactions.counting(self.spec.rule)
        self.as_of.copy_(torch.from_numpy(fingerprints(events)))
        table = self.items.weight.detach() / self.settings.temperature
        counts = torch.from_numpy(np.bincount(events.item, minlength=len(table))).to(table)
        p = counts / counts.sum()
        mean = p @ table
        covariance = (table * p[:, None]).T @ table - mean[:, None] * mean
        curvature, basis = torch.linalg.eigh(covariance)
        self.curvature, self.basis = curvature.clamp(min=0), basis
        self._calibrate(query(events, self._sample(events), history=None).to(table.device))

    def _sample(self, events: Interactions) -> Int64[np.ndarray, " B"]:
        active = np.flatnonzero(events.lengths)
        return active[:: -(-len(active) // CALIBRATION_USERS)] if len(active) else active

    def _calibrate(self, asked: Query) -> None:
        """The pull with which folding in from zero comes closest to the trained rows.

        Closest by the cosine of scores under popularity. Training stops early, and descent from
        small vectors shrinks them as a ridge would; how much, only the trained rows tell.
        """
        if len(asked) == 0:
            return
        rows = self.user(asked.user).detach()
        metric = (self.basis * self.curvature) @ self.basis.T

        def along(a: Tensor, b: Tensor) -> Tensor:
            return torch.einsum("bd,de,be->b", a, metric, b)

        def likeness(pull: float) -> float:
            self.pull.fill_(pull)
            folded = self.fold_in(asked, torch.zeros_like(rows))
            size = (along(folded, folded) * along(rows, rows)).sqrt().clamp(min=1e-12)
            return float((along(folded, rows) / size).mean())

        coarse = max(PULLS, key=likeness)
        self.pull.fill_(max((coarse / 2**0.5, coarse, coarse * 2**0.5), key=likeness))

    def fold_in(self, query: Query, prior: Float32[Tensor, "B D"]) -> Float32[Tensor, "B D"]:
        """Quasi-Newton on the softmax of the history, curvature taken at mean popularity."""
        # the narrow side is divided by the temperature: a scaled table would be a copy of it
        table, heat = self.items.weight.detach(), self.settings.temperature
        pairs = query.pairs(self.spec.rule)
        count = pairs.weights.new_zeros(len(query)).index_add_(0, pairs.rows(), pairs.weights)
        count = count[:, None]
        wanted = pairs.times(table) / heat
        pull = self.pull * count
        step = 1 / (count * self.curvature + pull + 1e-6)
        vectors = prior.detach().clone()
        for _ in range(FOLD_STEPS):
            likely = never_pad(vectors / heat @ table.T).softmax(1) @ table / heat
            slope = count * likely - wanted + pull * vectors
            vectors -= ((slope @ self.basis) * step) @ self.basis.T
        return vectors
