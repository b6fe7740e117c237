"""What is known of items or users beyond their ids: columns aligned with a vocabulary."""

from dataclasses import dataclass

import polars as pl

from honeyguide.data.vocab import Vocab
from honeyguide.errors import ColumnError, UnknownName, ValueInColumn

TITLE_COLUMNS = ("title", "name", "item_name", "product_name")


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """frame: one row per number of the vocabulary, any columns.

    Row 0 of items is PAD, all null; so is the row of a name of which nothing is known.
    """

    vocab: Vocab
    frame: pl.DataFrame

    def __post_init__(self) -> None:
        assert len(self.frame) == len(self.vocab), "a row per number"

    @staticmethod
    def of(vocab: Vocab, table: pl.DataFrame | None, key: str) -> "Features":
        """Align a table by its id column `key`; names unknown to the vocabulary are left out.

        Raises ColumnError without that column, ValueInColumn where a name stands in two rows.
        """
        names = vocab.of(pl.int_range(len(vocab), eager=True).to_numpy()).alias(key)
        if table is None:
            return Features(vocab, names.to_frame())
        if key not in table.columns:
            what = key.removesuffix("_id")
            raise ColumnError(f"id in the {what}s", key, table.columns, f"--{what}s")
        numbers = pl.Series("number", vocab.numbers(table[key]))
        known = table.with_columns(numbers.alias(_PLACE)).filter(numbers != vocab.unknown)
        twice = known[_PLACE].is_duplicated()
        if twice.any():
            raise ValueInColumn(
                f'Column "{key}": {known[_PLACE].filter(twice).n_unique()} ids stand in more than '
                f"one row, such as {known[key].filter(twice)[0]!r}.",
                "Keep one row for each id.",
            )
        base = pl.DataFrame({_PLACE: pl.int_range(len(vocab), eager=True), key: names})
        frame = base.join(known.drop(key), on=_PLACE, how="left", maintain_order="left")
        return Features(vocab, frame.drop(_PLACE))

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


_PLACE = "_number"  # of the vocabulary; dropped again
