"""SpectralMF: with all the weight on one side it ranks as that side does."""

import torch

from honeyguide.models.spectral_mf import SpectralMF, standardised
from honeyguide.train import checkpoint
from matrices import everyone, fitted, random_log

SMALL = SpectralMF(width=4, rank=4, k=20, epochs=3, batch=20)


def test_scores_are_standardised_and_added():
    log = random_log()
    model = fitted(SMALL.but(share=0.3), log)
    asked = everyone(log, model.spec)
    with torch.no_grad():
        told = model.score(asked)
        filtered, learned = (
            (part - part.mean(1, keepdim=True)) / part.std(1, correction=0, keepdim=True)
            for part in (model.filter.score(asked)[:, 1:], model.learned.score(asked)[:, 1:])
        )
    torch.testing.assert_close(told[:, 1:], 0.7 * filtered + 0.3 * learned, rtol=1e-4, atol=1e-4)
    assert bool((told[:, 0] == -torch.inf).all())


def test_scores_that_are_all_alike_say_nothing():
    assert bool((standardised(torch.full((2, 5), 3.0))[:, 1:] == 0).all())


def test_what_training_leaves_alone_is_kept_once():
    log = random_log()
    model = fitted(SMALL, log)
    left_out = set(model.state_dict()) - set(checkpoint.learned(model))
    assert left_out == {"filter.into", "filter.neighbour", "filter.out", "filter.value"}
