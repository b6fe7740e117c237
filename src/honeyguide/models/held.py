"""Rows of items that a model keeps as they are: histories of users, or their sessions."""

from typing import Any

import torch
from jaxtyping import Int32, Int64
from torch import Tensor, nn

from honeyguide.data.query import Pairs


class Held(nn.Module):
    """items (M,), offsets (R + 1,): one sparse matrix. rows: R, None = as many as the data tell."""

    def __init__(self, n_items: int, rows: int | None) -> None:
        super().__init__()
        self.n_items, self.known = n_items, rows
        self.items: Tensor
        self.offsets: Tensor
        self.register_buffer("items", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("offsets", torch.zeros((rows or 0) + 1, dtype=torch.int64))
        self.turned: Pairs | None = None

    def hold(self, items: Int32[Tensor, " M"], offsets: Int64[Tensor, " R1"]) -> None:
        """These instead of what was held."""
        self.items, self.offsets, self.turned = items, offsets, None

    @property
    def rows(self) -> Pairs:
        """By row, which items."""
        items = self.items.long()
        return Pairs(items, torch.ones_like(items, dtype=torch.float32), self.offsets)

    @property
    def takers(self) -> Pairs:
        """By item, which rows, in their order."""
        if self.turned is None or self.turned.items.device != self.items.device:
            order = torch.argsort(self.items, stable=True)
            rows = self.rows.rows()[order]
            counts = torch.bincount(self.items, minlength=self.n_items)
            ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            self.turned = Pairs(rows, torch.ones_like(rows, dtype=torch.float32), ends)
        return self.turned

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        items, offsets = (state_dict.get(prefix + name) for name in ("items", "offsets"))
        if items is not None and offsets is not None:  # as many as were saved
            held = self.offsets if self.known is not None else torch.zeros_like(offsets)
            self.hold(torch.zeros_like(items), held)
        super()._load_from_state_dict(state_dict, prefix, *others)
