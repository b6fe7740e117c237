"""Gradients by threads side by side: those of the whole batch, the same for a seed."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.mf import MF
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import LearnedSpec, Schema
from honeyguide.nn.parallel import side_by_side
from honeyguide.train.gradients import Gradients
from honeyguide.train.trainer import build
from matrices import random_log
from runs import ended, forked

SPECS: list[SequenceSpec] = [
    SASRec(width=16, history=6, dropout=0.0),
    GRU4Rec(width=16, history=6, dropout=0.0),
]


@pytest.fixture(params=[2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def given(spec: LearnedSpec, *, times: int = 1) -> tuple[float, list[torch.Tensor]]:
    """The loss and the gradients of one batch, added so many times."""
    log = random_log()
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()
    asked = examples(log, spec.asked())
    found = Gradients(model, asked, torch.device("cpu"), "f32")
    found.clear()
    for _ in range(times):
        loss = found.add(np.arange(min(len(asked), 40)), seed=7)
    return loss.item(), [p.grad for p in found.parameters if p.grad is not None]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_parts_have_the_gradients_of_the_whole(spec, threads):
    loss, parts = given(spec)
    torch.set_num_threads(1)
    whole_loss, whole = given(spec)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert len(parts) == len(whole)
    for part, wanted in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_accumulated_parts_are_a_mean(spec, threads):
    _, once = given(spec)
    _, twice = given(spec.but(accumulate=2), times=2)
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(a, b)


def test_dropout_repeats_by_seed_and_differs_between_parts(threads):
    spec = SPECS[0].but(dropout=0.5)
    runs = [given(spec) for _ in range(4)]
    for loss, gradients in runs[1:]:
        assert loss == runs[0][0]
        assert all(map(torch.equal, gradients, runs[0][1]))
    assert runs[0][0] != given(SPECS[0])[0], "nothing was dropped"


def test_torch_has_its_threads_back(threads):
    given(SPECS[0])
    assert torch.get_num_threads() == threads


def test_only_what_says_so_is_divided():
    assert SASRec().divisible
    assert not SASRec(loss="sampled-softmax").divisible, "negatives are drawn for a batch"
    assert not MF().divisible


def test_side_by_side_works_alone_and_tells_of_errors(threads):
    assert side_by_side([torch.get_num_threads] * threads) == [1] * threads

    def fails() -> int:
        raise ValueError("of a part")

    with pytest.raises(ValueError, match="of a part"):
        side_by_side([torch.get_num_threads, fails])
    assert torch.get_num_threads() == threads


def test_a_forked_process_starts_threads_of_its_own(threads):
    work = [torch.get_num_threads] * threads
    side_by_side(work)

    def again() -> None:
        assert side_by_side(work) == [1] * threads

    assert ended(forked(again, threads)) == 0
