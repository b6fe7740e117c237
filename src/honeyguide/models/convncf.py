"""ConvNCF: convolutions over the outer product of a user's and an item's vector.

He et al. 2018, "Outer product-based neural collaborative filtering": 2x2 convolutions of stride 2
with relu halve the image until one pixel is left, which a linear layer scores; trained by bpr.
Special: the image is never made. The first convolution is bilinear in two neighbours of the user's
vector and two of the item's, so a user's half of it is computed once for all items; pixels that
meet lie so that the other convolutions are plain matrix products. Differences: two channels start
as the positive and the negative part of the trace, the rest at weight 0 in the score, so that the
untrained model scores as a factorisation does; with vectors from the spectrum this takes the place
of the paper's pretraining by MF; one ridge, on the vectors that are looked up, where the paper has
one each for users, items and the tower (weight_decay is there for that); width 16 and 16 channels,
where the paper has 64 and 32; any history but the trained one gives a row by a linear map
(folding.py).
"""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Float32, Int64
from pydantic import Field
from torch import Tensor, nn

from honeyguide.config import Choice, Range
from honeyguide.data.batch import Batch, Unit
from honeyguide.data.query import Query
from honeyguide.data.sample import Sampler
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import PAD
from honeyguide.models.factor import Start, looked_up, start_spectrally
from honeyguide.models.folding import MappedRows
from honeyguide.models.spec import (
    DEVIATION,
    Count,
    Learned,
    LearnedSpec,
    NotNegative,
    Positive,
    Schema,
    never_pad,
)
from honeyguide.nn import losses
from honeyguide.types import NEVER

WORKING = 2 << 20  # bytes of hidden images held at once while all items are scored


class ConvNCF(LearnedSpec):
    """Outer-product-based neural collaborative filtering."""

    name: ClassVar[str] = "convncf"

    width: Annotated[Literal[4, 8, 16, 32, 64, 128], Choice((16, 32, 64))] = 16
    """Numbers per user and item, and pixels per side of the image: time grows with its square."""
    channels: Annotated[int, Field(ge=2), Choice((8, 16, 32))] = 16
    """Values per pixel between the convolutions: time grows with its square."""
    start: Start = "spectral"
    """Where vectors start: noise, or the leading directions of the normalised matrix, which save
    epochs."""
    negatives: Count = 1
    """Negatives per positive. Each costs as much as a positive."""
    sampler: Literal["uniform", "popularity"] = "uniform"
    """How negatives are drawn. popularity is harder."""
    l2: Annotated[NotNegative, Range(1e-5, 1e-2, log=True)] = 1e-3
    """Ridge on the looked-up rows, for each pair."""
    batch: Count = 512
    """Pairs per step, negatives not counted."""
    learning_rate: Annotated[Positive, Range(2e-4, 1e-2, log=True)] = 1e-3
    """Step size of Adam."""

    @property
    def unit(self) -> Unit:
        return "pair"

    @property
    def drawn(self) -> tuple[int, bool, Sampler]:
        return self.negatives, False, self.sampler

    def build(self, schema: Schema) -> "ConvNCFModel":
        return ConvNCFModel(self, schema)


class ConvNCFModel(MappedRows, Learned):
    """user.weight (U, D), items.weight (I, D), and a tower over their outer products."""

    def __init__(self, spec: ConvNCF, schema: Schema) -> None:
        super().__init__(spec, schema, spec.width)
        self.settings = spec
        self.tower = _Tower(spec.width, spec.channels)

    def prepare(self, data: TrainingData) -> None:
        if self.settings.start == "spectral":
            pairs = data.interactions.pairs(self.spec.rule)
            start_spectrally(self.user.weight, self.items.weight, pairs, even=False)

    def loss(self, batch: Batch) -> Float32[Tensor, ""]:
        assert batch.negatives is not None
        users = looked_up(self.user.weight, batch.query.user)
        asked = torch.cat([batch.target, batch.negatives[:, 0]], 1)  # (B, 1 + N)
        items = looked_up(self.items.weight, asked)
        scores = self.tower.of_pairs(users, items)
        told = losses.bpr(scores[:, 0], scores[:, 1:])
        size = users.square().sum(1) + items.square().sum(2).mean(1)
        return told.add(size.mean(), alpha=self.settings.l2)

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        sides, many = self.tower.sides(self.query_rows(query)), self._many
        scores = sides.new_empty(len(sides), self.schema.items)
        for start in range(0, self.schema.items, many):
            rows = self.tower.rows(self.items.weight[start : start + many])
            for user, side in enumerate(sides):  # the product of one with many is the fastest
                scores[user, start : start + many] = self.tower(rows @ side)
        return never_pad(scores)

    def score_few(self, query: Query, items: Int64[Tensor, "B C"]) -> Float32[Tensor, "B C"]:
        sides, many = self.tower.sides(self.query_rows(query)), self._many
        scores = sides.new_empty(items.shape)
        for user, side in enumerate(sides):
            for start in range(0, items.shape[1], many):
                rows = self.tower.rows(self.items.weight[items[user, start : start + many]])
                scores[user, start : start + many] = self.tower(rows @ side)
        return scores.masked_fill(items == PAD, NEVER)

    @property
    def _many(self) -> int:
        """Items whose images with one user are held at once."""
        return max(1, WORKING // (4 * self.tower.height**2 * self.settings.channels))


class _Tower(nn.Module):
    """The first convolution is `first` (2, 2, H), over two neighbours of a user's vector and two of
    an item's; the others are `layers` (2, 2 H, H), over two rows of two pixels.

    An image is (Y, *N, X * H), its Y = D / 2 rows those of the item, so that a convolution is two
    matrix products, one for each half of the rows. H channels, X = Y pixels of H values in a row.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.height, levels = width // 2, width.bit_length() - 2
        # rows that meet lie half an image apart: their numbers with the bits in reverse
        bits = torch.arange(levels)
        place = torch.arange(self.height)[:, None]
        self.order: Tensor
        order = ((place >> bits & 1) << bits.flip(0)).sum(1)
        self.register_buffer("order", order, persistent=False)
        self.first = nn.Parameter(torch.randn(2, 2, channels))
        self.layers = nn.ParameterList(
            torch.randn(2, 2 * channels, channels) for _ in range(levels)
        )
        self.shifts = nn.Parameter(torch.zeros(1 + levels, channels))
        self.out = nn.Parameter(torch.zeros(channels))
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Two channels pass on the trace, the others are those of He et al. 2015."""
        signs, channels = torch.tensor([1.0, -1.0]), len(self.out)
        self.first.mul_(0.5**0.5 / DEVIATION**2)  # pixels are products of two numbers so small
        self.first[..., :2] = torch.eye(2)[..., None] * signs
        for layer in self.layers:
            layer.mul_((2 * channels) ** -0.5)
            layer[..., :2] = 0
            for row, pixel in enumerate((0, channels)):
                layer[row, pixel : pixel + 2, :2] = signs[:, None] * signs
        self.out[:2] = signs

    def sides(self, users: Float[Tensor, "N D"]) -> Float[Tensor, "N 3 XH"]:
        """What a user gives to a row of pixels: by the item's two neighbours, and to all alike."""
        halves = torch.einsum("nxa,abh->nbxh", users.view(-1, self.height, 2), self.first).flatten(
            2
        )
        shift = self.shifts[0].repeat(self.height).expand(len(users), 1, -1)
        return torch.cat([halves, shift], 1)

    def rows(self, items: Float[Tensor, "*N D"]) -> Float[Tensor, "Y *N 3"]:
        """Two neighbours of the item for each row of pixels, and 1."""
        rows = items.reshape(*items.shape[:-1], self.height, 2)[..., self.order, :].movedim(-2, 0)
        return torch.cat([rows, torch.ones_like(rows[..., :1])], -1)

    def of_pairs(
        self, users: Float[Tensor, "B D"], items: Float[Tensor, "B C D"]
    ) -> Float[Tensor, "B C"]:
        """The scores of C items for each user."""
        image = torch.einsum("ybce,bek->ybck", self.rows(items), self.sides(users))
        scores: Tensor = self(image.contiguous())
        return scores

    def forward(self, image: Float[Tensor, "Y *N XH"]) -> Float32[Tensor, "*N"]:
        """Scores by what the first filters made of the images, which are worked on in place.

        In the type of the images: einsum makes bf16 ones under autocast, which take half as long
        with 32 channels and as long with 8.
        """
        with torch.autocast(image.device.type, enabled=False):
            hidden, made = image.relu_(), image.dtype
            for layer, shift in zip(self.layers, self.shifts[1:].to(made), strict=True):
                above, below = layer.to(made)
                upper, lower = hidden.view(2, -1, len(above))
                hidden = torch.addmm(shift, upper, above).addmm_(lower, below).relu_()
            return (hidden.float() @ self.out).view(image.shape[1:-1])
