"""A setting that makes no sense is refused when it is written, not in the middle of training."""

import pytest

from honeyguide.errors import CallError
from honeyguide.models.table import MODELS


@pytest.mark.parametrize(
    ("model", "setting", "value"),
    [
        ("popular", "half_life", 0),
        ("item-knn", "k", -1),
        ("item-knn", "shrink", -0.1),
        ("ease", "l2", 0),
        ("ials", "width", 0),
        ("ials", "alpha", -1),
        ("mf", "epochs", 0),
        ("mf", "negatives", 0),
        ("mf", "temperature", 0),
        ("mf", "patience", 0),
        ("mf", "learning_rate", 0),
        ("sasrec", "batch", 0),
        ("sasrec", "heads", 0),
        ("sasrec", "dropout", 1.0),
        ("sasrec", "history", 0),
    ],
)
def test_a_setting_out_of_bounds_is_refused(model, setting, value):
    with pytest.raises(CallError) as refused:
        MODELS[model](**{setting: value})
    assert setting in refused.value.wrong
    assert refused.value.do
