"""The words of searches as numbers, by which a model that reads searches looks them up.

A number is a hash of the word: no vocabulary is kept and what people typed is not stored (but who
guesses a word can compute its number), and a word that comes up after training has one too. Two
words may share a number.
"""

from zlib import crc32

import numpy as np
import polars as pl
from jaxtyping import Bool, Int32

NUMBERS = 1 << 13
"""Numbers of words run from 1 to NUMBERS - 1; 0 is no word."""
MOST = 8
"""Words of a search that are kept, the first ones: queries in shops have two to three on average,
and each event of a log with searches holds so many numbers (32 bytes)."""
_WORD = r"[\p{L}\p{M}\p{N}]+"


def word_numbers(text: pl.Series) -> Int32[np.ndarray, "N MOST"]:
    """By text the numbers of its first MOST words, whatever their case; 0 behind the last."""
    found = np.zeros((len(text), MOST), np.int32)
    words = (
        pl.DataFrame({"row": np.arange(len(text)), "word": text.cast(pl.String)})
        .drop_nulls()
        .with_columns(pl.col("word").str.normalize("NFKC").str.to_lowercase())
        .with_columns(pl.col("word").str.extract_all(_WORD).list.head(MOST))
        .with_columns(place=pl.int_ranges(pl.col("word").list.len()))
        .explode("word", "place")
        .drop_nulls()
    )
    distinct = words["word"].unique()
    numbers = [1 + crc32(word.encode()) % (NUMBERS - 1) for word in distinct]
    number = words["word"].replace_strict(distinct, numbers, return_dtype=pl.Int32)
    found[words["row"].to_numpy(), words["place"].to_numpy()] = number.to_numpy()
    return found


def of_searches(
    text: pl.Series, searches: Bool[np.ndarray, " N"]
) -> Int32[np.ndarray, "N MOST"] | None:
    """The same for the texts of searches and 0 for all others; None where that is all there is."""
    if not searches.any():  # reviews, say: nothing as long as the log is made for them
        return None
    found = word_numbers(text.set(pl.Series(~searches), None))
    return found if found.any() else None
