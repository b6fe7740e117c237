"""The numbers on the pages are those of the result files: nothing typed by hand."""

import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "_tables.py"))


def test_the_results_page_is_what_the_files_say() -> None:
    assert (ROOT / "docs" / "results.md").read_text() == TABLES["results_page"]()


def test_the_figure_of_growth_is_drawn_from_the_file() -> None:
    drawn = TABLES["collaborative"].growth_figure()
    assert (ROOT / "docs" / "growth.svg").read_text() == drawn
    ElementTree.fromstring(drawn)


def test_the_readme_shows_what_the_files_say() -> None:
    readme = (ROOT / "README.md").read_text()
    assert TABLES["with_readme_part"](readme) == readme


def test_the_page_of_performance_shows_what_the_file_says() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert TABLES["with_performance"](page) == page
