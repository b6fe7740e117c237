"""docs/names.md lists every setting of every model, and nothing that no model has."""

import re
from pathlib import Path

from honeyguide.models.table import MODELS

PAGE = Path(__file__).parents[1] / "docs" / "names.md"


def test_every_setting_stands_on_the_page_with_its_models() -> None:
    table = PAGE.read_text().split("## Columns")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\w, -]+) \|$", table, re.MULTILINE)
    told = {name: set(models.split(", ")) for name, models in rows}
    real: dict[str, set[str]] = {}
    for model, spec in MODELS.items():
        for field in spec.model_fields:
            real.setdefault(field, set()).add(model)
    assert told == real
