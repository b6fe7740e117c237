"""Where the time of training goes, and how far it is from what the machine can do.

The limits are measured first: a product of f32 matrices, a copy through memory, and rows of 256
bytes gathered at random from a table that fits the cache and from one that does not. Then each
kernel on MovieLens-1M, with the operations or bytes that it cannot do without.
"""

from typing import Any

import numpy as np
import torch

from _common import record, seconds
from honeyguide.data.batch import examples
from honeyguide.data.opening import Inputs
from honeyguide.data.training import TrainingData
from honeyguide.experiment.splitting import open_split
from honeyguide.models.ease import EASE
from honeyguide.models.lrurec import LRURec
from honeyguide.models.mf import MF
from honeyguide.models.mult_vae import MultVAE
from honeyguide.models.neumf import NeuMF
from honeyguide.models.sasrec import SASRec
from honeyguide.models.spec import Learned, LearnedSpec, Schema
from honeyguide.nn import softmax
from honeyguide.nn.attend import attend
from honeyguide.nn.graph import Edges
from honeyguide.nn.recurrence import recur
from honeyguide.train.device import autocast, choose_precision
from honeyguide.train.optimiser import RowAdamW
from honeyguide.train.trainer import build, fit

WIDTH = 64


def main() -> None:
    """Limits, then parts."""
    _, split = open_split("movielens-1m", Inputs())
    train = split.train
    data, schema = TrainingData(train), Schema(users=train.n_users, items=train.n_items)
    limit = limits()
    parts = [
        *pair_step(data, schema, limit),
        row_softmax(data, schema, limit),
        joined(data, schema, limit),
        passing(data, limit),
        vae(data, schema, limit),
        ease(data, schema, limit),
        *of_sequences(data, schema, limit),
    ]
    record("performance", {"limits": limit, "parts": parts})


def limits() -> dict[str, float]:
    """GFLOP/s and GB/s."""
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    one, other = torch.randn(1 << 25), torch.empty(1 << 25)
    small, large = torch.randn(8_000, WIDTH), torch.randn(2_000_000, WIDTH)
    near = torch.randint(0, 8_000, (400_000,))
    far = torch.randint(0, 2_000_000, (400_000,))
    out = torch.empty(400_000, WIDTH)
    moved = 2 * out.nbytes
    halves = a.bfloat16(), b.bfloat16()
    return {
        "product_gflops": 2 * 1536**3 / seconds(lambda: a @ b) / 1e9,
        "product_bf16_gflops": 2 * 1536**3 / seconds(lambda: halves[0] @ halves[1]) / 1e9,
        "copy_gbs": 2 * one.nbytes / seconds(lambda: other.copy_(one)) / 1e9,
        "near_rows_gbs": moved / seconds(lambda: torch.index_select(small, 0, near, out=out)) / 1e9,
        "far_rows_gbs": moved / seconds(lambda: torch.index_select(large, 0, far, out=out)) / 1e9,
    }


def part(name: str, took: float, need: float, unit: str, limit: float) -> dict[str, Any]:
    """took: seconds; need: operations or bytes."""
    return {
        "part": name,
        "milliseconds": 1e3 * took,
        "needs": need,
        "unit": unit,
        "reached": need / took / 1e9,
        "limit": limit,
        "times_the_limit": limit * 1e9 * took / need,
    }


def pair_step(data: TrainingData, schema: Schema, limit: dict[str, float]) -> list[dict[str, Any]]:
    """BPR, 2,048 pairs a step."""
    spec = MF(loss="bpr", negatives=1, batch=2048, l2=1e-4)
    model, cut = ready(spec, data, schema)
    rows = np.random.default_rng(0).permutation(len(cut))[:2048]
    batch = cut.batch(rows, 0)
    adam = RowAdamW(list(model.parameters()), 1e-3, 0.0)

    def loss() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        model.loss(batch).backward()

    loss()
    kept = [parameter.grad for parameter in model.parameters()]

    def update() -> None:
        for parameter, grad in zip(model.parameters(), kept, strict=True):
            parameter.grad = grad
        adam.step()

    row = 2048 * 3 * 4 * WIDTH  # bytes of the rows of a step
    near = limit["near_rows_gbs"]
    return [
        part(
            "bpr: cut a batch, draw negatives",
            seconds(lambda: cut.batch(rows, 0), 30),
            row,
            "B",
            near,
        ),
        part("bpr: loss and gradients", seconds(loss, 30), 2 * row, "B", near),
        part("bpr: row-wise Adam", seconds(update, 30), 7 * row, "B", near),
    ]


def ready(spec: LearnedSpec, data: TrainingData, schema: Schema) -> tuple[Any, Any]:
    """A model before its first step, and its examples."""
    model = build(spec, schema, 0)
    assert isinstance(model, Learned)
    model.prepare(data)
    return model.train(), examples(data.interactions, spec.asked())


def row_softmax(data: TrainingData, schema: Schema, limit: dict[str, float]) -> dict[str, Any]:
    """Full softmax of 256 users' sets, forwards and backwards."""
    _, cut = ready(MF(), data, schema)
    row = cut.batch(np.arange(256), 0).row
    states = torch.randn(256, WIDTH, requires_grad=True)
    table = torch.randn(schema.items, WIDTH, requires_grad=True)

    def work() -> None:
        told = softmax.row_softmax(states, table, row.items, row.offsets)
        told.backward()  # type: ignore[no-untyped-call]

    need = 3 * 2 * 256 * schema.items * WIDTH
    return part(
        "softmax over all items, 256 users",
        seconds(work, 20),
        need,
        "FLOP",
        limit["product_gflops"],
    )


def joined(data: TrainingData, schema: Schema, limit: dict[str, float]) -> dict[str, Any]:
    """NeuMF's loss and gradients, 409 pairs with four negatives each, in the precision that
    training chooses here."""
    cpu = torch.device("cpu")
    precision = choose_precision(cpu, "auto")
    spec = NeuMF(batch=409)
    model, cut = ready(spec, data, schema)
    batch = cut.batch(np.random.default_rng(0).permutation(len(cut))[:409], 0)
    assert batch.negatives is not None

    def work() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        with autocast(cpu, precision):
            loss = model.loss(batch)
        loss.backward()

    # a row gives its share of the first layer once, a pair goes through the layers behind it
    asked = torch.cat([batch.target, batch.negatives[:, 0]], 1)
    rows = len(np.unique(batch.query.user)) + len(np.unique(asked))
    first, *others = spec.hidden
    weights = sum(a * b for a, b in zip(spec.hidden, others, strict=False)) + 2 * spec.width
    need = 3 * 2 * (rows * spec.width * first + asked.numel() * weights)
    limited = limit["product_bf16_gflops" if precision == "bf16" else "product_gflops"]
    said = f"neumf: loss and gradients, 2,045 pairs, {precision}"
    return part(said, seconds(work, 30), need, "FLOP", limited)


def passing(data: TrainingData, limit: dict[str, float]) -> dict[str, Any]:
    """Once along all edges, both ways."""
    edges = Edges.of(data.interactions.pairs(MF().rule))
    nodes = torch.randn(sum(edges.matrix.shape), WIDTH)
    need = 2 * edges.matrix.nnz * 4 * WIDTH
    return part(
        "lightgcn: once along all edges",
        seconds(lambda: edges.spread(nodes), 5),
        need,
        "B",
        limit["near_rows_gbs"] / 2,
    )


def vae(data: TrainingData, schema: Schema, limit: dict[str, float]) -> dict[str, Any]:
    """A step of Mult-VAE, 500 users."""
    model, cut = ready(MultVAE(), data, schema)
    batch = cut.batch(np.arange(500), 0)
    adam = RowAdamW(list(model.parameters()), 1e-3, 0.0)

    def step() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        model.loss(batch).backward()
        adam.step()

    assert batch.row is not None
    need = 3 * 2 * 500 * schema.items * 600 + 2 * 2 * len(batch.row.items) * 600
    return part(
        "mult-vae: a step, 500 users", seconds(step, 5), need, "FLOP", limit["product_gflops"]
    )


def ease(data: TrainingData, schema: Schema, limit: dict[str, float]) -> dict[str, Any]:
    """The whole solution."""
    need = float(schema.items) ** 3  # a third for the factor, two thirds for the inverse
    return part(
        "ease: all",
        seconds(lambda: fit(build(EASE(), schema, 0), data), 1),
        need,
        "FLOP",
        limit["product_gflops"],
    )


def of_sequences(
    data: TrainingData, schema: Schema, limit: dict[str, float]
) -> list[dict[str, Any]]:
    """A step of SASRec and of LRURec at history 200 and their costly parts, in the precision that
    training chooses here."""
    cpu = torch.device("cpu")
    precision = choose_precision(cpu, "auto")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    product = limit["product_bf16_gflops" if precision == "bf16" else "product_gflops"]
    _, cut = ready(SASRec(), data, schema)
    batches = cut.epoch(128, np.random.default_rng(0))
    full = max(batches, key=lambda rows: float(np.diff(cut.windows[rows], axis=1).mean()))
    batch = cut.batch(full, 0)
    count, length = batch.query.item.shape
    targets = int((batch.target > 0).sum())
    q, k, v = (torch.randn(count, length, WIDTH, dtype=kind, requires_grad=True) for _ in range(3))
    table = torch.randn(schema.items, WIDTH, requires_grad=True)
    asked = torch.randn(targets, WIDTH, requires_grad=True)
    wanted = batch.target[batch.target > 0]

    def attention() -> None:
        torch.autograd.backward(attend(q, k, v), torch.ones_like(q))

    def over_items() -> None:
        with autocast(cpu, precision):
            told = softmax.softmax(asked, table, wanted)
        torch.autograd.backward(told)

    def step(spec: LearnedSpec) -> float:
        model, _ = ready(spec, data, schema)
        adam = RowAdamW(list(model.parameters()), 1e-3, 0.0)

        def once() -> None:
            for parameter in model.parameters():
                parameter.grad = None
            with autocast(cpu, precision):
                loss = model.loss(batch)
            loss.backward()
            adam.step()

        return seconds(once, 5)

    places = count * length
    triangle = 6 * 2 * count * length * length * WIDTH / 2
    items = 3 * 2 * targets * schema.items * WIDTH
    dense = 3 * 2 * places * WIDTH * WIDTH  # a square map of the width, forwards and backwards
    x, decay = torch.randn(count, length, 4 * WIDTH), torch.full((2, 2 * WIDTH), 0.6)
    x.requires_grad_()

    def recurrence() -> None:
        torch.autograd.backward(recur(x, decay), torch.ones_like(x))

    said = f"{count} windows of {length}, {precision}"
    return [
        part(f"sasrec: attention, {said}", seconds(attention, 5), triangle, "FLOP", product),
        part("sasrec: softmax over all items", seconds(over_items, 5), items, "FLOP", product),
        part("sasrec: a step", step(SASRec()), items + 2 * triangle + 12 * dense, "FLOP", product),
        part(
            "lrurec: the recurrence, both ways",
            seconds(recurrence, 5),
            5 * x.nbytes,
            "B",
            limit["copy_gbs"],
        ),
        part("lrurec: a step", step(LRURec()), items + 2 * 16 * dense, "FLOP", product),
    ]


if __name__ == "__main__":
    main()
