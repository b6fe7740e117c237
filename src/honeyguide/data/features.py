"""What is known of items or users beyond their ids: columns aligned with a vocabulary."""

from dataclasses import dataclass

import polars as pl

from honeyguide.data.vocab import Vocab
from honeyguide.errors import UnknownName

TITLE_COLUMNS = ("title", "name", "item_name", "product_name")


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """frame: one row per number of the vocabulary (row 0 of items is PAD, all null), any columns."""

    vocab: Vocab
    frame: pl.DataFrame

    @staticmethod
    def of(vocab: Vocab, table: pl.DataFrame | None, key: str) -> "Features":
        """Align a table by its id column; what has no row gets nulls."""
        names = vocab.of(pl.int_range(len(vocab), eager=True).to_numpy()).alias(key)
        base = names.to_frame()
        if table is None:
            return Features(vocab, base)
        table = table.with_columns(pl.col(key).cast(names.dtype, strict=False))
        table = table.filter(pl.col(key).is_not_null())
        return Features(vocab, base.join(table, on=key, how="left", maintain_order="left"))

    def column(self, name: str) -> pl.Series:
        """One column; UnknownName lists the others."""
        if name not in self.frame.columns:
            raise UnknownName("feature", name, self.frame.columns)
        return self.frame[name]

    @property
    def titles(self) -> pl.Series | None:
        """The readable name of each number, where a column holds one."""
        named = next((name for name in TITLE_COLUMNS if name in self.frame.columns), None)
        return None if named is None else self.frame[named]
