"""What each item of a history does for an item: the model is asked with it and without it.

Special: one batch of L + 1 histories answers for all L items and all T targets, and nothing is
asked of a model but scores, so that it is the same for every model. Leaving one out (occlusion;
for recommenders see Barkan et al. 2024) tells what was needed, so two near copies, of which either
would do, both get little.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from numba import njit
from torch import Tensor

from honeyguide.data.interactions import Interactions
from honeyguide.data.vocab import PAD
from honeyguide.explain.histories import distinct, left_out, scores
from honeyguide.models.spec import Model
from honeyguide.rank.topk import exclude_items, top_k

RIVALS = 10  # 5 to 50 were about as good (benchmarks/explain_fidelity.py)
DEEPEST = 256  # items of one history that are left out in turn; a longer one costs its square


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """L items of one history, the latest first, and T targets.

    score, rank: of each target with the whole history. loss: by how much its score falls without
    the item, in the model's own scores, which compare with no other model's. lead_loss: by how much
    its lead falls, which is its score less the mean of its rivals', the RIVALS items next to it in
    the whole answer. Of the two, lead_loss says better what makes the target fall, and it orders.
    rank_without: the rank without the item. Ranks count the items that were not in the history;
    equal scores stand in the order of numbers; 0 = the history says nothing: it is empty, or all
    scores are equal. left: how many more distinct items were too long ago to be weighed.
    """

    items: Int64[np.ndarray, " L"]
    score: Float32[np.ndarray, " T"]
    rank: Int64[np.ndarray, " T"]
    loss: Float32[np.ndarray, "T L"]
    lead_loss: Float32[np.ndarray, "T L"]
    rank_without: Int64[np.ndarray, "T L"]
    left: int

    def carrying(self, target: int) -> Int64[np.ndarray, " N"]:
        """The places of the items without which a target loses lead, the most needed first."""
        order: Int64[np.ndarray, " L"] = np.argsort(-self.lead_loss[target], kind="stable")
        return order[: int((self.lead_loss[target] > 0).sum())]


@torch.inference_mode()
def effects(
    model: Model,
    past: Interactions,
    targets: Int64[np.ndarray, " T"],
    seen: Int64[np.ndarray, " E"],
) -> Effects:
    """Why a model gives `targets` to one person.

    past: the events of that person which count (Spec.rule). seen: what is not recommended, as it
    is known to the person; a target may be among them, and is then ranked with the others.
    """
    items = distinct(past, 0, model.spec.past)
    left, items = max(0, len(items) - DEEPEST), items[:DEEPEST]
    histories = left_out(past, np.zeros(len(items) + 1, np.int64), np.append(PAD, items))
    wanted, hidden = torch.from_numpy(targets), torch.from_numpy(seen)
    score, lead, rank = [], [], []
    rivals: Int64[Tensor, "T N"] | None = None
    for block in scores(model, histories):
        own = block[:, wanted]
        exclude_items(block, hidden.expand(len(block), -1))
        if rivals is None:
            rivals = _rivals(block[0], wanted)
        score.append(own)
        lead.append(own - _mean(block, rivals))
        place = ranks(block, own, wanted.expand(own.shape))
        rank.append(place.masked_fill(flat(block)[:, None], 0))
    told, ahead, places = torch.cat(score), torch.cat(lead), torch.cat(rank).numpy()
    places[histories.lengths == 0] = 0
    return Effects(
        items=items,
        score=told[0].numpy(),
        rank=places[0],
        loss=(told[0] - told[1:]).T.numpy(),
        lead_loss=(ahead[0] - ahead[1:]).T.numpy(),
        rank_without=places[1:].T,
        left=left,
    )


def ranks(
    scores: Float32[Tensor, "R I"], own: Float32[Tensor, "R T"], targets: Int64[Tensor, "R T"]
) -> Int64[Tensor, "R T"]:
    """The rank, from 1, of targets whose scores are `own`, as rank.topk orders.

    -inf never ranks; a target that has it in `scores` is ranked by its own score among the others.
    """
    told = np.empty(own.shape, np.int64)
    scores, own, targets = scores.contiguous(), own.contiguous(), targets.contiguous()
    _count_before(scores.numpy(), own.numpy(), targets.numpy(), told)
    return torch.from_numpy(told)


@njit(cache=True, nogil=True)
def _count_before(scores, own, targets, out):  # type: ignore[no-untyped-def]
    # two plain loops, which the compiler turns into vector instructions
    for row in range(own.shape[0]):
        for t in range(own.shape[1]):
            mine, target = own[row, t], targets[row, t]
            before = 0
            for item in range(target):
                before += scores[row, item] >= mine
            for item in range(target, scores.shape[1]):
                before += scores[row, item] > mine
            out[row, t] = before + 1


def flat(scores: Float32[Tensor, "R I"]) -> Bool[Tensor, " R"]:
    """Which rows hold one score only, leaving -inf aside: they rank nothing."""
    told = np.empty(len(scores), np.bool_)
    _are_flat(scores.contiguous().numpy(), told)
    return torch.from_numpy(told)


@njit(cache=True, nogil=True)
def _are_flat(scores, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        low, high = np.float32(np.inf), np.float32(-np.inf)
        for score in scores[row]:
            high = max(high, score)
            if score != -np.inf:
                low = min(low, score)
        out[row] = low >= high


def _rivals(scores: Float32[Tensor, " I"], targets: Int64[Tensor, " T"]) -> Int64[Tensor, "T N"]:
    """The best items other than each target, PAD where there are too few."""
    best = top_k(scores[None], RIVALS + 1).items.expand(len(targets), -1)
    others = best.masked_fill(best == targets[:, None], PAD)
    # the one to leave out: the target, or the last where the target is not among them
    order = (others == PAD).sort(dim=1, stable=True).indices[:, :RIVALS]
    return others.gather(1, order)


def _mean(scores: Float32[Tensor, "R I"], rivals: Int64[Tensor, "T N"]) -> Float32[Tensor, "R T"]:
    """The mean score of the rivals of each target; 0 where it has none."""
    real = rivals != PAD
    total = scores[:, rivals].masked_fill(~real, 0).sum(2)
    return total / real.sum(1).clamp(min=1)
