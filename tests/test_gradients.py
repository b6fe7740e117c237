"""Gradients by threads side by side: those of the whole batch, the same for a seed."""

from typing import Any

import numpy as np
import pytest
import torch

from honeyguide.data.batch import examples
from honeyguide.models.bert4rec import BERT4Rec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.mf import MF
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import LearnedSpec, Schema
from honeyguide.nn.parallel import side_by_side
from honeyguide.train import gradients
from honeyguide.train.device import Format
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


def prepared(spec: LearnedSpec, precision: Format = "f32") -> Gradients:
    log = random_log()
    model: Any = build(spec, Schema(users=log.n_users, items=log.n_items), 1).train()
    found = Gradients(model, examples(log, spec.asked()), torch.device("cpu"), precision)
    found.clear()
    return found


def given(
    spec: LearnedSpec, *, times: int = 1, precision: Format = "f32"
) -> tuple[float, list[torch.Tensor]]:
    """The loss and the gradients of one batch, added so many times."""
    found = prepared(spec, precision)
    for _ in range(times):
        loss = found.add(np.arange(min(len(found.examples), 40)), seed=7)
    return loss.item(), [p.grad for p in found.parameters if p.grad is not None]


@pytest.fixture
def parts(monkeypatch):
    """What the threads brought back, one list for each batch that was divided."""
    seen: list[list[Any]] = []

    def watched(work: Any) -> list[Any]:
        seen.append(side_by_side(work))
        return seen[-1]

    monkeypatch.setattr(gradients, "side_by_side", watched)
    return seen


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_parts_have_the_gradients_of_the_whole(spec, threads, parts):
    loss, divided = given(spec)
    assert [len(each) for each in parts] == [threads]
    torch.set_num_threads(1)
    whole_loss, whole = given(spec)
    assert len(parts) == 1, "one thread takes the whole"
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    for part, wanted in zip(divided, whole, strict=True):
        torch.testing.assert_close(part, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_accumulated_parts_are_a_mean(spec, threads):
    _, once = given(spec)
    _, twice = given(spec.but(accumulate=2), times=2)
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_seed_repeats(spec, threads, precision):
    runs = [given(spec.but(dropout=0.5), precision=precision) for _ in range(12)]
    for loss, found in runs[1:]:
        assert loss == runs[0][0]
        assert all(map(torch.equal, found, runs[0][1]))


def test_parts_drop_other_things(threads, parts):
    found = prepared(SPECS[0].but(dropout=0.5))
    same = np.tile(np.arange(8), threads)  # each part the same windows
    found.add(same, seed=3)
    assert len({part.loss.item() for part in parts[0]}) == threads


def test_a_frozen_parameter_stays_without_a_gradient(threads, parts):
    found = prepared(SPECS[0])
    found.moving[0].requires_grad_(False)
    found = Gradients(found.model, found.examples, found.device, "f32")
    found.add(np.arange(40), seed=3)
    assert len(parts) == 1
    assert [p.grad is None for p in found.parameters] == [True] + [False] * (
        len(found.parameters) - 1
    )


def test_large_tables_are_not_copied_for_every_thread(threads, parts, monkeypatch):
    found = prepared(SPECS[0])
    size = sum(4 * each.numel() for each in found.moving)
    monkeypatch.setattr(gradients, "COPIES", 2 * size - 1)
    given(SPECS[0])
    assert not parts


def test_torch_has_its_threads_back(threads):
    given(SPECS[0])
    assert torch.get_num_threads() == threads


def test_only_what_says_so_is_divided():
    assert SASRec().divisible
    assert not SASRec(loss="sampled-softmax").divisible, "negatives are drawn for a batch"
    assert not BERT4Rec().divisible, "as many targets as happen to be hidden"
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
