"""The bibliography: its entries, their short names and the list of repeated papers say the same of a work."""

import re
import unicodedata

import pytest

from repsim.papers import PAPERS
from repsim.report.page import citations

ACCENT = re.compile(r"\\[\"'`^H]\{?(\w)\}?")


def field(key: str, name: str) -> str:
    found = re.search(rf"^ +{name} *= (\{{.*\}}),?$", citations.entries()[key], re.M)
    return re.sub(r"[{}]", "", ACCENT.sub(r"\1", found[1])) if found else ""


def plain(text: str) -> str:
    """Without accents, in small letters."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter)).lower()


def surnames(key: str) -> list[str]:
    return [plain(name.split(",")[0]) for name in field(key, "author").split(" and ")]


def test_every_short_name_has_an_entry_and_every_entry_a_short_name():
    assert citations.SHORT.keys() == citations.entries().keys()


@pytest.mark.parametrize("key", citations.SHORT)
def test_a_short_name_is_made_of_the_authors_and_the_year_of_its_entry(key):
    names = surnames(key)
    told = " & ".join(names) if len(names) < 3 else f"{names[0]} et al."
    assert plain(citations.SHORT[key]) == f"{told} {field(key, 'year')}"
    assert key.endswith(field(key, "year"))


@pytest.mark.parametrize("key", citations.SHORT)
def test_pages_go_forward_and_a_doi_is_bare(key):
    pages = [int(page) for page in field(key, "pages").split("--") if page]
    assert pages == sorted(pages) and len(pages) < 3
    assert re.fullmatch(r"(10\.\d{4,}/\S+)?", field(key, "doi"))


@pytest.mark.parametrize("key", PAPERS)
def test_a_repeated_paper_is_the_same_in_the_list_of_papers(key):
    paper = PAPERS[key]
    assert plain(paper.title) == plain(field(key, "title")) and str(paper.year) == field(key, "year")
    assert [plain(name.strip().rsplit(" ", 1)[-1]) for name in paper.authors.split(",")] == surnames(key)
