"""The running mean of the weights: what it is, when it is looked at, and that it is kept."""

import numpy as np
import pytest
import torch
from torch import nn

import runs
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.spec import LearnedSpec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train import Moment, fit
from honeyguide.train.average import Average

KEEP = 0.9
MF: LearnedSpec = runs.SPECS["mf"].but(average=KEEP)


def test_it_is_the_mean_of_the_definition():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    found = Average(model, KEEP)
    told = model.weight.detach().double().numpy().copy()
    for number in range(1, 60):
        with torch.no_grad():
            model.weight.add_(torch.randn_like(model.weight))
        found.step(number)
        # the first steps are forgotten sooner: 1/10, 2/11, ... and then KEEP
        keep = min(KEEP, number / (number + 9))
        told = keep * told + (1 - keep) * model.weight.detach().double().numpy()
    np.testing.assert_allclose(found.mean["weight"], told, rtol=1e-5, atol=1e-6)


def test_in_place_only_meanwhile_whatever_happens():
    model = nn.Linear(3, 2)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    found = Average(model, KEEP)
    with torch.no_grad():
        model.weight.zero_()

    def look() -> None:
        with found.in_place():
            assert torch.equal(model.weight, before["weight"])
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert torch.equal(model.weight, torch.zeros(2, 3))
    assert torch.equal(found.mean["weight"], before["weight"])


def weights_of(*, valid: bool, spec: LearnedSpec = MF):
    """The weights after every step of a training, what it ended with, and what it said."""
    data, holdout = runs.shop()
    model = runs.fresh(spec)
    start = [part.detach().clone() for part in model.parameters()]
    seen: list[list[torch.Tensor]] = []

    class Keep:
        def step(self, at: Moment) -> None:
            seen.append([part.detach().clone() for part in model.parameters()])

    told = fit(model, data, valid=holdout if valid else None, training=runs.PLAIN, reporter=Keep())
    return start, seen, model, told


def mean_after(start, seen, steps):
    mean = [part.double() for part in start]
    for number, weights in enumerate(seen[:steps], 1):
        keep = min(KEEP, number / (number + 9))
        mean = [keep * m + (1 - keep) * w.double() for m, w in zip(mean, weights, strict=True)]
    return mean


@pytest.mark.parametrize("valid", [True, False])
def test_the_mean_is_what_is_validated_and_kept(valid):
    start, seen, model, told = weights_of(valid=valid)
    steps = len(seen) // told.epochs
    kept = told.epochs if told.best_epoch is None else told.best_epoch + 1
    for mine, wanted in zip(model.parameters(), mean_after(start, seen, steps * kept), strict=True):
        torch.testing.assert_close(mine.double(), wanted, rtol=1e-4, atol=1e-6)
        assert mine.abs().max() > 0
    if valid:
        holdout = runs.shop()[1]
        again = evaluate(
            Exhaustive(model), holdout, rule=MF.rule, past=MF.past, metrics=[runs.PLAIN.metric]
        )
        assert again[runs.PLAIN.metric] == pytest.approx(told.best, abs=1e-12)


def test_training_itself_is_not_changed():
    averaged = weights_of(valid=True)[1]
    plain = weights_of(valid=True, spec=runs.SPECS["mf"])[1]
    steps = min(len(averaged), len(plain))
    assert steps > 10
    for mine, other in zip(averaged[:steps], plain[:steps], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


@pytest.mark.parametrize("keep", [1.0, -0.1])
def test_a_share_that_cannot_be(keep):
    with pytest.raises(Exception, match="average"):
        runs.SPECS["mf"].but(average=keep)
