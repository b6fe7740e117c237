"""Singular vectors by random projection are those of LAPACK, and factorisations can start there."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from checkerboard import checkerboard
from honeyguide.data.training import TrainingData
from honeyguide.models.factor import start_spectrally
from honeyguide.models.lightgcn import LightGCN
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.models.xsimgcl import XSimGCL
from honeyguide.nn.graph import Edges, layers_mean
from honeyguide.nn.svd import spectral_rows, top_singular
from honeyguide.train.trainer import build
from matrices import random_log


def low_rank(rows=80, columns=50, rank=6):
    draw = np.random.default_rng(0)
    dense = draw.normal(size=(rows, rank)) @ draw.normal(size=(rank, columns))
    return sp.csr_array(dense.astype(np.float32))


def test_top_singular_is_that_of_lapack():
    matrix = low_rank()
    size, right = top_singular(matrix, 4, seed=0)
    _, wanted, turned = np.linalg.svd(matrix.toarray(), full_matrices=False)
    np.testing.assert_allclose(size, wanted[:4], rtol=1e-4)
    np.testing.assert_allclose(np.abs((turned[:4] * right.numpy().T).sum(1)), 1, rtol=1e-4)


def test_spectral_rows_of_full_rank_give_back_the_edges():
    log = random_log()
    pairs = log.pairs(MF().rule)
    users, items, size = spectral_rows(pairs, 10**6)
    assert bool((size.diff() <= 0).all())
    edges = Edges.of(pairs).matrix.toarray()
    np.testing.assert_allclose((users @ items.T).numpy(), edges, atol=2e-3)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_a_spectral_start_is_as_long_as_a_random_one(similarity):
    log = random_log()
    schema = Schema(users=log.n_users, items=log.n_items)
    model = build(MF(width=4, similarity=similarity, start="spectral"), schema, 0)
    random = {name: table.detach().clone() for name, table in model.named_parameters()}
    model.prepare(TrainingData(log))
    edges = Edges.of(log.pairs(model.spec.rule)).matrix.toarray()
    length = 0.1 * 4**0.5  # that of random ones, on average
    for name, degree in (("user.weight", edges.sum(1)), ("items.weight", edges.sum(0))):
        table, some = dict(model.named_parameters())[name].detach(), torch.from_numpy(degree > 0)
        torch.testing.assert_close(table[~some], random[name][~some])
        sizes = table[some].norm(dim=1)
        assert sizes.mean().item() == pytest.approx(length, rel=1e-4)
        if similarity == "cosine":
            torch.testing.assert_close(sizes, torch.full_like(sizes, length))
    assert bool((model.items.weight[0] == 0).all()), "PAD takes no part"
    wanted, users = spectral_rows(log.pairs(model.spec.rule), 4)[0], model.user.weight.detach()
    along = torch.nn.functional.cosine_similarity(wanted, users)
    assert along[wanted.norm(dim=1) > 1e-6].min() > 0.999


@pytest.mark.parametrize("spec", [LightGCN(layers=1), LightGCN(layers=3), XSimGCL()])
def test_what_has_passed_the_graph_starts_spectrally(spec):
    log = random_log()
    spec = spec.but(width=4, start="spectral")
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 0)
    model.prepare(TrainingData(log))
    wanted = spectral_rows(log.pairs(spec.rule), 4)
    for table, rows in zip(model.tables(), wanted[:2], strict=True):
        some = rows.norm(dim=1) > 1e-5
        scale = (table.detach()[some].norm(dim=1) / rows[some].norm(dim=1)).mean()
        torch.testing.assert_close(table.detach()[some], scale * rows[some], rtol=1e-3, atol=1e-3)
    taken = np.bincount(log.item, minlength=log.n_items) > 0
    free = torch.cat([model.user.weight, model.items.weight[torch.from_numpy(taken)]]).detach()
    assert free.norm(dim=1).mean().item() == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("spec", [LightGCN(), XSimGCL()])
def test_directions_that_a_graph_does_not_have_stay_noise(spec):
    log = checkerboard()  # two blocks, so few directions that stand out
    spec = spec.but(width=16, start="spectral")
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 0)
    whole = log.pairs(spec.rule)
    ones = np.arange(log.n_items)[None] // 11 == np.arange(log.n_users)[:, None] // 30
    ones[:, 0] = False
    full = sp.csr_array(ones.astype(np.float32))  # everyone takes all of a block: rank 2
    assert full.shape == whole.shape
    start_spectrally(model.user.weight, model.items.weight, full, False, model.passed)
    for table in (model.user.weight, model.items.weight):
        assert bool(table.isfinite().all())
        assert table[1:].norm(dim=1).max() < 3
    edges = Edges.of(full)
    mean = layers_mean(model.free().detach(), edges, spec.shares)
    scores = mean[: log.n_users] @ mean[log.n_users :].T
    taken = torch.from_numpy(ones)
    assert scores[taken].mean() > scores[~taken].mean() + 0.1


def test_fewer_directions_than_columns_leave_noise_in_the_rest():
    log = random_log(users=5, items=40)
    model = build(MF(width=16, start="spectral"), Schema(users=5, items=log.n_items), 0)
    cold = torch.from_numpy(np.bincount(log.item, minlength=log.n_items) == 0)
    assert cold[1:].any()
    noise = model.items.weight.detach().clone()
    model.prepare(TrainingData(log))
    table = model.items.weight.detach()
    torch.testing.assert_close(table[cold], noise[cold])
    assert bool((model.user.weight[:, 5:] != 0).all())
    assert bool((table[~cold][:, 5:] == noise[~cold][:, 5:]).all())
