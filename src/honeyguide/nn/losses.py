"""Losses as plain functions that any model can take; the full softmax stands in softmax.py. All
return the mean over the targets.

Letters: M targets, N negatives of each, D width, I items with PAD.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from honeyguide.nn.softmax import softmax


def bpr(positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"]) -> Float[Tensor, ""]:
    """Bayesian personalised ranking (Rendle et al. 2009): -log sigmoid(positive - negative)."""
    return -logsigmoid(positive[..., None] - negative).mean()


def bce(positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of 1 + N labels a target (He et al. 2017); mean over all labels."""
    told = (negative - logsigmoid(negative)).sum(-1) - logsigmoid(positive)
    return told.mean() / (1 + negative.shape[-1])


def gbce(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], items: int, calibration: float
) -> Float[Tensor, ""]:
    """Binary cross-entropy whose positives count less, because only N of all items are negatives.

    Petrov and Macdonald 2023 (gSASRec), section 4: calibration 1 gives back the probabilities that
    all items as negatives would give, 0 is plain `bce`. items: how many could be negatives.
    """
    power = gbce_power(negative.shape[-1], items, calibration)
    told = (negative - logsigmoid(negative)).sum(-1) - power * logsigmoid(positive)
    return told.mean() / (1 + negative.shape[-1])


def gbce_power(count: int, items: int, calibration: float) -> float:
    """The power of a positive's probability in `gbce` with `count` negatives out of `items`."""
    share = count / items
    return share * (calibration * (1 - 1 / share) + 1 / share)


def mse(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], weight: float = 1.0
) -> Float[Tensor, ""]:
    """Squared distance of targets to 1 and of negatives (their mean, times weight) to 0."""
    return ((1 - positive).square() + weight * negative.square().mean(-1)).mean()


def ccl(
    positive: Float[Tensor, "*M"], negative: Float[Tensor, "*M N"], margin: float, weight: float
) -> Float[Tensor, ""]:
    """Cosine contrastive loss (Mao et al. 2021, SimpleX, equation 2); scores are cosines.

    margin: negatives below it are far enough. weight: of the mean over the negatives.
    """
    return ((1 - positive) + weight * (negative - margin).relu().mean(-1)).mean()


def directau(
    users: Float[Tensor, "M D"], items: Float[Tensor, "M D"], weight: float
) -> Float[Tensor, ""]:
    """Alignment and uniformity on the unit sphere (Wang et al. 2022, DirectAU, equation 8).

    weight: of uniformity. No negatives: the other users and the other items of the batch repel.
    """
    users, items = normalize(users), normalize(items)
    aligned = (users - items).square().sum(1).mean()
    return aligned + weight * (_uniformity(users) + _uniformity(items)) / 2


def _uniformity(vectors: Float[Tensor, "M D"]) -> Float[Tensor, ""]:
    # on the unit sphere |a - b|^2 = 2 - 2 ab; the pairs of a row with itself are taken out
    count = len(vectors)
    if count < 2:
        return vectors.new_zeros(())
    closeness = torch.exp(4 * (vectors @ vectors.T) - 4)
    others = closeness.sum() - closeness.diagonal().sum()
    uniform: Tensor = (others / (count * (count - 1))).log()
    return uniform


def info_nce(
    one: Float[Tensor, "M D"], other: Float[Tensor, "M D"], temperature: float
) -> Float[Tensor, ""]:
    """Each row of `one` is to find its own in `other` among all rows, by cosine (Oord et al. 2018).

    The blocks of the softmax are those of `softmax`, so (M, M) is never stored.
    """
    table = torch.cat([other.new_zeros(1, other.shape[1]), normalize(other)])
    own = torch.arange(1, len(one) + 1, device=one.device)
    return softmax(normalize(one) / temperature, table, own)


def sampled_softmax(
    positive: Float[Tensor, " M"],
    negative: Float[Tensor, "M N"],
    target_log_p: Float[Tensor, " M"],
    negative_log_p: Float[Tensor, "*any N"],
    accidental: Bool[Tensor, "M N"],
) -> Float[Tensor, ""]:
    """Softmax over the target and its negatives, corrected by how likely each was drawn.

    Bengio and Senecal 2008; Yi et al. 2019. accidental: negatives that are positives.
    """
    first = (positive - target_log_p)[:, None]
    rest = (negative - negative_log_p).masked_fill(accidental, float("-inf"))
    return (torch.logsumexp(torch.cat([first, rest], 1), 1) - first[:, 0]).mean()
